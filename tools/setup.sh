#!/usr/bin/env bash
# Prepares this checkout, and does nothing where it is prepared already.
#   tools/setup.sh packages   the Debian packages of tools/debian-packages.txt (needs root when any is missing)
#   tools/setup.sh venv       .venv from uv.lock, with this checkout in it as techsaas.hardened
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
export UV_PYTHON_DOWNLOADS=never DEBIAN_FRONTEND=noninteractive

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

missing_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

# Keeps Debian from starting a database server of its own on the developer's machine.
install_without_cluster() {
    local conf=/etc/postgresql-common/createcluster.conf kept
    if [[ " $* " != *" postgresql "* ]]; then
        apt-get install -y -q --no-install-recommends "$@"
        return
    fi
    apt-get install -y -q --no-install-recommends postgresql-common
    kept=$(mktemp)
    cp -p "$conf" "$kept"
    echo 'create_main_cluster = false' >>"$conf"
    local status=0
    apt-get install -y -q --no-install-recommends "$@" || status=$?
    cp -p "$kept" "$conf"
    rm -f "$kept"
    return "$status"
}

install_packages() {
    local missing
    command -v dpkg-query >/dev/null || die "this is not Debian: install these yourself: $*"
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        die "these Debian packages are missing, and installing them needs root: ${missing[*]}
setup: run:  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    # A source that is not ours may be broken; whether the packages can be had is for the install to say.
    apt-get update -q || say "apt-get update failed; trying with the lists that are there"
    install_without_cluster "${missing[@]}"
}

# Prints the first Python that can make our environment; PYTHON3 names one to use instead.
find_python() {
    local candidate
    for candidate in ${PYTHON3:-python3 /usr/bin/python3 python3.13 python3.12 python3.11}; do
        "$candidate" -c 'import ensurepip, sys, venv
if sys.version_info < (3, 11): sys.exit(1)
print(sys.executable)' 2>/dev/null && return 0
    done
    return 1
}

# This checkout under its collection name: in .venv for Python, in .cache/collections for Ansible, which looks
# there before it looks into the home directory, and for mypy (see pyproject.toml).
link_collection() {
    local parent link
    for parent in .venv/lib/python3.*/site-packages .cache/collections; do
        link=$parent/ansible_collections/techsaas/hardened
        mkdir -p "$(dirname "$link")"
        ln -rsfn . "$link"
    done
}

make_venv() {
    local python stamp
    stamp="$PWD $(cat pyproject.toml uv.lock tools/setup.sh | sha256sum)"
    if [ -x .venv/bin/python ] && [ "$(cat .venv/.stamp 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    # A checkout that was moved leaves its old path in every script of the environment.
    [[ "$(cat .venv/.stamp 2>/dev/null)" == "$PWD "* ]] || rm -rf .venv
    if ! python=$(find_python); then
        install_packages python3 python3-venv
        python=$(find_python) || die "no Python >= 3.11 with venv and ensurepip (Debian 12 and newer have it: apt-get install python3-venv); PYTHON3= names another"
    fi
    [ -n "${PYTHON3:-}" ] || [ ! -x .venv/bin/python ] || python=$PWD/.venv/bin/python
    if [ "$(.cache/uv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
        say "fetching uv $UV_VERSION with $python"
        rm -rf .cache/uv
        "$(find_python)" -m venv .cache/uv
        .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
    fi
    say "making .venv from uv.lock with $python"
    .cache/uv/bin/uv sync --quiet --frozen --python "$python"
    # The example's image and its tests are made with it too.
    ln -rsf .cache/uv/bin/uv .venv/bin/uv
    echo "$stamp" >.venv/.stamp
}

mkdir -p .cache
exec 9>.cache/setup.lock
flock 9
case ${1:-} in
    packages)
        mapfile -t packages < <(sed -n 's/^\([a-z][^ ]*\) .*/\1/p' tools/debian-packages.txt)
        install_packages "${packages[@]}"
        ;;
    venv)
        make_venv
        link_collection
        ;;
    *) die "usage: tools/setup.sh packages|venv" ;;
esac
