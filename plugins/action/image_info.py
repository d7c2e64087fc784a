# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, and judges here, where the keys are, what it found signed."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.module_utils import image_signature


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        fail = boolean(arguments.pop("fail", False), strict=True)
        required = boolean(arguments.get("signature_required", True), strict=True)
        result: dict[str, Any] = self._execute_module(
            module_name="techsaas.hardened.image_info", module_args=arguments, task_vars=task_vars
        )
        evidence = result.pop("evidence", [])
        if result.get("exists") and not result["problems"]:
            result.update(
                _judge(
                    result["digest"],
                    evidence,
                    arguments.get("signature_keys") or [],
                    arguments.get("attestations") or [],
                    required,
                )
            )
        if arguments.get("variable"):
            for problem in result.get("problems") or []:
                problem["variable"] = str(arguments["variable"])
        if fail and result.get("problems"):
            problem = result["problems"][0]
            result.update(failed=True, msg=f"{problem['code']}: {problem['message']}. Fix: {problem['fix']}")
        return result


def _judge(
    digest: str, evidence: list[dict[str, Any]], keys: list[str], attestations: list[str], required: bool
) -> dict[str, Any]:
    """What of the module's result the keys decide."""
    if not keys:
        return {
            "signed_by": [],
            "attested": [],
            "notes": ["the image's signature was not asked for, no key is given"],
            "problems": [],
        }
    try:
        loaded = [image_signature.load_key(key) for key in keys]
    except image_signature.KeyProblem as error:
        what = f"one of the keys for the image's signature is {error}"
        return {
            "signed_by": [],
            "attested": [],
            "notes": [],
            "problems": [_problem("IMAGE_SIGNATURE", what, "give PEM public keys")],
        }
    verdict = image_signature.judge(digest, evidence, loaded)
    problems, notes = [], []
    if verdict.signed_by:
        notes.append(f"the image is signed by the key with the fingerprint {', '.join(verdict.signed_by)}")
    else:
        what = (
            "is signed by nobody whose key is given: what lies beside it is by others, or of another image"
            if verdict.strangers
            else "has no signature"
        )
        if required:
            problems.append(
                _problem(
                    "IMAGE_UNSIGNED",
                    f"the image {digest} {what}",
                    "sign what was built with cosign sign --key, and release that",
                )
            )
        else:
            notes.append(f"the image {digest} {what}")
    for wanted in attestations:
        if wanted not in verdict.attested:
            what = f"of the image {digest} nobody whose key is given attests {wanted}"
            problems.append(
                _problem("IMAGE_ATTESTATION", what, "attest it with cosign attest --key, and release that")
            )
    if verdict.attested:
        notes.append(f"attested of the image: {', '.join(verdict.attested)}")
    if verdict.signed_by and verdict.strangers:
        notes.append(
            f"beside the image's signature lie {verdict.strangers} that are by others, or of another image"
        )
    if verdict.unchecked:
        notes.append(
            f"{verdict.unchecked} of what is attested of the image could not be judged: keyless, or larger than 4 MiB"
        )
    return {
        "signed_by": verdict.signed_by,
        "attested": verdict.attested,
        "notes": notes,
        "problems": problems,
    }


def _problem(code: str, message: str, fix: str) -> dict[str, str]:
    return {"code": code, "message": message, "fix": fix}
