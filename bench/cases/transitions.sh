# shellcheck shell=bash
# A transition inside one backend: oms.advance_order and its PL/pgSQL twin, reserve and pay for every order of the fill.
for ((round = 0; round < rounds; round++)); do
    for schema in $(rotated "$round" oms rival); do
        restore
        case $schema in
        oms) name=oms.advance_order ;;
        rival) name='PL/pgSQL twin' ;;
        esac
        stretch "$name" advance_order.sql -v schema="$schema"
    done
    say "round $((round + 1)) of $rounds"
done
