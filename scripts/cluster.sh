#!/usr/bin/env bash
# Private PostgreSQL clusters below .run/ of the checkout, for demo, tests and benchmarks. They share nothing with the
# system's clusters: own data, own port, own socket, own log.
#
#   scripts/cluster.sh start NAME [--set key=value ...]   make it if need be, start it, print the settings for eval
#   scripts/cluster.sh env NAME                           print the settings of a running cluster
#   scripts/cluster.sh stop NAME                          stop it, keep the data
#   scripts/cluster.sh destroy NAME | --all               stop it and remove it
#   scripts/cluster.sh list                               name and state of each
#
#   eval "$(scripts/cluster.sh start demo)" && psql
#
# --set gives postgresql.conf settings; they stick until a later start names others, which restarts a running server.
# Superuser is `postgres`: without a password through the socket, whose directory only the server's user and root can enter,
# and with the password in PGPASSFILE through 127.0.0.1.
set -euo pipefail
# shellcheck source=scripts/server_user.sh
. "$(dirname "${BASH_SOURCE[0]}")/server_user.sh"

start_attempts=20      # ports tried before giving up: each failure means that somebody else took that port meanwhile
start_timeout_s=120    # crash recovery after a killed load takes long on a slow disk

pg_bin() {
    local config
    config=$("$checkout/scripts/pg_config.sh")
    [ -n "$config" ] || die "no PostgreSQL found; run: make setup"
    config=$("$config" --bindir)
    [ -x "$config/postgres" ] || die "no server in $config; run: make setup"
    echo "$config"
}

# Runs a server program quietly unless it fails: its output would be eval'ed by the caller.
quietly() {
    local output
    output=$(as_server_user "$@" 2>&1) || {
        printf '%s\n' "$output" >&2
        return 1
    }
}

# True when the process in postmaster.pid is this cluster's postmaster. The number alone says nothing: after a kill -9
# or a reboot another process may have it, and PostgreSQL would then refuse to start.
running() {
    local pid
    pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$data" ]
}

port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below the kernel's range for outgoing connections, so that no client socket sits on the chosen number.
pick_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if port_is_free "$port"; then
            echo "$port"
            return
        fi
    done
}

create() {
    local password
    rm -rf "$data"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$password" | as_server_user tee "$home/password" >/dev/null
    printf '127.0.0.1:*:*:postgres:%s\n' "$password" | as_server_user sh -c "umask 077; cat >'$home/pgpass'"
    quietly "$bin/initdb" -D "$data" --no-sync --username=postgres --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256 --pwfile="$home/password"
    as_server_user rm "$home/password"
    as_server_user sh -c "echo \"include 'oms.conf'\" >>'$data/postgresql.conf'"
}

# Unix socket paths end at 107 bytes, and a checkout may lie deep: hence a short directory of its own.
write_settings() {
    local port=$1 socket setting
    socket=$(cat "$home/socket" 2>/dev/null) || socket=
    if [ ! -d "$socket" ] || [ "$(stat -c %U "$socket")" != "$server_user" ]; then
        socket=$(as_server_user mktemp -d /tmp/oms-XXXXXX)
        printf '%s\n' "$socket" | as_server_user tee "$home/socket" >/dev/null
    fi
    printf '%s\n' "$port" | as_server_user tee "$home/port" >/dev/null
    {
        echo "# Written by scripts/cluster.sh at each start."
        echo "port = $port"
        echo "listen_addresses = '127.0.0.1'"
        echo "unix_socket_directories = '$socket'"
        echo "wal_level = logical"
        echo "max_prepared_transactions = 20"
        echo "log_line_prefix = '%m [%p] %q%u@%d '"
        while IFS= read -r setting; do
            [ -z "$setting" ] || printf "%s = '%s'\n" "${setting%%=*}" "$(sed "s/'/''/g" <<<"${setting#*=}")"
        done <"$home/settings"
    } | as_server_user tee "$data/oms.conf" >/dev/null
}

start() {
    local attempt port wanted log=$home/log seen
    bin=$(pg_bin)
    # A start that was interrupted leaves a directory without PG_VERSION or without our settings: made anew.
    if [ ! -f "$data/PG_VERSION" ] || ! grep -q "oms.conf" "$data/postgresql.conf"; then create; fi
    if [ "$(cat "$data/PG_VERSION")" != "$("$bin/postgres" -V | grep -oE '[0-9]+' | head -n 1)" ]; then
        die "cluster $name was made by PostgreSQL $(cat "$data/PG_VERSION"); remove it with: scripts/cluster.sh destroy $name"
    fi
    wanted=$(printf '%s\n' "${settings[@]}")
    if [ ! -f "$home/settings" ] || { [ ${#settings[@]} -gt 0 ] && [ "$wanted" != "$(cat "$home/settings")" ]; }; then
        stop
        printf '%s\n' "$wanted" | as_server_user tee "$home/settings" >/dev/null
    fi
    if running; then return; fi

    # Stale: running() has just said so. PostgreSQL itself would take a killed postmaster that nobody has reaped for a living one.
    rm -f "$data/postmaster.pid"
    if [ -f "$home/socket" ]; then rm -f "$(cat "$home/socket")"/.s.PGSQL.*; fi
    port=$(cat "$home/port" 2>/dev/null) || port=
    if [ -z "$port" ] || ! port_is_free "$port"; then port=$(pick_port); fi
    for ((attempt = 1; attempt <= start_attempts; attempt++)); do
        write_settings "$port"
        seen=$(stat -c %s "$log" 2>/dev/null || echo 0)
        if quietly "$bin/pg_ctl" start -D "$data" -l "$log" -w -t "$start_timeout_s" 9>&-; then return; fi
        tail -c "+$((seen + 1))" "$log" | grep -q 'could not bind' || break
        port=$(pick_port)
    done
    tail -n 40 "$log" >&2
    die "cluster $name does not start; the end of its log ($log) is above"
}

stop() {
    local socket
    if running; then
        bin=$(pg_bin)
        quietly "$bin/pg_ctl" stop -D "$data" -m fast -w -t 60 || quietly "$bin/pg_ctl" stop -D "$data" -m immediate -w
    fi
    socket=$(cat "$home/socket" 2>/dev/null) || return 0
    case $socket in /tmp/oms-??????) rm -rf "$socket" ;; esac
}

print_env() {
    running || die "cluster $name is not running; start it with: scripts/cluster.sh start $name"
    echo "export PGHOST=$(cat "$home/socket") PGPORT=$(cat "$home/port") PGUSER=postgres PGDATABASE=postgres"
    echo "export PGPASSFILE='$home/pgpass'"
}

# The lock keeps two starts of one name from making it twice. Descriptor 9 must not reach the server, which would hold it.
with_lock() {
    mkdir -p "$run_dir"
    exec 9>"$run_dir/$name.lock"
    flock 9
    "$@"
}

destroy() {
    stop
    rm -rf "${home:?}"
    rm -rf "${run_dir:?}/$name"
    case $home in /var/tmp/oms-*) rmdir --ignore-fail-on-non-empty "$(dirname "$home")" ;; esac
}

clusters() {
    local pass
    for pass in "$run_dir"/*/pgpass; do
        [ ! -f "$pass" ] || basename "$(dirname "$pass")"
    done
}

select_cluster() {
    name=$1
    [[ $name =~ ^[a-z0-9][a-z0-9_.-]*$ ]] || die "a cluster's name is made of a-z, 0-9, '_', '-', '.': $name"
    home=$run_dir/$name
    if [ -d "$home" ]; then home=$(cd "$home" && pwd -P); fi
    data=$home/data
}

usage() {
    sed -n '2,/^set -euo/{/^#/!d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
}

[ $# -ge 1 ] || usage
command=$1
shift
settings=()
case $command in
start)
    [ $# -ge 1 ] || usage
    select_cluster "$1"
    shift
    while [ $# -gt 0 ]; do
        [ "$1" = --set ] && [[ ${2:-} == *=* ]] || usage
        settings+=("$2")
        shift 2
    done
    home=$(state_dir "$name")
    data=$home/data
    with_lock start
    print_env
    ;;
stop | env | destroy)
    [ $# -eq 1 ] || usage
    if [ "$1" = --all ] && [ "$command" != env ]; then
        for each in $(clusters); do "$0" "$command" "$each"; done
        exit
    fi
    select_cluster "$1"
    case $command in
    env) print_env ;;
    *) [ ! -d "$home" ] || with_lock "$command" ;;
    esac
    ;;
list)
    for each in $(clusters); do
        select_cluster "$each"
        if running; then echo "$name running, port $(cat "$home/port")"; else echo "$name stopped"; fi
    done
    ;;
*) usage ;;
esac
