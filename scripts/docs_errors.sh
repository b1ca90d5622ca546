#!/usr/bin/env bash
# Prints docs/errors.md, made from what oms.errors() of the installed extension says:
#
#   scripts/docs_errors.sh >docs/errors.md
#
# Uses the server that PGHOST names, else a private one of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

database=oms_docs_errors
if [ -z "${PGHOST:-}" ]; then
    trap 'scripts/cluster.sh destroy docs-errors' EXIT
    settings=$(scripts/cluster.sh start docs-errors --set fsync=off)
    eval "$settings"
fi

run() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

run -d postgres -c "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database" 2>/dev/null
cat <<'PAGE'
# Errors

<!-- Made by scripts/docs_errors.sh from oms.errors(); edit src/pg/errors.hpp instead. -->

Every error that the extension raises itself has a SQLSTATE of class `OM`. A code, once released, keeps its meaning.
The message names the thing and its state, `DETAIL` says what was found, `HINT` what would be legal now. *Retry* tells
whether the same call may succeed later without a change by the caller. What to do in code, and PostgreSQL's own errors
beside these: [error-handling.md](error-handling.md).

| SQLSTATE | name | retry | meaning | what to do |
|---|---|---|---|---|
PAGE
run -d "$database" <<'SQL'
CREATE EXTENSION oms;
SELECT format('| `%s` | `%s` | %s | %s | %s |', sqlstate, name, CASE WHEN retryable THEN 'yes' ELSE 'no' END, meaning, action)
FROM oms.errors() ORDER BY sqlstate;
SQL
run -d postgres -c "DROP DATABASE $database"
