#!/usr/bin/env bash
# Runs every check of the given kinds (default: all), also after one has failed, and names the failed ones.
# Files are what git tracks or would track, so that nothing generated is judged.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export PATH="$PWD/.venv/bin:$PATH" LC_ALL=C.UTF-8
# ansible-lint prefers what is installed below Ansible's home to this checkout.
export ANSIBLE_HOME=$PWD/.cache/ansible ANSIBLE_COLLECTIONS_PATH=$PWD/.cache/collections

failed=() passed=0
check() {
    local name=$1
    shift
    echo "--- $name"
    if "$@"; then passed=$((passed + 1)); else failed+=("$name"); fi
}
files() {
    local found
    mapfile -d '' -t found < <(git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@")
    local file
    for file in "${found[@]}"; do [ ! -f "$file" ] || printf '%s\0' "$file"; done
}
on_files() { # COMMAND... -- PATHSPEC...
    local command=() list
    while [ "$1" != -- ]; do command+=("$1"); shift; done
    shift
    mapfile -d '' -t list < <(files "$@")
    [ "${#list[@]}" -gt 0 ] || { echo "no files match: $*" >&2; return 1; }
    "${command[@]}" "${list[@]}"
}
new_secrets() {
    # A copy, because the hook rewrites line numbers in the baseline and calls that a failure (3).
    local copy=.cache/secrets.baseline status=0
    cp .secrets.baseline "$copy"
    on_files detect-secrets-hook --baseline "$copy" -- . ':!*uv.lock' ':!.secrets.baseline' || status=$?
    [ "$status" = 0 ] || [ "$status" = 3 ]
}

for kind in "${@:-all}"; do
    case $kind in
        all | ruff)
            check 'ruff check' ruff check --quiet --output-format concise .
            check 'ruff format' ruff format --check --output-format concise .
            ;;&
        all | mypy)
            # Plugins by the name they are imported by; the rest are scripts and tests, by path.
            check 'mypy plugins' mypy -p ansible_collections.techsaas.hardened.plugins
            check 'mypy tests and tools' on_files mypy -- '*.py' ':!plugins' ':!examples'
            ;;&
        all | yaml) check yamllint yamllint --strict . ;;&
        all | ansible)
            check ansible-lint ansible-lint -q --nocolor
            check changelog antsibull-changelog lint
            ;;&
        all | secrets)
            check 'new secrets' new_secrets
            check 'clear secrets' on_files python tools/clear_secrets.py -- .
            ;;&
        all | ruff | mypy | yaml | ansible | secrets) ;;
        *) check "unknown kind: $kind" false ;;
    esac
done
echo "lint: $passed passed, ${#failed[@]} failed"
[ "${#failed[@]}" = 0 ] || { printf 'lint failed: %s\n' "${failed[@]}" >&2; exit 1; }
