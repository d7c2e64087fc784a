#!/usr/bin/env bash
# ansible-test sanity, on a copy of what git tracks or would track: ansible-test accepts a collection only below
# ansible_collections/NAMESPACE/NAME, in a repository of its own. Its environments are kept in .cache/sanity/home,
# so that only the first run needs the network.
#   tools/sanity.sh [ansible-test options and paths]
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD/.cache/sanity
copy=$root/ansible_collections/techsaas/hardened
site=$(.venv/bin/python -c 'import ansible_test; print(ansible_test.__path__[0])')

rm -rf "$copy"
mkdir -p "$copy" "$root/home/.ansible/test/cache"
git ls-files -z --cached --others --exclude-standard --deduplicate |
    while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
    tar --create --null --files-from=- | tar --extract --directory "$copy"
git -C "$copy" init --quiet

# Under the name of the pip version that this ansible-test asks for.
sed -n "s/^ *pip='\([0-9.]*\)',/\1/p" "$site/_internal/python_requirements.py" | while read -r version; do
    cp tools/get_pip.py "$root/home/.ansible/test/cache/get_pip_${version//./_}.py"
done

cd "$copy"
export HOME=$root/home LC_ALL=C.UTF-8 PATH=$OLDPWD/.venv/bin:$PATH
ansible-test sanity --local --color no --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$@" \
    |& tee "$root/output"
# ansible-test itself counts only what failed.
echo "sanity: $(grep -c '^Running sanity test ' "$root/output") passed"
