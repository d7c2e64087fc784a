# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter and the test judge alike, and never repeat what they were given."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.filter.secret_findings import secret_findings
from ansible_collections.techsaas.hardened.plugins.test.strong_secret import strong_secret

_WEAK = "ChangeMe-zebra"
_PLAYBOOK = """---
- hosts: localhost
  gather_facts: false
  vars:
    weak: ChangeMe-zebra
    number: 7355608
    codes: "{{ weak | techsaas.hardened.secret_findings(16, context=['zebras', 'ze-bra']) | map(attribute='code') }}"
  tasks:
    - ansible.builtin.assert:
        that:
          - generated is techsaas.hardened.strong_secret
          - generated is not techsaas.hardened.strong_secret(min_length='65')
          - generated | techsaas.hardened.secret_findings == []
          - weak is not techsaas.hardened.strong_secret
          - "'PLACEHOLDER' in codes and 'TOO_SHORT' in codes and 'CONTEXT' not in codes"
    - ansible.builtin.debug: {msg: "{{ number is techsaas.hardened.strong_secret }}"}
      ignore_errors: true
    - ansible.builtin.debug: {msg: "{{ nobody | techsaas.hardened.secret_findings }}"}
      ignore_errors: true
"""


def test_a_weak_secret_is_explained_without_it() -> None:
    found = secret_findings(_WEAK)
    assert {"TOO_SHORT", "PLACEHOLDER"} <= {finding["code"] for finding in found}
    assert all(finding.keys() == {"code", "rule", "fix"} for finding in found)
    assert "zebra" not in repr(found) and str(len(_WEAK)) not in repr(found)
    assert strong_secret(_WEAK) is False


def test_options_reach_the_rules() -> None:
    value = "orders-api" + base64.b64encode(os.urandom(30)).decode()
    assert strong_secret(value) is True
    assert [finding["code"] for finding in secret_findings(value, context=["Orders_API"])] == ["CONTEXT"]
    assert [finding["code"] for finding in secret_findings(value, min_length="64")] == ["TOO_SHORT"]
    assert strong_secret(value, 64) is False and strong_secret(value, context=["Orders_API"]) is False


@pytest.mark.parametrize("plugin", [secret_findings, strong_secret])
@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        ({"zebra": 1}, {}, "the secret must be a text"),
        (["zebra"], {}, "the secret must be a text"),
        (7355608, {}, "the secret must be a text"),
        (None, {}, "the secret must be a text"),
        ("zebra", {"context": "zebra"}, "context must be a list of texts"),
        ("zebra", {"context": [7355608]}, "context must be a list of texts"),
        ("zebra", {"min_length": "zebra"}, "min_length must be a whole number"),
        ("zebra", {"min_length": True}, "min_length must be a whole number"),
    ],
)
def test_bad_input_is_one_error_without_the_value(
    plugin: Callable[..., Any], value: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        plugin(value, **options)
    assert str(error.value) == f"{plugin.__name__}: {message}"


def test_both_work_in_a_playbook(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(_PLAYBOOK, encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "play.yml"]
    command += ["-e", f"generated={base64.b64encode(os.urandom(48)).decode()}"]
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    shown = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert done.returncode == 0, shown
    assert "strong_secret: the secret must be a text" in shown and "'nobody' is undefined" in shown
    assert "7355608" not in shown and "zebra" not in shown
