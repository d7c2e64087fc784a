# SPDX-License-Identifier: GPL-3.0-or-later
"""One verdict on the whole fleet from what validate, host_info, and other checks have found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.module_utils.guide import guide_table
from ansible_collections.techsaas.hardened.plugins.module_utils.host_requirements import (
    Requirements,
    host_problems,
    spread_problem,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.problem_report import Report, table

_FACT = "hardened_host"
_SPEC: dict[str, Any] = {
    "problems": {"type": "list", "elements": "dict", "default": []},
    "checks": {"type": "list", "elements": "str", "default": []},
    "guide": {"type": "list", "elements": "dict", "default": []},
    "notes": {"type": "list", "elements": "str", "default": []},
    "hosts": {"type": "list", "elements": "str"},
    "releases": {"type": "list", "elements": "str", "default": list(Requirements().releases)},
    "memory_mb": {"type": "int", "default": Requirements().memory_mb},
    "disk_free_mb": {"type": "int", "default": Requirements().disk_free_mb},
    "clock_skew": {"type": "float", "default": Requirements().clock_skew},
    "cgroup_versions": {"type": "list", "elements": "int", "default": list(Requirements().cgroup_versions)},
    "fail": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, options = self.validate_argument_spec(argument_spec=_SPEC)
        needs = Requirements(
            releases=tuple(options["releases"]),
            memory_mb=options["memory_mb"],
            disk_free_mb=options["disk_free_mb"],
            clock_skew=options["clock_skew"],
            cgroup_versions=tuple(options["cgroup_versions"]),
        )
        hosts = [str(host) for host in options["hosts"] or _hosts_of_the_run(task_vars)]
        report = Report()
        for row in options["problems"]:
            report.add_row(row)
        skews = {}
        for host in hosts:
            variables = task_vars["hostvars"].raw_get(host) if host in task_vars["hostvars"] else {}
            facts = (variables.get("ansible_facts") or {}).get(_FACT) or variables.get(_FACT)
            told = _add_checks(report, host, variables, options["checks"])
            if facts:
                skews[host] = float(facts.get("clock_skew", 0.0))
                for problem in host_problems(facts, needs):
                    report.add("host", *problem, host=host)
            elif not told:
                report.add(
                    "host",
                    "UNREACHABLE",
                    "must be reachable",
                    "check its address, that it runs, and SSH",
                    host,
                )
        spread = spread_problem(skews, needs)
        if spread and not any(row["code"] == "CLOCK" for row in report.rows()):
            for host in spread[1]:
                report.add("host", *spread[0], host=host)
        remarks = [guide_table(options["guide"]), *(f"Note: {note}" for note in options["notes"])]
        return _verdict(report.rows(), len(hosts), "\n\n".join(filter(None, remarks)), options["fail"])


def _hosts_of_the_run(task_vars: Mapping[str, Any]) -> list[str]:
    """Those of the play, so that a limit is respected; all, when the play is only on the controller."""
    play = [
        host for host in task_vars.get("ansible_play_hosts_all") or () if host in task_vars["groups"]["all"]
    ]
    return play or list(task_vars["groups"]["all"])


def _add_checks(report: Report, host: str, variables: Mapping[str, Any], checks: Iterable[str]) -> bool:
    """True when a check has said why nothing is known about the host."""
    told = False
    for name in checks:
        result = variables.get(name)
        if not isinstance(result, Mapping):
            continue
        if result.get("unreachable"):
            words = str(result.get("msg", "")).strip().partition("\n")[0][:200]
            report.add(
                "host",
                "UNREACHABLE",
                words or "must be reachable",
                "check its address, that it runs, and SSH",
                host,
            )
            told = True
        elif result.get("failed") and not result.get("problems"):
            words = str(result.get("msg", "")).strip().partition("\n")[0][:200]
            report.add(
                name, "CHECK_FAILED", words or "must succeed", "run the check by itself with -vvv", host
            )
        for problem in result.get("problems") or ():
            subject = (
                "host"
                if problem["code"] in ("UNREACHABLE", "HOST_INFO")
                else str(problem.get("variable", name))
            )
            told = told or subject == "host"
            report.add(
                subject, problem["code"], problem.get("rule") or problem["message"], problem["fix"], host
            )
    return told


def _verdict(rows: list[dict[str, Any]], hosts: int, remarks: str, fail: bool) -> dict[str, Any]:
    words = table(rows) if rows else f"Ready: {hosts} host{'s' if hosts != 1 else ''}, no problems."
    return {
        "changed": False,
        "problems": rows,
        "failed": bool(rows) and fail,
        "msg": f"{words}\n\n{remarks}" if remarks else words,
        # Good news is what the run was for, too: it is shown without -v.
        "_ansible_verbose_always": not rows,
    }
