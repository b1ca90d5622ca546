#!/usr/bin/env bash
# Fails when LIBRARY needs the C++ runtime. The server has none: an exception or a failed operator new in it ends every
# session, and a destructor that unwinding would run is skipped by PostgreSQL's longjmp.
set -euo pipefail

library=${1:?usage: symbol_gate.sh LIBRARY}
undefined=$(nm -D --undefined-only "$library")
if found=$(grep -E ' U (_Z|__cxa_|__gxx_|_Unwind_)' <<<"$undefined"); then
    echo "$library needs the C++ runtime:" >&2
    c++filt <<<"$found" >&2
    echo "remedy: no new, std::vector, std::string, std::function, .at() in src/ (src/pg/README.md); find the user with: nm -AC src/*/*.o | grep NAME" >&2
    exit 1
fi
