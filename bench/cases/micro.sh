# shellcheck shell=bash
# What is pure, with Google Benchmark: machines, ids, fingerprint. Processor time, so that it hardly minds company.
make --no-print-directory -s -C bench/micro all
output=$(build/micro/micro --benchmark_repetitions="$rounds" --benchmark_min_time=0.05 --benchmark_format=csv 2>/dev/null)
while IFS=, read -r name _ _ cpu unit _; do
    name=${name//\"/}
    [ -n "$cpu" ] || continue
    case $name in
    name | *_mean | *_median | *_stddev | *_cv) ;;
    *) record "$name" "$unit" "$cpu" ;;
    esac
done <<<"$output"
