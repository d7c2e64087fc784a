#!/usr/bin/env bash
# Runs make targets one after another, stops at the first that fails, and says how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "steps: nothing to run" >&2; exit 1; }

report=()
for step in "$@"; do
    printf '\n=== %s\n' "$step"
    started=$SECONDS status=ok
    make --no-print-directory "$step" </dev/null || status=FAILED
    report+=("$(printf '%-32s %-6s %5d s' "$step" "$status" $((SECONDS - started)))")
    [ "$status" = ok ] || break
done
printf '\n=== summary\n'
printf '%s\n' "${report[@]}"
[ "$status" = ok ]
