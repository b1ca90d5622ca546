#!/usr/bin/env bash
# Proves that each check can fail: builds a small tree that all checks accept, adds one violation at a time, and asserts
# that the check reports it at its file and line. A check without a case here is a failure too.
set -uo pipefail
export PYTHONDONTWRITEBYTECODE=1
checks=$(cd "$(dirname "${BASH_SOURCE[0]}")/checks" && pwd)
style=$(cd "$checks/../../.." && pwd)/.clang-format

tree=$(mktemp -d "${TMPDIR:-/tmp}/oms-lint-XXXXXX")
trap 'rm -rf "$tree"' EXIT
passed=0
failed=0
proven=' '

verdict() {
    if [ "$1" = ok ]; then
        passed=$((passed + 1))
    else
        echo "FAIL  self-test: $2"
        failed=$((failed + 1))
    fi
}

# A tree with one file of each kind, without a fault.
clean_tree() {
    rm -rf "$tree"
    mkdir -p "$tree"/{src/{api,orders,payments,log,pg,core},sql,expected,test/isolation/{specs,expected},scripts}
    cd "$tree" || exit 1
    cp "$style" .clang-format
    printf '#include "api/create.hpp"\n#include "log/log.hpp"\n#include "pg/poison.hpp"\n' >src/oms.cpp
    printf 'int answer();\n' >src/api/create.hpp
    cat >src/api/create.cpp <<'END'
// new std::vector, PG_TRY and palloc(1) in a comment are words; R"(...)" and "~Destroyed" are texts.
#include "orders/orders.hpp"
#include "pg/errors.hpp"
#include "pg/poison.hpp"

struct Shape {
    static int corners();
};

int answer() {
    static constexpr int table[] = {1, 2};
    const char* text = "PG_TRY new int ereport(";
    return table[0] + (text != nullptr) + 1'000'000;
}
END
    sed -i 's/ and "~Destroyed"//' src/api/create.cpp
    printf '#include "log/log.hpp"\n\nint order();\n' >src/orders/orders.hpp
    printf 'int payment();\n' >src/payments/payments.hpp
    printf '#include "pg/errors.hpp"\n\nint append();\n' >src/log/log.hpp
    printf 'int secret();\n' >src/log/cursor.hpp
    printf '#include "postgres.h"\n#include "core/money.hpp"\n\nint error();\n' >src/pg/errors.hpp
    printf '#pragma GCC poison SPI_connect\n' >src/pg/poison.hpp
    printf '#include "pg/errors.hpp"\n\nvoid once() {\n    PG_TRY();\n    { ereport(1); }\n}\n' >src/pg/subtransaction.cpp
    printf '#include <cstdint>\n\nint minor();\n' >src/core/money.hpp
    mkdir -p worker/{runtime,relay,http,db,kafka,command,test}
    printf '#include "command/run.hpp"\n#include "runtime/clock.hpp"\n' >worker/main.cpp
    printf '#include <spdlog/spdlog.h>\n\nint now();\n' >worker/runtime/clock.hpp
    printf '#include "runtime/clock.hpp"\n\nint source();\n' | tee worker/relay/ports.hpp >worker/http/ports.hpp
    printf '#include "relay/ports.hpp"\n\nint window();\n' >worker/relay/window.hpp
    cat >worker/db/events.hpp <<'END'
#include <libpq-fe.h>
#include "http/ports.hpp"
#include "relay/ports.hpp"

constexpr const char* read_events = "SELECT id FROM oms.read_events($1)";
END
    printf '#include <librdkafka/rdkafka.h>\n#include "relay/ports.hpp"\n' >worker/kafka/producer.hpp
    printf '#include "db/events.hpp"\n#include "kafka/producer.hpp"\n#include "relay/window.hpp"\n' >worker/command/run.hpp
    printf '#include <libpq-fe.h>\n#include "relay/window.hpp"\n' >worker/test/window_test.cpp
    echo 'SELECT 1;' | tee sql/install.sql >expected/install.out
    echo 'session a' | tee test/isolation/specs/race.spec >test/isolation/expected/race.out
    echo 'test: install' >test/regress.schedule
    printf "default_version = '1.1'\n" >oms.control
    touch oms--1.0.sql oms--1.0--1.1.sql
    printf '{"version": "1.1.0", "provides": {"oms": {"version": "1.1.0", "file": "oms--1.0.sql"}}}\n' >META.json
    printf '# Changes\n\n## 1.1\n' >CHANGELOG.md
    printf '#!/usr/bin/env bash\ntrue\n' >scripts/run.sh
    chmod +x scripts/run.sh
}

# reports CHECK PLACE [WHAT]: the check names PLACE (file:line), and says WHAT.
reports() {
    local out
    proven+="$1 "
    out=$("$checks/$1" 2>&1)
    if grep -F -- "$2: " <<<"$out" | grep -qF -- "${3:-}"; then
        verdict ok
    else
        verdict bad "$1 does not report $2 ${3:-}; it says: ${out:-nothing}"
    fi
}

# violation CHECK PLACE WHAT: writes standard input to the file of PLACE in a clean tree; the check must report it there.
violation() {
    clean_tree
    mkdir -p "$(dirname "${2%%:*}")"
    cat >"${2%%:*}"
    reports "$@"
}

clean_tree
for check in "$checks"/*; do
    [ -f "$check" ] && [ -x "$check" ] || continue
    out=$("$check" 2>&1)
    if [ -z "$out" ]; then verdict ok; else verdict bad "$(basename "$check") complains about a clean tree: $out"; fi
done

violation layers src/log/bell.cpp:1 'above it' <<<'#include "orders/orders.hpp"'
violation layers src/pg/table.cpp:1 'above it' <<<'#include "log/log.hpp"'
violation layers src/core/ids.hpp:2 'above it' <<<$'\n#include "pg/errors.hpp"'
violation layers src/core/ids.hpp:1 'only pg/ includes' <<<'#include "postgres.h"'
violation layers src/orders/load.cpp:1 'do not know each other' <<<'#include "payments/payments.hpp"'
violation layers src/api/read.cpp:1 'is private' <<<'#include "log/cursor.hpp"'
violation layers src/orders/load.cpp:1 'is private' <<<'#include "../log/cursor.hpp"'
violation layers src/oms.cpp:1 'is private' <<<'#include "log/cursor.hpp"'
violation layers src/helpers/misc.cpp:1 'has no level' <<<'int misc();'
violation layers src/misc.cpp:1 'lies in no room' <<<'int misc();'

violation worker_layers worker/relay/relay.cpp:1 'relay includes db' <<<'#include "db/events.hpp"'
violation worker_layers worker/relay/relay.cpp:1 'relay includes kafka' <<<'#include "../kafka/producer.hpp"'
violation worker_layers worker/relay/relay.cpp:2 'relay includes http' <<<$'\n#include "http/ports.hpp"'
violation worker_layers worker/clock/timekeeper.cpp:1 'clock includes relay' <<<'#include "relay/ports.hpp"'
violation worker_layers worker/clock/ports.hpp:1 'clock includes db' <<<'#include "db/events.hpp"'
violation worker_layers worker/http/server.cpp:1 'http includes command' <<<'#include "command/run.hpp"'
violation worker_layers worker/runtime/log.cpp:1 'runtime includes relay' <<<'#include "relay/ports.hpp"'
violation worker_layers worker/db/pool.cpp:1 'db includes kafka' <<<'#include "kafka/producer.hpp"'
violation worker_layers worker/db/pool.cpp:1 'is private' <<<'#include "relay/window.hpp"'
violation worker_layers worker/kafka/consumer.cpp:1 'is private' <<<'#include "relay/window.hpp"'
violation worker_layers worker/main.cpp:1 'main.cpp includes relay' <<<'#include "relay/window.hpp"'
violation worker_layers worker/relay/relay.cpp:1 'known to db alone' <<<'#include <libpq-fe.h>'
violation worker_layers worker/command/run.cpp:1 'known to db alone' <<<'#include <libpq/libpq-fs.h>'
violation worker_layers worker/db/pool.cpp:1 'known to kafka alone' <<<'#include <librdkafka/rdkafka.h>'
violation worker_layers worker/kafka/consumer.cpp:1 'known to db alone' <<<'#include <libpq-fe.h>'
violation worker_layers worker/relay/relay.cpp:1 'known to http alone' <<<'#include <httplib.h>'
violation worker_layers worker/relay/relay.cpp:1 'is not in worker/' <<<'#include "core/retry.hpp"'
violation worker_layers worker/helpers/misc.cpp:1 'is not on the map' <<<'int misc();'
violation worker_layers worker/db/pool.cpp:1 'oms.event is a table' <<<'constexpr const char* all = "SELECT id FROM oms.event";'

violation destructors src/pg/scope.hpp:2 'destructor' <<<$'struct Scope {\n    ~Scope();\n};'

for call in 'SPI_connect()' 'ereport(ERROR)' 'elog(LOG)' 'table_open(oid)' 'heap_open(oid)' 'palloc(8)' 'pfree(p)' 'siglongjmp(b, 1)'; do
    violation poison src/api/raw.cpp:2 "${call%%(*}" <<<$'#include "pg/poison.hpp"\nint raw() { return '"$call; }"
done
violation poison src/orders/raw.cpp:2 'PG_TRY outside' <<<$'#include "pg/poison.hpp"\nint raw() { PG_TRY(); }'
violation poison src/pg/plan.cpp:1 'PG_TRY outside' <<<'int raw() { PG_TRY(); }'
violation poison src/pg/subtransaction.cpp:2 'a second PG_TRY' <<<$'int a() { PG_TRY(); }\nint b() { PG_TRY(); }'
violation poison src/api/raw.cpp:1 'the last include' <<<'#include "orders/orders.hpp"'
violation poison src/api/raw.cpp:2 'the last include' <<<$'#include "pg/poison.hpp"\n#include "orders/orders.hpp"'

for use in 'new int' 'new Shape[3]' 'delete p' 'std::vector<int> v' 'std::string s' 'std::function<void()> f' 'v.at(0)' 'o->value()' \
    'view.substr(1)' 'malloc(8)' 'throw 1'; do
    violation allocation src/api/heap.cpp:2 'in the server' <<<$'int raw() {\n    '"$use;"$'\n}'
done
violation allocation src/pg/heap.cpp:1 'new' <<<'int* raw() { return new int; }'

violation statics src/pg/cache.cpp:2 'static' <<<$'int cached() {\n    static int oid = look_up();\n    return oid;\n}'
violation statics src/api/cache.cpp:4 'static' <<<$'namespace oms {\nstruct Cache {\n    int get() {\n        static const Oid oid{look_up()};\n    }\n};\n}'

clean_tree
{ for ((i = 0; i < 501; i++)); do echo 'int x;'; done; } >src/pg/long.cpp
reports sizes src/pg/long.cpp:501 '501 lines'

clean_tree
echo 'SELECT 2;' >sql/forgotten.sql
reports schedule sql/forgotten.sql:1 'named 0 times'
reports schedule sql/forgotten.sql:1 'no expected/forgotten.out'
printf 'test: install\ntest: install\n' >test/regress.schedule
reports schedule sql/install.sql:1 'named 2 times'
printf 'test: install\ntest: gone\n' >test/regress.schedule
reports schedule test/regress.schedule:2 'no sql/gone.sql'
touch expected/orphan.out test/isolation/specs/lonely.spec
reports schedule expected/orphan.out:1 'no sql/orphan.sql'
reports schedule test/isolation/specs/lonely.spec:1 'no test/isolation/expected/lonely.out'

violation versions oms.control:1 'no script leads to version 2.0' <<<"default_version = '2.0'"
reports versions META.json:1 'version is 1.1.0'
reports versions CHANGELOG.md:1 'no heading for 2.0'
violation versions oms.control:1 'no default_version' <<<"comment = 'x'"

violation leaks scripts/run.sh:2 'path of one machine' <<<$'#!/usr/bin/env bash\ncat /home/ann/notes'
violation leaks docs/guide.md:1 'path of one machine' <<<"see /$(printf work)/notes"
violation leaks src/pg/half.cpp:1 'unfinished' <<<'int half();  // TODO the other half'
violation leaks src/pg/half.cpp:1 'unfinished' <<<'int half();  // FIXME'
violation leaks docs/guide.md:1 'tracker' <<<"as said in issue $((3 * 4))"

if command -v clang-format >/dev/null; then
    violation format src/pg/crooked.hpp:1 'not as .clang-format says' <<<'int  crooked( );'
else
    proven+='format '
fi

violation shell scripts/broken.sh:4 'syntax error' <<<$'#!/usr/bin/env bash\nif true; then\n'
chmod +x scripts/broken.sh
violation shell scripts/locked.sh:1 'not executable' <<<$'#!/usr/bin/env bash\ntrue'
violation shell test/broken.py:2 '' <<<$'#!/usr/bin/env python3\ndef'

for check in "$checks"/*; do
    if [ -f "$check" ] && [ -x "$check" ] && [[ $proven != *" $(basename "$check") "* ]]; then verdict bad "no case shows that $(basename "$check") can fail"; fi
done

echo "self-test: $passed passed, $failed failed"
[ $failed -eq 0 ]
