# shellcheck shell=bash
# Sourced, not run. Who runs a private PostgreSQL, and where its files may live.
#
# PostgreSQL refuses to run as root. A normal user runs it directly; root runs it as the system user `postgres`, which often
# cannot enter the checkout (below a 0700 home, say). state_dir hides that difference from its callers: they name a
# directory in .run/, and get one that the server's user owns and can reach.

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
run_dir=$checkout/.run

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

if [ "$(id -u)" = 0 ]; then
    server_user=${OMS_SERVER_USER:-postgres}
else
    server_user=$(id -un)
fi

# Runs a command as the server's user, with the caller's environment, in a directory that user can enter.
as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" --init-groups \
            env HOME=/nonexistent USER="$server_user" LOGNAME="$server_user" "$@")
    else
        "$@"
    fi
}

# True when the server's user can read what lies in the checkout.
server_user_reads_checkout() {
    as_server_user test -r "$checkout/scripts/cluster.sh"
}

# Makes .run/NAME if need be, owned by the server's user, and prints its real path.
state_dir() {
    local link=$run_dir/$1 place
    mkdir -p "$run_dir"
    if [ -d "$link" ]; then
        (cd "$link" && pwd -P)
        return
    fi
    rm -f "$link"    # a link to what is no longer there
    if server_user_reads_checkout; then
        place=$link
    else
        place=/var/tmp/oms-$(printf '%s' "$checkout" | sha256sum | cut -c1-12)/$1
        # /var/tmp belongs to everybody: take the directory only if it is new or already ours.
        mkdir -p -m 0755 "$(dirname "$place")"
        if [ -L "$(dirname "$place")" ] || [ ! -O "$(dirname "$place")" ]; then
            die "$(dirname "$place") belongs to somebody else; remove it and try again"
        fi
        ln -sfn "$place" "$link"
    fi
    mkdir -p -m 0700 "$place"
    if [ "$(id -u)" = 0 ]; then chown "$server_user:" "$place"; fi
    echo "$place"
}
