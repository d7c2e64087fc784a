#!/usr/bin/env bash
# Tests of the secrets backends against real servers. They and the client libraries (130 MB to fetch) come into an
# environment of their own below .cache, which sees .venv too; the hashes of requirements.txt are enforced.
#   tests/backends/run.sh [pytest options and files, tests/backends unless said otherwise]
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=$PWD/.cache/backends
stamp="$PWD $(cat tests/backends/requirements.txt tests/backends/run.sh | sha256sum)"
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$venv"
    .venv/bin/uv venv --quiet --no-python-downloads --python .venv/bin/python "$venv"
    .venv/bin/uv pip install --quiet --require-hashes --python "$venv/bin/python" -r tests/backends/requirements.txt
    # After its own packages it looks into those of .venv.
    (cd .venv && ls -d "$PWD"/lib/python3.*/site-packages) >"$(ls -d "$venv"/lib/python3.*/site-packages)/checkout.pth"
    echo "$stamp" >"$venv/.stamp"
fi
export LC_ALL=C.UTF-8 ANSIBLE_COLLECTIONS_PATH=$PWD/.cache/collections
# The caller's own pytest is not meant, nor is where it stands.
unset PYTEST_ADDOPTS
case " $* " in *.py*) files=() ;; *) files=(tests/backends) ;; esac
exec "$venv/bin/python" -m pytest -n 0 "${files[@]}" "$@"
