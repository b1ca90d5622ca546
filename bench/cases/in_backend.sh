# shellcheck shell=bash
# One order with two items, inside one backend and one transaction: oms.create_order, the bulk INSERT ... SELECT of the same rows into the same
# tables, and the PL/pgSQL twin; for orientation also a bulk statement that has to make its rows first. Commit is not part of it, so neither is fsync.
measure() {
    case $1 in
    create_order) stretch oms.create_order create_order.sql ;;
    floor) stretch 'bulk INSERT … SELECT' floor.sql ;;
    computed) stretch 'bulk INSERT … SELECT computing its rows' bulk_computed.sql ;;
    twin) stretch 'PL/pgSQL twin' create_order_twin.sql ;;
    esac
}

restore
sql create_order.sql >/dev/null
psql_quiet -f bench/sql/stage.sql
for ((round = 0; round < rounds; round++)); do
    for each in $(rotated "$round" create_order floor twin computed); do
        restore
        measure "$each"
    done
    say "round $((round + 1)) of $rounds"
done
