# SPDX-License-Identifier: GPL-3.0-or-later
"""config_set as playbooks see it: real runs of ansible-playbook against this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SECRET = "hunter2/very+secret"  # pragma: allowlist secret
KEY_FILE = "first-api-key;\nsecond-api-key;\n"

PLAY = """
- name: Config set
  hosts: localhost
  gather_facts: false
  vars:
    place: {place}
    password: {secret}
    value: one
    probe: 'true'
  tasks:
    - name: Render the same template in the usual way
      ansible.builtin.template:
        src: main.conf.j2
        dest: "{{{{ place }}}}/reference"
        mode: '0600'
      changed_when: false
      diff: false
    - name: Bring the set into place
      techsaas.hardened.config_set:
        name: demo
        files:
          - path: "{{{{ place }}}}/etc/main.conf"
            template: main.conf.j2
          - path: "{{{{ place }}}}/etc/keys"
            content: "{{{{ lookup('ansible.builtin.file', 'keys') }}}}"
            mode: '0600'
            secret: true
          - path: "{{{{ place }}}}/etc/raw.bin"
            source: raw.bin
            on_change: "{{{{ omit }}}}"
        links:
          - path: "{{{{ place }}}}/etc/link"
            target: main.conf
        watch:
          - "{{{{ place }}}}/reference"
          - path: "{{{{ place }}}}/nothing"
            on_change: "{{{{ omit }}}}"
        check:
          - [sh, -c, "grep -v -e one -e two {{{{ place }}}}/etc/main.conf | grep . >&2 && exit 1 || exit 0"]
        probe:
          - command: [sh, -c, "{{{{ probe }}}}"]
            deadline: 0.2
            interval: 0.1
        secrets:
          - "{{{{ password }}}}"
          - ""
"""

TEMPLATE = """\
{% if true %}
one {{ ansible_managed }} {{ template_path }}
{% endif %}
{% include 'part.j2' +%}
{{ value }} password={{ password }}
"""

BROKEN = """
- name: Broken set
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Bring a set into place that is wrong in every way
      techsaas.hardened.config_set:
        name: demo
        files:
          - {path: relative, content: x}
          - {path: /nonexistent/a, template: syntax.j2}
          - {path: /nonexistent/a, template: undefined.j2}
          - {path: /nonexistent/b, template: missing.j2}
          - {path: /nonexistent/c, content: x, source: y, mode: 0644}
          - {path: /nonexistent/d, content: x, on_change: relod}
          - {content: no path}
        watch: [relative/too, {path: /nonexistent/b, on_change: none}]
        check: [[]]
        keep: many
        tests: []
"""

# Whatever runs on the host fails under this interpreter: what succeeds has not gone there.
SETTLED = """
- name: Settled sets
  hosts: localhost
  gather_facts: false
  vars:
    wanted: &demo
      name: demo
      files: [{{path: "{place}/etc/demo.conf", content: one}}]
    wanted_by_the_impatient: &skipping
      <<: *demo
      skip_settled: true
  tasks:
    - name: Bring the set into place
      techsaas.hardened.config_set: *demo
    - name: Nothing is taken for granted before somebody has looked
      techsaas.hardened.config_set: *skipping
      vars: &cut_off {{ansible_python_interpreter: /nonexistent/python}}
      register: unseen
      failed_when: unseen is success
    - name: Look
      techsaas.hardened.host_info: {{settled: true}}
    - name: What is in place needs no look of its own
      techsaas.hardened.config_set: *skipping
      vars: *cut_off
      register: skipped
      failed_when: skipped is changed or skipped.files_changed != []
    - name: Nor twice, and for others it does
      techsaas.hardened.config_set: *demo
      vars: *cut_off
      register: asked
      failed_when: asked is success
    - name: After a failure nothing is known any more
      techsaas.hardened.config_set: *skipping
      vars: *cut_off
      register: forgotten
      failed_when: forgotten is success
    - name: Somebody edits it
      ansible.builtin.copy: {{dest: "{place}/etc/demo.conf", content: edited, mode: '0644'}}
    - name: Look again
      techsaas.hardened.host_info: {{settled: true}}
    - name: It is mended
      techsaas.hardened.config_set: *skipping
      register: mended
      failed_when: mended is not changed
    - name: Look once more
      techsaas.hardened.host_info: {{settled: true}}
    - name: Another content is wanted
      techsaas.hardened.config_set:
        <<: *skipping
        files: [{{path: "{place}/etc/demo.conf", content: two}}]
      register: other
      failed_when: other is not changed
    - name: A change anywhere on the host ends it
      techsaas.hardened.config_set:
        <<: *skipping
        files: [{{path: "{place}/etc/demo.conf", content: two}}]
      vars: *cut_off
      register: ended
      failed_when: ended is success
"""


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the play, with a /var/lib of its own, and give its exit code and all of its output."""
    for name, text in {
        "play.yml": PLAY.format(place=tmp_path, secret=SECRET),
        "broken.yml": BROKEN,
        "settled.yml": SETTLED.format(place=tmp_path),
        "templates/main.conf.j2": TEMPLATE,
        "templates/part.j2": "one part\n",
        "templates/syntax.j2": "fine\n{% if x %}\n{% endfor %}\n",
        "templates/undefined.j2": "fine\n\n{{ nowhere_defined }}\n",
        "files/keys": KEY_FILE,
        "ansible.cfg": "[defaults]\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "files/raw.bin").write_bytes(b"\x00\xff")
    (tmp_path / "state").mkdir()
    (tmp_path / "etc").mkdir()

    def run(*options: str, name: str = "play.yml") -> tuple[int, str]:
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                'mount --bind "$0" /var/lib && exec "$@"',
                str(tmp_path / "state"),
            ]
            + [ansible, "--inventory", "localhost,", "--connection", "local", *options, name],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def changed(output: str) -> str:
    recap = re.search(r"changed=(\d+) .*failed=(\d+)", output)
    assert recap, output
    return f"changed={recap[1]} failed={recap[2]}"


def assert_no_secret(output: str) -> None:
    for secret in (SECRET, "hunter2", "first-api-key", "second-api-key"):
        assert secret not in output


def test_the_life_of_a_set(play: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    # Planned on a clean host: the whole truth, and nothing done.
    code, output = play("--check", "--diff")
    assert (code, changed(output)) == (0, "changed=1 failed=0"), output
    assert "one password=********" in output
    assert_no_secret(output)
    assert list((tmp_path / "etc").iterdir()) == [] and list((tmp_path / "state").iterdir()) == []

    # Converged, as talkative as can be.
    code, output = play("--diff", "-vvv")
    assert (code, changed(output)) == (0, "changed=1 failed=0"), output
    assert "AnsiballZ_config_set" not in output, "the module and its contents went through a temporary file"
    assert_no_secret(output)
    main = (tmp_path / "etc/main.conf").read_text()
    assert main == (tmp_path / "reference").read_text()
    assert main.startswith("one Ansible managed main.conf.j2\none part") and main.endswith(
        f"password={SECRET}\n"
    )
    assert (tmp_path / "etc/keys").read_text() == KEY_FILE.rstrip("\n")
    assert (tmp_path / "etc/raw.bin").read_bytes() == b"\x00\xff"
    assert oct((tmp_path / "etc/keys").stat().st_mode) == "0o100600"
    state = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in state)

    # Again: nothing to do.
    code, output = play()
    assert (code, changed(output)) == (0, "changed=0 failed=0"), output

    # A configuration that the checker refuses, quoting a secret: the old one stays.
    code, output = play("--extra-vars", '{"value": "bad"}')
    assert (code, changed(output)) == (2, "changed=0 failed=1"), output
    assert "bad password=********" in output and "rejected by its own checker" in output
    assert_no_secret(output)
    assert (tmp_path / "etc/main.conf").read_text() == main

    # One that only the probe finds out about: put back.
    code, output = play(
        "--extra-vars", f'{{"value": "two", "probe": "echo {SECRET} is wrong; exit 1"}}', "-v"
    )
    assert (code, changed(output)) == (2, "changed=0 failed=1"), output
    assert "******** is wrong" in output and '"put_back": true' in output
    assert_no_secret(output)
    assert (tmp_path / "etc/main.conf").read_text() == main


def test_all_mistakes_are_reported_at_once_before_the_host_is_contacted(
    play: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, output = play(name="broken.yml")
    assert code == 2
    for words in (
        "files[0] (relative).path: must be absolute",
        "files[2] (/nonexistent/a).path: is already used by files[1]",
        "files[4] (/nonexistent/c): needs exactly one of template, content or source; found content and source",
        "files[4] (/nonexistent/c).mode: 420 must be a quoted octal string",
        "value of on_change must be one of: reload, restart, none, got: relod",
        "watch[0] (relative/too).path: must be absolute",
        "watch[1] (/nonexistent/b).on_change: 'none' must be one of reload, restart",
        "check[0]: must be a list of words",
        f"files[1] (/nonexistent/a).template: {tmp_path}/templates/syntax.j2: line 3: ",
        f"files[2] (/nonexistent/a).template: {tmp_path}/templates/undefined.j2: line 3: 'nowhere_defined' is undefined",
        "files[3] (/nonexistent/b).template: Could not find or access 'missing.j2'",
        "missing required arguments: path found in files",
        "argument 'keep' is of type str",
        "tests. Supported parameters include",
    ):
        assert words in output, output
    assert list((tmp_path / "state").iterdir()) == []


def test_what_was_seen_in_this_run_is_not_asked_again(play: Callable[..., tuple[int, str]]) -> None:
    code, output = play(name="settled.yml")
    assert code == 0, output
