# SPDX-License-Identifier: GPL-3.0-or-later
"""What to tell somebody whose lab has just come up: commands that work when pasted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import paths

TEXT = """
The API answers at https://{domain}/ (at {address}; the lab has no public name). Paste this:

  cd {checkout}
  eval "$(make -s lab-env)"
  api() {{ curl --silent --show-error --cacert "$CA_FILE" --resolve "$DOMAIN:443:$EDGE_ADDRESS" "$@"; echo; }}
  admin() {{ .venv/bin/ansible-vault view {secrets} | sed -n 's/^app_admin_api_key: /X-Admin-Key: /p'; }}

  api "https://$DOMAIN/version"
  key=$(admin | api --header @- --json '{{"client": "demo"}}' "https://$DOMAIN/admin/keys" | sed 's/.*"key":"\\([^"]*\\)".*/\\1/')
  api --header @- --json '{{"name": "first"}}' "https://$DOMAIN/v1/items" <<< "X-API-Key: $key"
  api --header @- "https://$DOMAIN/v1/items" <<< "X-API-Key: $key"

Then try:
  .venv/bin/ansible-playbook -i inventories/lab playbooks/deploy.yml      # again: nothing to change
  .venv/bin/ansible-playbook -i inventories/lab playbooks/deploy.yml -e app_log_level=ERROR   # a release
  .venv/bin/ansible-playbook -i inventories/lab playbooks/rollback.yml    # and back
  make lab-shell HOST=log-1       # the log of your requests: ls /var/log/hardened
  make lab-down                   # remove the lab
"""


def text(secrets: Path, domain: str, address: str) -> str:
    values: Mapping[str, object] = {
        "domain": domain,
        "address": address,
        "checkout": paths.CHECKOUT,
        "secrets": secrets.relative_to(paths.CHECKOUT),
    }
    return TEXT.format(**values)
