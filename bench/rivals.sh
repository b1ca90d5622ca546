# shellcheck shell=bash
# Sourced by the cases that measure queues and workflow engines of others. Fetches their releases by pip and npm, as pinned in rivals/, into .run; what is
# there already is not fetched again. Nothing of theirs is in this repository.
#
# Without a network, or for another release, name files yourself: PGMQ_SQL (pgmq-extension/sql/pgmq.sql of its repository), ABSURD_SQL (sql/absurd.sql),
# BENCH_RIVALS (a directory in which `npm ci` was run with rivals/package.json and rivals/package-lock.json).
rivals_place=$run_dir/bench-rivals
graphile_worker_node='22.18.0'    # the oldest Node.js that it wants; the others want less

# fetch_wheel NAME REQUIREMENTS: unpacks a Python package, without what it depends on.
fetch_wheel() {
    local place=$rivals_place/$1
    [ ! -d "$place" ] || return 0
    mkdir -p "$place.new"
    python3 -m pip download -q --no-deps --only-binary=:all: --require-hashes -r "$2" -d "$place.new" >&2 &&
        python3 -m zipfile -e "$place.new/$1"-*.whl "$place.new" && mv "$place.new" "$place"
}

# Sets pgmq_sql; false when it cannot be had.
provide_pgmq() {
    pgmq_sql=${PGMQ_SQL:-$rivals_place/pgmq/pgmq/sql/pgmq.sql}
    [ -n "${PGMQ_SQL:-}" ] || fetch_wheel pgmq bench/rivals/pgmq.txt
    [ -s "$pgmq_sql" ]
}

# Sets absurd_sql.
provide_absurd() {
    absurd_sql=${ABSURD_SQL:-$rivals_place/absurd.sql}
    if [ -z "${ABSURD_SQL:-}" ] && [ ! -s "$absurd_sql" ]; then
        fetch_wheel absurdctl bench/rivals/absurd.txt &&
            PYTHONPATH=$rivals_place/absurdctl python3 -c 'import absurdctl; print(absurdctl.BUNDLED_SCHEMA_SQL)' >"$absurd_sql.new" &&
            mv "$absurd_sql.new" "$absurd_sql"
    fi
    [ -s "$absurd_sql" ]
}

# Sets node, and NODE_PATH to where the packages are. Node.js is the machine's if it is new enough, else that of the npm registry.
provide_node() {
    local place=${BENCH_RIVALS:-$rivals_place/npm}
    if [ -z "${BENCH_RIVALS:-}" ] && ! cmp -s bench/rivals/package-lock.json "$place/package-lock.json"; then
        command -v npm >/dev/null || return 1
        rm -rf "$place"
        mkdir -p "$place.new"
        cp bench/rivals/package.json bench/rivals/package-lock.json "$place.new"
        npm ci --prefix "$place.new" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && mv "$place.new" "$place" || return 1
    fi
    export NODE_PATH=$place/node_modules
    node=$(command -v node) || node=
    if [ -z "$node" ] || [ "$(printf 'v%s\n' "$graphile_worker_node" "$("$node" --version | tr -d v)" | sort -V | head -n 1)" != "v$graphile_worker_node" ]; then
        node=$(echo "$NODE_PATH"/node-linux-*/bin/node)
    fi
    "$node" --version >/dev/null
}

# version_of PACKAGE: of the npm package that provide_node has provided.
version_of() {
    "$node" -p 'JSON.parse(require("fs").readFileSync(`${process.env.NODE_PATH}/${process.argv[1]}/package.json`)).version' "$1"
}
