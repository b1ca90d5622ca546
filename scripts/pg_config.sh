#!/usr/bin/env bash
# Prints the pg_config to build against: $PG_CONFIG if set, else Debian's highest server version that has its headers,
# else the one in PATH. Prints nothing when no PostgreSQL here can build an extension; the caller decides what that means.
set -euo pipefail

# Debian puts pg_config into the client package; without the -server-dev package it names files that do not exist.
can_build() {
    [ -x "$1" ] && [ -f "$("$1" --pgxs 2>/dev/null)" ] && [ -f "$("$1" --includedir-server 2>/dev/null)/postgres.h" ]
}

if [ -n "${PG_CONFIG:-}" ]; then
    echo "$PG_CONFIG"
    exit
fi
for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -rV) "$(command -v pg_config || true)"; do
    if can_build "$candidate"; then
        echo "$candidate"
        exit
    fi
done
