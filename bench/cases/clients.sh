# shellcheck shell=bash
# Commits a second, as applications see them: oms.create_order, the best single CTE statement, and an application with statements of its own;
# durable and asynchronous commits, 4 and 16 clients.
measure() {
    local rival=$1 clients=$2 commit=$3 script schema=rival
    case $rival in
    oms.create_order) script=create_order schema=oms ;;
    'one CTE statement') script=cte ;;
    'application, six round trips') script=application ;;
    esac
    restore
    PGOPTIONS="-c synchronous_commit=$commit" pgbench_run "$script" "$clients" -T "$seconds"
    ask "SELECT bench.holds('$schema', $transactions)" >/dev/null
    record "$kind, $clients clients: $rival" '1/s' "$tps"
}

for ((round = 0; round < rounds; round++)); do
    for commit in on off; do
        if [ $commit = on ]; then kind=durable; else kind=asynchronous; fi
        for clients in 4 16; do
            while IFS= read -r each; do
                measure "$each" $clients $commit
            done < <(rotated "$round" oms.create_order 'one CTE statement' 'application, six round trips')
        done
    done
    say "round $((round + 1)) of $rounds"
done
