# shellcheck shell=bash
# What waking the reader costs a command, 32 clients, durable commits: nothing, the doorbell with nobody there, the doorbell with a relay that sleeps
# and wakes, and NOTIFY in each transaction. The relay here keeps the protocol and reads next to nothing: it is the bell that is measured.
has_relay_side=$(ask "SELECT to_regprocedure('oms.doorbell_arm()') IS NOT NULL AND to_regprocedure('oms.doorbell_disarm()') IS NOT NULL")
callers=('doorbell off' 'nobody listens' 'NOTIFY in each transaction')
if [ "$has_relay_side" = t ]; then
    callers+=('a relay listens')
else
    say 'this library has no oms.doorbell_arm(): the case with a relay is left out'
fi

measure() {
    local script=create_order doorbell=on relay=
    case $1 in
    'doorbell off') doorbell=off ;;
    'a relay listens') bench/relay.py oms_doorbell & relay=$! ;;
    'NOTIFY in each transaction') script=create_order_notify doorbell=off; bench/relay.py rival & relay=$! ;;
    esac
    restore
    PGOPTIONS="-c oms.doorbell=$doorbell" pgbench_run "$script" 32 -T "$seconds"
    if [ -n "$relay" ]; then
        kill "$relay" 2>/dev/null || die "$1: the listener had gone"
        wait "$relay" || true
    fi
    ask "SELECT bench.holds('oms', $transactions)" >/dev/null
    record "$1" '1/s' "$tps"
}

for ((round = 0; round < rounds; round++)); do
    while IFS= read -r each; do measure "$each"; done < <(rotated "$round" "${callers[@]}")
    say "round $((round + 1)) of $rounds"
done
