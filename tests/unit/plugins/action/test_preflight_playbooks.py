# SPDX-License-Identifier: GPL-3.0-or-later
"""Real playbooks on a small inventory: what validate, host_info, packages, and preflight_report do together."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

_STRONG = "q7fZ0vT2mK9xRw4LbY8sHn3DcJ6gPu5E"  # pragma: allowlist secret
_OTHER = secrets.token_urlsafe(48)
_WEAK = "zebra-changeme"
_WEAKNESSES = ("CAPACITY", "FORMAT", "HUMAN_TEXT", "FEW_CHARACTERS", "CONTEXT")
_PASSWORD = "some password"  # pragma: allowlist secret
_VARIABLES = """---
hardened_environment: lab
hardened_domain: api.lab.test
"""
_ENVIRONMENT = """---
groups: {all: [base], app: [app]}
required_groups: [app, database]
prefixes: [hardened_]
known: [hardened_host]
options:
  hardened_environment: {type: str, required: true, kind: name}
  hardened_domain: {type: str, required: true, kind: domain}
  hardened_internal_domain: {type: str, default: "{{ hardened_environment }}.internal", kind: domain}
  image: {type: str, kind: image, digest: true}
"""
_APP_SPEC = """---
argument_specs:
  main:
    options:
      app_key: {type: str, required: true}
      app_other_key: {type: str}
      app_port: {type: int, default: 8000}
      app_host: {type: str, default: "{{ inventory_hostname }}.{{ hardened_internal_domain }}"}
      app_address: {type: str, default: "{{ ansible_facts.hardened_host.address }}"}
      app_database: {type: str, default: "{{ groups['database'][0] }}"}
      app_level: {type: str, default: info, choices: [debug, info]}
      app_origins: {type: list, elements: str, default: []}
      app_limit: {type: str, default: "{{ omit }}"}
      app_low: {type: int, default: 1}
      app_high: {type: int, default: 9}
      app_flag: {type: bool, default: false}
"""
_APP_DEFAULTS = """---
app_port: 8000
app_host: "{{ inventory_hostname }}.{{ hardened_internal_domain }}"
app_address: "{{ ansible_facts.hardened_host.address }}"
app_database: "{{ groups['database'][0] }}"
app_level: info
app_origins: []
app_limit: "{{ omit }}"
app_low: 1
app_high: 9
app_flag: false
"""
_APP_VALIDATION = """---
options:
  app_key: {kind: secret}
  app_other_key: {kind: secret, distinct_from: [app_key]}
  app_port: {kind: port}
  app_host: {kind: domain}
  app_address: {kind: address}
  app_origins:
    kind: origin
    variants:
      - {when: "hardened_environment != 'production'", reserved: allow}
rules:
  - {code: ORDER, variable: app_low, that: app_low <= app_high, rule: must not exceed app_high, fix: lower it}
guide:
  - {name: LEVEL, says: is a level, variables: [app_level]}
  - {name: KEY, says: is strong, variables: [app_key]}
"""
_HOSTS = "[app]\napp-1\napp-2\n[database]\ndb-1\n[all:vars]\nansible_connection=local\nansible_python_interpreter={}\n"
_VALIDATE = """- hosts: all
  gather_facts: false
  tasks:
    - name: Validate
      techsaas.hardened.validate: {path: SPEC}
      run_once: true
- hosts: all
  gather_facts: false
  tasks:
    - name: Touch a host
      ansible.builtin.file: {path: "{{ playbook_dir }}/touched", state: touch, mode: '0644'}
"""
_PREFLIGHT = """- hosts: all
  gather_facts: false
  ignore_unreachable: true
  any_errors_fatal: true
  tasks:
    - name: Validate
      techsaas.hardened.validate: {path: SPEC, required: [image], fail: false}
      run_once: true
      register: preflight_variables
    - name: Look
      techsaas.hardened.host_info: {fail: false}
      register: preflight_host
    - name: Ask for the image
      techsaas.hardened.image_info: {image: "{{ image }}"}
      register: preflight_image
      when: "'app' in group_names and image is defined and ansible_facts.hardened_host is defined"
    - name: Report
      techsaas.hardened.preflight_report:
        problems: "{{ preflight_variables.problems }}"
        checks: [preflight_host, preflight_image]
        guide: "{{ preflight_variables.guide }}"
        releases: RELEASES
      run_once: true
- hosts: all
  gather_facts: false
  tasks:
    - name: Touch a host
      ansible.builtin.file: {path: "{{ playbook_dir }}/touched", state: touch, mode: '0644'}
"""


class Site:
    """An inventory, a specification, and a run of a playbook on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("spec/meta/environment.yml", _ENVIRONMENT)
        self.write("spec/roles/app/meta/argument_specs.yml", _APP_SPEC)
        self.write("spec/roles/app/meta/validation.yml", _APP_VALIDATION)
        self.write("spec/roles/app/defaults/main.yml", _APP_DEFAULTS)
        self.write("ansible.cfg", "[defaults]\nvault_password_file = password\n")
        self.write("password", _PASSWORD)
        self.write("inventory/hosts", _HOSTS.format(sys.executable))
        self.write("inventory/group_vars/all/main.yml", _VARIABLES)
        self.seal("inventory/group_vars/all/secrets.yml", f"---\napp_key: {_STRONG}\n")

    def seal(self, name: str, content: str) -> None:
        self.write(name, _sealed(content))

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def run(self, playbook: str, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
        releases = "[debian 12, debian 13, ubuntu 22.04, ubuntu 24.04]"
        self.write(
            "play.yml", playbook.replace("SPEC", str(self.root / "spec")).replace("RELEASES", releases)
        )
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_LOCAL_TEMP": str(self.root / "tmp"),
            "ANSIBLE_HOME": str(self.root / "home"),
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "LC_ALL": "C.UTF-8",
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory", "play.yml", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, _problems(done.stdout)


def _sealed(text: str, password: str = _PASSWORD) -> str:
    return str(VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text).decode())


def _problems(output: str) -> list[dict[str, Any]]:
    """The key `problems` of the last result that was printed as JSON."""
    for line in reversed(output.splitlines()):
        if "=> {" in line and '"problems"' in line:
            return list(json.loads(line.partition("=> ")[2])["problems"])
    return []


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _named(problems: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["variable"], row["code"]) for row in problems}


def test_a_good_inventory_passes_and_the_next_play_runs(site: Site) -> None:
    code, output, _problems = site.run(_VALIDATE, "-e", "app_port=8001", "-e", "app_flag=yes")
    assert code == 0, output
    assert (site.root / "touched").exists()


def test_all_planted_problems_are_listed_at_once_and_no_value_is_shown(site: Site) -> None:
    sealed = _sealed(_STRONG, "another password").replace("\n", "\n  ")
    (site.root / "inventory/group_vars/all/secrets.yml").unlink()
    site.write("inventory/hosts", "[app]\napp-1\napp-2\n[databse]\ndb-1\n")
    site.write(
        "inventory/group_vars/all/main.yml",
        f"---\nhardened_domain: https://zebra.test\nhardened_domian: zebra\napp_key: {_WEAK}\n"
        f"app_other_key: {_WEAK}\napp_prot: 5\nhardened_environment: lab\n",
    )
    site.write(
        "inventory/host_vars/app-1.yml",
        "---\napp_port: 'zebra'\napp_level: zebra\napp_low: 10\napp_high: [zebra]\n"
        "app_origins: ['https://zebra.lab.test/', 'https://ok.lab.test']\napp_flag: '{{ nosuch.zebra }}'\n",
    )
    site.write(
        "inventory/host_vars/app-2.yml",
        "---\napp_high: '{{ app_low }}'\napp_low: '{{ app_high }}'\napp_level: \"{{ lookup('file', '/zebra') }}\"\n"
        f"app_host: '{{{{ zebra'\napp_limit: !vault |\n  {sealed}\napp_port: 0\napp_flag: '{{{{ 1 / 0 }}}}'\n",
    )
    code, output, problems = site.run(_VALIDATE)
    assert code != 0 and not (site.root / "touched").exists()
    # Which other reasons there are against a weak secret is for the tests of strength to say.
    assert {row for row in _named(problems) if row[1] not in _WEAKNESSES} == {
        ("group database", "MISSING_GROUP"),
        ("hardened_domain", "DOMAIN"),
        ("hardened_domian", "UNKNOWN_VARIABLE"),
        ("app_prot", "UNKNOWN_VARIABLE"),
        ("app_key", "TOO_SHORT"),
        ("app_key", "CLEAR_SECRET"),
        ("app_other_key", "CLEAR_SECRET"),
        ("app_key", "PLACEHOLDER"),
        ("app_other_key", "TOO_SHORT"),
        ("app_other_key", "PLACEHOLDER"),
        ("app_other_key", "NOT_DISTINCT"),
        ("app_other_key", "REUSED"),
        ("app_port", "TYPE"),
        ("app_port", "RANGE"),
        ("app_level", "CHOICE"),
        ("app_level", "LOOKUP"),
        ("app_high", "TYPE"),
        ("app_high", "RECURSIVE"),
        ("app_low", "RECURSIVE"),
        ("app_origins[0]", "ORIGIN"),
        ("app_flag", "UNDEFINED"),
        ("app_flag", "TEMPLATE"),
        ("app_host", "SYNTAX"),
        ("app_limit", "VAULT"),
        ("app_database", "UNDEFINED"),
    }
    assert "zebra" not in json.dumps(problems) and _STRONG not in output and _WEAK not in output
    by_name = {(row["variable"], row["code"]): row for row in problems}
    assert by_name["hardened_domian", "UNKNOWN_VARIABLE"]["fix"] == "did you mean hardened_domain?"
    assert by_name["app_prot", "UNKNOWN_VARIABLE"]["fix"] == "did you mean app_port?"
    assert "databse" in by_name["group database", "MISSING_GROUP"]["fix"]
    assert by_name["hardened_domain", "DOMAIN"]["host_count"] == 3
    assert by_name["app_port", "TYPE"]["file"] == "inventory/host_vars/app-1.yml:2"
    assert "nosuch" in by_name["app_flag", "UNDEFINED"]["rule"]


def test_vaulted_values_are_judged_like_others(site: Site) -> None:
    sealed = _sealed(_WEAK).replace("\n", "\n  ")
    site.write("inventory/group_vars/app.yml", f"---\napp_other_key: !vault |\n  {sealed}\n")
    code, output, problems = site.run(_VALIDATE)
    assert code != 0
    assert ("app_other_key", "TOO_SHORT") in _named(problems) and _WEAK not in output


@pytest.mark.parametrize(
    "given", [["{app_low: 50, app_high: 10}"], ["app_low=50"], ["app_low=10", "app_high=9"]]
)
def test_cross_field_rule(site: Site, given: list[str]) -> None:
    code, _output, problems = site.run(_VALIDATE, *(part for one in given for part in ("-e", one)))
    assert code != 0
    assert _named(problems) == {("app_low", "ORDER")}


def test_a_secret_in_clear_is_found_where_it_stands(site: Site) -> None:
    site.write("inventory/group_vars/all/secrets.yml", "---\napp_key: '{{ indirect }}'\n")
    site.write("inventory/group_vars/app.yml", f"---\n# A comment.\nindirect: {_STRONG}\n")
    site.write("inventory/host_vars/db-1.yml", f"---\napp_other_key: {_STRONG}\n")
    site.write("clear.yml", f"---\napp_other_key: {_OTHER}\n")
    code, output, problems = site.run(_VALIDATE, "-e", "@clear.yml")
    assert code != 0 and _STRONG not in output and _OTHER not in output
    places = {row["variable"]: row["file"] for row in problems if row["code"] == "CLEAR_SECRET"}
    assert places == {
        "app_key": "inventory/group_vars/app.yml:3",
        # The second is never used, because -e wins, and lies in the inventory all the same.
        "app_other_key": "clear.yml:2, inventory/host_vars/db-1.yml:2",
    }


def test_a_secret_from_elsewhere_is_not_in_clear(site: Site) -> None:
    inline = _sealed(_STRONG).replace("\n", "\n  ")
    site.write(
        "inventory/group_vars/app.yml", f"---\napp_key: '{{{{ sealed }}}}'\nsealed: !vault |\n  {inline}\n"
    )
    site.write("key", _OTHER)
    for written in (
        "app_other_key: \"{{ lookup('file', playbook_dir ~ '/key') }}\"",
        "app_other_key: '{{ other }}'\nother: \"{{ lookup('file', playbook_dir ~ '/key') | trim }}\"",
    ):
        site.write("inventory/group_vars/all/other.yml", f"---\n{written}\n")
        code, output, _problems = site.run(_VALIDATE)
        assert code == 0, output
    site.write("sealed.yml", _sealed(f"app_other_key: {_OTHER}\n"))
    code, output, _problems = site.run(_VALIDATE, "-e", "@sealed.yml")
    assert code == 0, output
    site.write("inventory/group_vars/all/other.yml", "---\n")
    code, output, _problems = site.run(_VALIDATE, "-e", f"app_other_key={_OTHER}")
    assert code == 0, output


def test_a_lookup_says_itself_what_is_wrong(site: Site) -> None:
    site.write(
        "lookup_plugins/teller.py",
        "from ansible.errors import AnsibleError\n"
        "from ansible.plugins.lookup import LookupBase\n"
        "class Denied(Exception):\n"
        "    problem_code, problem_rule, problem_fix = 'DENIED', 'must be readable', 'grant it'\n"
        "class LookupModule(LookupBase):\n"
        "    def run(self, terms, variables=None, **kwargs):\n"
        "        try:\n"
        "            raise Denied('zebra')\n"
        "        except Denied as error:\n"
        "            raise AnsibleError('zebra') from error\n",
    )
    site.write("inventory/group_vars/app.yml", "---\napp_other_key: \"{{ lookup('teller') }}\"\n")
    code, output, problems = site.run(_VALIDATE)
    assert code != 0 and "zebra" not in output
    assert [(row["code"], row["rule"], row["fix"]) for row in problems] == [
        ("DENIED", "must be readable", "grant it")
    ]


def test_names_of_the_fleet_in_a_secret(site: Site) -> None:
    site.write("spec/meta/environment.yml", _ENVIRONMENT + "context: [hardened_domain]\n")
    code, _output, problems = site.run(
        _VALIDATE, "-e", f"app_other_key={_STRONG[:20]}API.Lab.test{_STRONG[5::-1]}"
    )
    assert code != 0
    assert ("app_other_key", "CONTEXT") in _named(problems)


def test_preflight_lists_variables_hosts_and_images_in_one_report(site: Site) -> None:
    hosts = _HOSTS.format(sys.executable).replace(
        "app-1", "app-1 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1"
    )
    site.write("inventory/hosts", hosts)
    image = "127.0.0.1:1/api@sha256:" + "a" * 64
    code, output, problems = site.run(_PREFLIGHT, "-e", f"image={image}", "-e", "app_prot=1")
    assert code != 0, output
    assert {
        ("app_prot", "UNKNOWN_VARIABLE"),
        ("host", "UNREACHABLE"),
        ("preflight_image", "REGISTRY_UNREACHABLE"),
    } <= _named(problems)
    by_code = {row["code"]: row for row in problems}
    assert by_code["UNREACHABLE"]["hosts"] == ["app-1"]
    assert by_code["REGISTRY_UNREACHABLE"]["hosts"] == ["app-2"]
    assert "Connection refused" in by_code["UNREACHABLE"]["rule"]
    assert not (site.root / "touched").exists()


def test_preflight_with_every_host_unreachable_still_reports(site: Site) -> None:
    lines = "ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1"
    site.write("inventory/hosts", f"[app]\napp-1 {lines}\n[database]\ndb-1 {lines}\n")
    code, output, problems = site.run(_PREFLIGHT)
    assert code != 0, output
    unreachable = [row for row in problems if row["code"] == "UNREACHABLE"]
    assert [row["hosts"] for row in unreachable] == [["app-1", "db-1"]]
    assert ("image", "REQUIRED") in _named(problems)


def test_preflight_under_limit_reports_on_the_hosts_of_the_run(site: Site) -> None:
    code, output, problems = site.run(_PREFLIGHT, "--limit", "app-2", "-e", "app_prot=1")
    assert code != 0, output
    # Whether this machine was booted with systemd is none of the test's business.
    fleet = [row for row in problems if row["variable"] != "host"]
    assert _named(fleet) == {("app_prot", "UNKNOWN_VARIABLE"), ("image", "REQUIRED")}
    assert {row["host_count"] for row in fleet} == {3}
    assert "LEVEL  is a level  OK" in output and "KEY    is strong   OK" in output
    assert "UNREACHABLE" not in {row["code"] for row in problems}
    assert not (site.root / "touched").exists()


def test_packages_in_check_mode_plan_from_facts_without_apt(site: Site) -> None:
    playbook = """- hosts: app-1
  gather_facts: false
  tasks:
    - techsaas.hardened.packages: {name: [bash, nosuch-package]}
      register: unknown
    - techsaas.hardened.host_info:
    - techsaas.hardened.packages: {name: [nosuch-package]}
      register: known
    - techsaas.hardened.packages: {name: [dpkg, bash]}
      register: there
    - ansible.builtin.assert:
        that:
          - unknown.installed == ['nosuch-package']
          - known is changed and known.installed == ['nosuch-package']
          - there is not changed
"""
    code, output, _problems = site.run(playbook, "--check", "--diff")
    assert code == 0, output
    assert "+nosuch-package" in output
