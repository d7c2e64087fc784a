#!/usr/bin/env bash
# Runs make targets one after another, stops at the first that fails (not with --keep-going), and says of each how long
# it took, how many of its tests passed and which failed: the sum of all "N passed" that its runners printed (Molecule
# verifies more than once).
set -euo pipefail
cd "$(dirname "$0")/.."
keep_going=
[ "${1:-}" != --keep-going ] || { keep_going=yes; shift; }
[ $# -gt 0 ] || { echo "steps: nothing to run" >&2; exit 1; }

mkdir -p .cache
output=$(mktemp .cache/steps.XXXXXX)
trap 'rm -f "$output"' EXIT
# Runners wrap their lines to it, and a name that is cut off is no name.
export COLUMNS=${COLUMNS:-200}
plain() { sed 's/\x1b\[[0-9;]*m//g' "$output"; }
count() { # passed or skipped
    plain | grep -oE "\<[0-9]+ $1\>" | awk '{ sum += $1 } END { print sum + 0 }'
}
failures() { plain | grep -oE '(FAILED|ERROR) [^ ]+::.*' | sort -u | head -n 20 || true; }

report=() failed=
for step in "$@"; do
    printf '\n=== %s\n' "$step"
    started=$SECONDS status=ok
    make --no-print-directory "$step" </dev/null |& tee "$output" || status=FAILED
    report+=("$(printf '%-32s %-6s %5d s %5d passed %3d skipped' \
        "$step" "$status" $((SECONDS - started)) "$(count passed)" "$(count skipped)")")
    [ "$status" = ok ] || { failed=yes; report+=("$(failures)"); }
    [ -z "$failed" ] || [ -n "$keep_going" ] || break
done
printf '\n=== summary\n'
printf '%s\n' "${report[@]}"
[ -z "$failed" ]
