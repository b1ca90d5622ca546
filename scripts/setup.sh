#!/usr/bin/env bash
# Installs from Debian or Ubuntu what is missing to build, test, show and measure oms, and nothing else. Runs as root or with
# sudo; does nothing, without asking for rights, when everything is there. It never touches an existing cluster, and leaves
# none behind: tests and demo make private ones (scripts/cluster.sh).
#
#   scripts/setup.sh          everything
#   scripts/setup.sh build    only what building the extension and the worker needs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "setup: $*" >&2
    exit 1
}

# One line each: package, group, why. VERSION stands for PostgreSQL's major version.
packages() {
    cat <<'LIST'
g++                             build  C++20 compiler of the extension and the worker
make                            build  runs the Makefile
postgresql-server-dev-VERSION   build  server headers, PGXS, pg_regress and isolationtester
libpq-dev                       build  worker: the connection to PostgreSQL
librdkafka-dev                  build  worker: the connection to Kafka, and its embedded broker
libcli11-dev                    build  worker: command line and configuration file
libspdlog-dev                   build  worker: log lines
nlohmann-json3-dev              build  worker: JSON
libcpp-httplib-dev              build  worker: health and metrics over HTTP
prometheus-cpp-dev              build  worker: metrics in Prometheus' form
libxxhash-dev                   build  order ids and fingerprints: the hash that routers compute too
pkgconf                         build  names the flags of the libraries above
postgresql-VERSION              all    the server
libgtest-dev                    all    unit tests
libgmock-dev                    all    unit tests: matchers
libbenchmark-dev                all    benchmarks of pure code
libipc-run-perl                 all    TAP tests: PostgreSQL::Test needs it, the server package does not bring it
python3-psycopg2                all    tests and examples from Python
python3-pip                     all    benchmarks: fetches the SQL of a rival, pgmq
spin                            all    model checker of the doorbell protocol
clang-format                    all    the format check
pgbouncer                       all    worker tests: a pooler to be refused
jq                              all    demo and tests: reads JSON
kcat                            all    demo and tests: a Kafka consumer that is not ours
iproute2                        all    fault tests: a network that can be cut
LIST
}

# PostgreSQL's major version here: of the one to build against, else of a server without headers, else none.
version_here() {
    local config
    config=$(scripts/pg_config.sh)
    if [ -n "$config" ]; then
        "$config" --version
    else
        printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -rV
    fi | grep -oE '[0-9]+' | head -n 1
}

# On a bare machine: what the distribution calls `postgresql`.
version_offered() {
    apt-cache depends postgresql | sed -nE 's/.*: postgresql-([0-9]+)$/\1/p' | head -n 1
}

refresh_lists() {
    [ -n "${refreshed:-}" ] || scripts/as_root.sh apt-get update -q
    refreshed=yes
}

installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# What is asked for and not there.
missing() {
    local package group
    while read -r package group _; do
        if [ "$wanted" = build ] && [ "$group" != build ]; then continue; fi
        package=${package/VERSION/$version}
        installed "$package" || echo "$package"
    done < <(packages)
}

# Debian makes and starts a cluster `main` when the server package arrives. We need none, so we leave none behind: this
# drop-in forbids it, and lives only while we install.
no_cluster_on_install=/etc/postgresql-common/createcluster.d/oms-setup.conf

install_packages() {
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends --no-upgrade)
    refresh_lists
    if ! installed "postgresql-$version"; then
        scripts/as_root.sh mkdir -p "$(dirname "$no_cluster_on_install")"
        trap 'scripts/as_root.sh rm -f "$no_cluster_on_install"' EXIT
        echo "create_main_cluster = false" | scripts/as_root.sh tee "$no_cluster_on_install" >/dev/null
    fi
    scripts/as_root.sh "${install[@]}" "$@"
}

wanted=${1:-all}
case $wanted in
build | all) ;;
*) sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "$0" >&2 && exit 2 ;;
esac
command -v dpkg-query >/dev/null || die "knows Debian and Ubuntu only; elsewhere install by hand: $(packages | awk '{ printf "%s ", $1 }')"

version=$(version_here) || true
if [ -z "$version" ]; then
    refresh_lists
    version=$(version_offered)
fi
[ -n "$version" ] || die "the distribution offers no PostgreSQL"
mapfile -t absent < <(missing)
if [ ${#absent[@]} -gt 0 ]; then
    echo "setup: installing ${absent[*]}"
    install_packages "${absent[@]}"
fi
