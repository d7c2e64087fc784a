# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One name for a secret, whichever backend keeps it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: A secret by its name, from the backend that the environment has chosen
version_added: 0.1.0
author: The techsaas.hardened maintainers (@techsaas)
description:
  - Reads a secret on the controller, from an Ansible Vault file, OpenBao or HashiCorp Vault (version 2 of the key-value
    engine), or AWS Secrets Manager. Which one it is, and how to reach it, is said by variables of the environment, so
    that inventories and roles name secrets only. C(docs/secrets.md) has a complete example of each.
  - A process logs in once for each configuration. Processes that Ansible forks off for tasks use the login of their
    parent where it has one, over connections of their own. An answer is kept for 30 seconds in the process.
  - Every value, and every credential that it was fetched with, is registered with ansible-core's masking of secrets
    (2.22 and newer), in clear and as base64. Values are never templated.
  - A failure is told by class, without values, credentials, or words of a library. The error has the attributes
    C(problem_code), C(problem_rule) and C(problem_fix), which M(techsaas.hardened.validate) reports.
notes:
  - >-
    Codes of failures: C(NAME), C(NOT_FOUND), C(KEY_MISSING), C(NOT_TEXT), C(DENIED), C(UNREACHABLE), C(DEADLINE), C(TLS),
    C(BACKEND), C(BACKEND_INCOMPLETE), C(URL), C(CA_FILE), C(CREDENTIAL_FILE), C(LIBRARY), C(VAULT_PASSWORD),
    C(VAULT_FORMAT), C(CLEAR_TEXT), C(YAML), C(DEADLINE_OPTION), C(REGISTRY), C(REGISTRY_EDITED).
  - Credentials come from the environment of the controller or from files that only their owner may read, never from options or
    variables. For OpenBao these are E(HARDENED_SECRETS_TOKEN) (or E(BAO_TOKEN), E(VAULT_TOKEN)), or E(HARDENED_SECRETS_ROLE_ID) and
    E(HARDENED_SECRETS_SECRET_ID) (or with E(BAO_ROLE_ID), E(VAULT_ROLE_ID) and so on). For AWS they are what its libraries use.
requirements:
  - hvac on the controller, for O(backend=openbao)
  - boto3 on the controller, for O(backend=aws)
options:
  _terms:
    description:
      - Names of secrets. C(NAME.KEY) is one value where a secret holds several - a key of a dictionary in a vault file, a field in
        OpenBao, a key of a JSON object in AWS.
    type: list
    elements: str
    required: true
  return:
    description:
      - V(value) is the value alone.
      - V(record) is a dictionary of C(name), C(class), C(value), C(version) and C(created).
      - V(metadata) is what P(techsaas.hardened.rotation_status#filter) judges - C(name), C(class), C(version), C(created), C(fingerprint)
        and C(history), without the value.
      - >-
        V(rotation) is what roles have to know of a secret that is replaced while it is in use - C(generation), how often it was;
        C(fallbacks), values that are accepted beside the one in use; C(settled), the current value while a new one is tried out;
        C(accepted), keyed fingerprints of all valid values. A term is the name of a
        variable then, and O(names) may say another name in the backend.
    type: str
    choices: [value, record, metadata, rotation]
    default: value
  names:
    description: With O(return=rotation), and for M(techsaas.hardened.secret_rotate), the name in the backend by name of the variable.
    type: dict
    default: {}
    vars: [{name: hardened_secret_names}]
  candidates:
    description:
      - Names of secrets whose new value a release tries out. They stand for that value until M(techsaas.hardened.secret_rotate) has made
        it the current one. The playbook C(rotate.yml) sets it.
    type: list
    elements: str
    default: []
    vars: [{name: hardened_secret_candidates}]
  backend:
    description: Where secrets are kept.
    type: str
    choices: [vault_file, openbao, aws]
    default: vault_file
    vars: [{name: hardened_secrets_backend}]
    env: [{name: HARDENED_SECRETS_BACKEND}]
    ini: [{section: hardened_secrets, key: backend}]
  file:
    description:
      - With O(backend=vault_file), the YAML file, encrypted as a whole by C(ansible-vault).
      - By default C(.secrets/secrets.yml) in the inventory's directory. Ansible reads what else lies in a directory that it was given
        as an inventory, but nothing whose name begins with a dot.
    type: str
    vars: [{name: hardened_secrets_file}]
    env: [{name: HARDENED_SECRETS_FILE}]
    ini: [{section: hardened_secrets, key: file}]
  vault_id:
    description: With O(backend=vault_file), the vault id whose password encrypts a file that does not exist yet.
    type: str
    vars: [{name: hardened_secrets_vault_id}]
    env: [{name: HARDENED_SECRETS_VAULT_ID}]
    ini: [{section: hardened_secrets, key: vault_id}]
  registry:
    description:
      - File with class, version, date, and fingerprint of each secret, written by M(techsaas.hardened.secret_generate).
      - By default C(.secrets/registry.json) in the inventory's directory.
    type: str
    vars: [{name: hardened_secrets_registry}]
    env: [{name: HARDENED_SECRETS_REGISTRY}]
    ini: [{section: hardened_secrets, key: registry}]
  url:
    description:
      - Address of OpenBao, C(https://HOST:PORT). With O(backend=aws), of an end point other than the region's own.
      - Plain http is accepted for loopback addresses only.
    type: str
    vars: [{name: hardened_secrets_url}]
    env: [{name: HARDENED_SECRETS_URL}]
    ini: [{section: hardened_secrets, key: url}]
  ca_file:
    description: PEM file of the authorities that may have issued the server's certificate. By default those of the system.
    type: str
    vars: [{name: hardened_secrets_ca_file}]
    env: [{name: HARDENED_SECRETS_CA_FILE}]
    ini: [{section: hardened_secrets, key: ca_file}]
  mount:
    description: With O(backend=openbao), where the key-value engine is mounted.
    type: str
    default: secret
    vars: [{name: hardened_secrets_mount}]
    env: [{name: HARDENED_SECRETS_MOUNT}]
    ini: [{section: hardened_secrets, key: mount}]
  path:
    description: What stands before each name, in OpenBao and AWS, for example V(production/api).
    type: str
    default: ''
    vars: [{name: hardened_secrets_path}]
    env: [{name: HARDENED_SECRETS_PATH}]
    ini: [{section: hardened_secrets, key: path}]
  field:
    description: With O(backend=openbao), the field that a name without C(.KEY) stands for.
    type: str
    default: value
    vars: [{name: hardened_secrets_field}]
    env: [{name: HARDENED_SECRETS_FIELD}]
    ini: [{section: hardened_secrets, key: field}]
  namespace:
    description: With O(backend=openbao), the namespace.
    type: str
    vars: [{name: hardened_secrets_namespace}]
    env: [{name: HARDENED_SECRETS_NAMESPACE}]
    ini: [{section: hardened_secrets, key: namespace}]
  auth_mount:
    description: With O(backend=openbao), where AppRole is mounted.
    type: str
    default: approle
    vars: [{name: hardened_secrets_auth_mount}]
    env: [{name: HARDENED_SECRETS_AUTH_MOUNT}]
    ini: [{section: hardened_secrets, key: auth_mount}]
  token_file:
    description: With O(backend=openbao), a file with a token. Only its owner may read it.
    type: str
    vars: [{name: hardened_secrets_token_file}]
    env: [{name: HARDENED_SECRETS_TOKEN_FILE}]
    ini: [{section: hardened_secrets, key: token_file}]
  role_id_file:
    description: With O(backend=openbao), a file with the role id of an AppRole. Only its owner may read it.
    type: str
    vars: [{name: hardened_secrets_role_id_file}]
    env: [{name: HARDENED_SECRETS_ROLE_ID_FILE}]
    ini: [{section: hardened_secrets, key: role_id_file}]
  secret_id_file:
    description: With O(backend=openbao), a file with a secret id of the AppRole. Only its owner may read it.
    type: str
    vars: [{name: hardened_secrets_secret_id_file}]
    env: [{name: HARDENED_SECRETS_SECRET_ID_FILE}]
    ini: [{section: hardened_secrets, key: secret_id_file}]
  region:
    description: With O(backend=aws), the region. By default what its libraries find in the environment.
    type: str
    vars: [{name: hardened_secrets_region}]
    env: [{name: HARDENED_SECRETS_REGION}]
    ini: [{section: hardened_secrets, key: region}]
  profile:
    description: With O(backend=aws), the profile.
    type: str
    vars: [{name: hardened_secrets_profile}]
    env: [{name: HARDENED_SECRETS_PROFILE}]
    ini: [{section: hardened_secrets, key: profile}]
  credentials_file:
    description: With O(backend=aws), the file of shared credentials. Only its owner may read it.
    type: str
    vars: [{name: hardened_secrets_credentials_file}]
    env: [{name: HARDENED_SECRETS_CREDENTIALS_FILE}]
    ini: [{section: hardened_secrets, key: credentials_file}]
  deadline:
    description: Seconds that one request to OpenBao or AWS may take, with the login before it.
    type: float
    default: 10
    vars: [{name: hardened_secrets_deadline}]
    env: [{name: HARDENED_SECRETS_DEADLINE}]
    ini: [{section: hardened_secrets, key: deadline}]
seealso:
  - module: techsaas.hardened.secret_generate
  - plugin: techsaas.hardened.rotation_status
    plugin_type: filter
"""

EXAMPLES = r"""
# In group_vars: the same whichever backend is chosen.
app_secret_key: "{{ lookup('techsaas.hardened.secret', 'app_secret_key') }}"
postgres_app_password: "{{ lookup('techsaas.hardened.secret', 'database.password') }}"

# OpenBao, with HARDENED_SECRETS_ROLE_ID in the environment.
hardened_secrets_backend: openbao
hardened_secrets_url: https://bao.example.net:8200
hardened_secrets_ca_file: "{{ inventory_dir }}/.secrets/bao-ca.pem"
hardened_secrets_path: production
hardened_secrets_secret_id_file: /root/.config/hardened/secret-id

# Which secrets have to be replaced?
due: >-
  {{ query('techsaas.hardened.secret', 'app_secret_key', 'app_admin_api_key', return='metadata') | techsaas.hardened.rotation_status }}
"""

RETURN = r"""
_raw:
  description: For each name its value, or what O(return) asks for.
  type: list
  elements: raw
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.techsaas.hardened.plugins.plugin_utils import secret_records, secret_rotator
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends import sessions
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    Backend,
    SecretProblem,
    parse_name,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import (
    OPTIONS,
    Settings,
    clean,
)

_NAME = "techsaas.hardened.secret"
# What is told of a secret, and under which name; all else says how to reach the backend.
_FORM = ("return", "names", "candidates")
_BESIDE_INVENTORY = {"file": ".secrets/secrets.yml", "registry": ".secrets/registry.json"}


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        settings = self.settings(variables or {}, kwargs)
        form = self.get_option("return")
        if form == "rotation" and settings.backend == "vault_file" and not settings.file:
            # An inventory that is no file has no vault file beside it, and may need none.
            return [secret_rotator.never_rotated() for _term in terms]
        backend = self.backend(settings)
        names = [parse_name(term) for term in terms]
        candidates = set(self.get_option("candidates"))
        if form == "rotation":
            named = self.get_option("names")
            asked = [parse_name(named.get(term, term)) for term in terms]
            return [secret_rotator.view(backend, name, str(name) in candidates) for name in asked]
        if form == "value":
            tried = [secret_rotator.value_for(backend, name, str(name) in candidates) for name in names]
            return [backend.read(name).value if new is None else new for name, new in zip(names, tried)]
        return secret_records.records(backend, settings.registry, names, with_value=form == "record")

    def settings(self, variables: Mapping[str, Any], direct: Mapping[str, Any]) -> Settings:
        """Also for secret_generate, which has the very same options."""
        problem = _unknown_option(direct)
        try:
            self.set_options(var_options=self._templated(variables), direct=dict(direct))
            options = {name: self.get_option(name) for name in OPTIONS}
        except AnsibleError as error:
            # Ansible's own words may quote what was given; where an option comes from is enough.
            problem = problem or _option_problem(error)
        if problem:
            raise problem
        directory = self._plain(variables.get("inventory_dir"))
        for name, below in _BESIDE_INVENTORY.items():
            if not options[name] and directory:
                options[name] = f"{directory}/{below}"
            elif options[name]:
                options[name] = self._loader.path_dwim(options[name])
        return clean(options)

    def backend(self, settings: Settings) -> Backend:
        return sessions.backend(settings, self._loader)

    def _templated(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Only the variables that are options here: Ansible hands them over as they were written."""
        definitions = self.option_definitions.values()
        names = [entry["name"] for definition in definitions for entry in definition.get("vars") or ()]
        return {name: self._plain(variables[name]) for name in names if name in variables}

    def _plain(self, value: Any) -> Any:
        return self._templar.template(value) if isinstance(value, str) else value


def _unknown_option(direct: Mapping[str, Any]) -> SecretProblem | None:
    unknown = sorted(set(direct) - {*OPTIONS, *_FORM})
    if not unknown:
        return None
    return SecretProblem(
        "OPTION",
        f"the lookup {_NAME} has no option {unknown[0]}",
        f"look it up: ansible-doc -t lookup {_NAME}",
    )


def _option_problem(error: AnsibleError) -> SecretProblem:
    wrong = [name for name in (*OPTIONS, *_FORM) if f"'{name}'" in str(error) or f"`{name}`" in str(error)]
    return SecretProblem(
        "OPTION",
        f"an option of the lookup {_NAME} has a value that it does not allow"
        + (f": {wrong[0]}" if wrong else ""),
        f"look it up: ansible-doc -t lookup {_NAME}",
    )
