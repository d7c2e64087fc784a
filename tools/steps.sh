#!/usr/bin/env bash
# Runs make targets one after another, stops at the first that fails (not with --keep-going), and says of each how long
# it took and how many of its tests passed: the sum of all "N passed" that its runners printed (Molecule verifies more
# than once).
set -euo pipefail
cd "$(dirname "$0")/.."
keep_going=
[ "${1:-}" != --keep-going ] || { keep_going=yes; shift; }
[ $# -gt 0 ] || { echo "steps: nothing to run" >&2; exit 1; }

mkdir -p .cache
output=$(mktemp .cache/steps.XXXXXX)
trap 'rm -f "$output"' EXIT
count() { # passed or skipped
    sed 's/\x1b\[[0-9;]*m//g' "$output" | grep -oE "\<[0-9]+ $1\>" | awk '{ sum += $1 } END { print sum + 0 }'
}

report=() failed=
for step in "$@"; do
    printf '\n=== %s\n' "$step"
    started=$SECONDS status=ok
    make --no-print-directory "$step" </dev/null |& tee "$output" || status=FAILED
    report+=("$(printf '%-32s %-6s %5d s %5d passed %3d skipped' \
        "$step" "$status" $((SECONDS - started)) "$(count passed)" "$(count skipped)")")
    [ "$status" = ok ] || failed=yes
    [ -z "$failed" ] || [ -n "$keep_going" ] || break
done
printf '\n=== summary\n'
printf '%s\n' "${report[@]}"
[ -z "$failed" ]
