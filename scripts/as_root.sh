#!/usr/bin/env bash
# Runs a command as root: directly, or through sudo. Says what it would have run where neither is possible.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
    exec "$@"
elif command -v sudo >/dev/null; then
    exec sudo "$@"
fi
echo "needs root or sudo for: $*" >&2
exit 1
