#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_info
short_description: Asks a registry for an image, from where it will be pulled
version_added: 0.1.0
description:
  - Resolves an image reference against the registry's v2 API over HTTPS, downloads nothing, and needs no container
    engine. Run it on the hosts that will pull the image, because their network and their trust are what counts.
  - With O(signature_keys) it also says who has signed the image, judged on the controller, where the keys are, by what cosign stores
    beside the image. Hosts and registry only carry what is judged.
  - Problems are returned, not raised, so that M(techsaas.hardened.preflight_report) can list all problems of a fleet
    in one report.
options:
  image:
    description:
      - The image as C(REGISTRY[:PORT]/REPOSITORY@sha256:DIGEST) or C(REGISTRY[:PORT]/REPOSITORY:TAG).
    type: str
    required: true
  ca_file:
    description:
      - A PEM file on the host with the CA of the registry's certificate, in addition to those that the host trusts.
      - By default the files that Docker would use, C(/etc/docker/certs.d/REGISTRY/*.crt).
    type: path
  ca_content:
    description:
      - The PEM text of a CA, for a host that does not have the file yet.
    type: str
  username:
    description:
      - User to authenticate as, where the registry asks for it.
    type: str
  password:
    description:
      - Password or token of O(username).
    type: str
  signature_keys:
    description:
      - Public keys, PEM, of whom may sign the image (ECDSA P-256, RSA, Ed25519). One good signature is enough.
    type: list
    elements: str
    default: []
  signature_required:
    description:
      - Whether it is a problem that none of O(signature_keys) has signed the image.
    type: bool
    default: true
  attestations:
    description:
      - Types of predicates that have to be attested with one of O(signature_keys), such as V(https://spdx.dev/Document) for a list of
        what is in the image, and V(https://slsa.dev/provenance/v1) for how it was built.
    type: list
    elements: str
    default: []
  variable:
    description:
      - Name of the variable that says which image, for the problems' C(variable).
    type: str
  timeout:
    description:
      - Seconds to wait for the name server, and for each answer.
    type: float
    default: 10.0
  fail:
    description:
      - Whether a problem fails the task.
    type: bool
    default: false
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
seealso:
  - module: techsaas.hardened.preflight_report
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Ask for the image that is to be released
  techsaas.hardened.image_info:
    image: "{{ app_image }}"
  register: image_check
"""

RETURN = r"""
exists:
  description: Whether the registry has the image.
  returned: always
  type: bool
digest:
  description: Digest of the image, empty when it was not found.
  returned: always
  type: str
  sample: sha256:2d3a5f0e8ef6b1e5c44ad6a45fb9ce1ddb6e5ca7d2b2ce57fcdba3c5cf0e9d31
media_type:
  description: Media type of the image's manifest.
  returned: always
  type: str
  sample: application/vnd.oci.image.index.v1+json
signed_by:
  description: Fingerprints (SHA-256 of the DER form) of the O(signature_keys) by which the image is signed.
  returned: when the image was found
  type: list
  elements: str
attested:
  description: Types of the predicates that are attested with one of O(signature_keys).
  returned: when the image was found
  type: list
  elements: str
notes:
  description: What is no problem, but should be known, for O(techsaas.hardened.preflight_report#module:notes).
  returned: when the image was found
  type: list
  elements: str
problems:
  description: Why the image cannot be had; empty when it can.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description:
        - V(IMAGE_REFERENCE), V(REGISTRY_UNRESOLVED), V(REGISTRY_UNREACHABLE), V(REGISTRY_TLS), V(DENIED), or
          V(IMAGE_MISSING); of signatures V(IMAGE_UNSIGNED), V(IMAGE_SIGNATURE), or V(IMAGE_ATTESTATION).
      type: str
    message:
      description: What is wrong.
      type: str
    fix:
      description: What to do about it.
      type: str
    variable:
      description: O(variable), where that is given.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.registry import Access, inspect


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "ca_file": {"type": "path"},
            "ca_content": {"type": "str"},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "timeout": {"type": "float", "default": 10.0},
            "signature_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "signature_required": {"type": "bool", "default": True},
            "attestations": {"type": "list", "elements": "str", "default": []},
            "variable": {"type": "str"},
            "fail": {"type": "bool", "default": False},
        },
        required_by={"password": ["username"]},
        supports_check_mode=True,
    )
    params = module.params
    access = Access(
        ca_file=params["ca_file"] or "",
        ca_content=params["ca_content"] or "",
        username=params["username"] or "",
        password=params["password"] or "",
        timeout=params["timeout"],
    )
    result = inspect(params["image"], access, evidence=bool(params["signature_keys"]))
    if params["fail"] and result["problems"]:
        problem = result["problems"][0]
        module.fail_json(msg=f"{problem['code']}: {problem['message']}. Fix: {problem['fix']}", **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
