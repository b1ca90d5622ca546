#!/usr/bin/env bash
# Goal: `make install` puts the library, the extension's files and the worker where PG_CONFIG says, nothing else, and `make uninstall` takes
# exactly these away.
# Method: with DESTDIR in an empty folder, whose files are listed with their modes; nothing is installed on the machine. Then the installed worker
# is asked for its version.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
pg_config=${PG_CONFIG:-$(scripts/pg_config.sh)}
place=$(mktemp -d "${TMPDIR:-/tmp}/oms-install-XXXXXX")
trap 'rm -rf "$place"' EXIT
umask 022
passed=0
failed=0

equal() { # WHAT ACTUAL WANTED
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        printf 'FAIL  %s\n--- wanted\n%s\n--- found\n%s\n' "$1" "$3" "$2"
        failed=$((failed + 1))
    fi
}

files() { (cd "$1" && find . -type f -printf '%m /%P\n' | LC_ALL=C sort); }
make_it() { make --no-print-directory -j"$(nproc)" "$@" >"$place/log" 2>&1 || equal "make $*" "$(tail -n 20 "$place/log")" 'no error'; }

server_files() {
    echo "755 $("$pg_config" --pkglibdir)/oms.so"
    for file in oms.control oms--*.sql; do echo "644 $("$pg_config" --sharedir)/extension/$file"; done
}
worker_in() { { server_files && echo "755 $1/oms-worker"; } | LC_ALL=C sort; }
bindir=$("$pg_config" --bindir)

mkdir "$place/root" "$place/elsewhere"
make_it install DESTDIR="$place/root"
equal 'what is installed' "$(files "$place/root")" "$(worker_in "$bindir")"
equal 'the version of the worker' "$("$place/root$bindir/oms-worker" --version)" "$(sed -n "s/^default_version = '\(.*\)'/\1/p" oms.control)"
make_it install DESTDIR="$place/root"
equal 'what is there after a second time' "$(files "$place/root")" "$(worker_in "$bindir")"
make_it uninstall DESTDIR="$place/root"
equal 'what is left' "$(files "$place/root")" ''

make_it install DESTDIR="$place/elsewhere" WORKER_BINDIR=/opt/oms/bin
equal 'with WORKER_BINDIR' "$(files "$place/elsewhere")" "$(worker_in /opt/oms/bin)"
make_it uninstall DESTDIR="$place/elsewhere" WORKER_BINDIR=/opt/oms/bin
equal 'what is left then' "$(files "$place/elsewhere")" ''

echo "suite install: $passed passed, $failed failed"
[ $failed -eq 0 ]
