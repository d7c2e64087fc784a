# SPDX-License-Identifier: GPL-3.0-or-later
"""Times a deploy that has nothing to do beside thirty template tasks that change nothing, on a booted lab.

The two alternate, so that whatever else the machine does meets both. Extra arguments go to the deploy:
    .venv/bin/python tests/bench/bench.py --runs 3 -e release=1.0.0
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = 30


@dataclass(frozen=True)
class Run:
    seconds: float
    counts: dict[str, dict[str, int]]

    @property
    def changed(self) -> int:
        return sum(host["changed"] for host in self.counts.values())

    @property
    def tasks(self) -> str:
        """Tasks that ran, for each host."""
        return ", ".join(f"{name} {host['ok']}" for name, host in self.counts.items())


def play(playbook: Path, inventory: Path, extra: list[str]) -> Run:
    """One run; stops the whole bench, with Ansible's own words, when the run fails or reaches no host."""
    with tempfile.NamedTemporaryFile() as counts:
        env = {
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/bench/callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_count",
            "BENCH_COUNTS": counts.name,
            "LC_ALL": "C.UTF-8",
        }
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [str(part) for part in (program, "-i", inventory, playbook, *extra)]
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        recap = Path(counts.name).read_text(encoding="utf-8")
    if done.returncode != 0 or not recap:
        sys.exit(f"{playbook.name} failed:\n{done.stdout}\n{done.stderr}")
    run = Run(seconds, json.loads(recap))
    if not run.counts:
        sys.exit(f"{playbook.name} ran on no host:\n{done.stderr}")
    return run


def template_playbook(folder: Path, host: str) -> Path:
    """A playbook of template tasks, each with a file of its own, as a role would have them."""
    tasks = []
    for number in range(TEMPLATES):
        source = folder / f"{number}.j2"
        source.write_text(f"# {{{{ inventory_hostname }}}}\nnumber = {number}\n", encoding="utf-8")
        options = {"src": str(source), "dest": f"/run/bench-{number}.conf", "mode": "0644"}
        tasks.append({"name": f"Template {number}", "ansible.builtin.template": options})
    play = {"name": "Templates", "hosts": host, "gather_facts": False, "become": True, "tasks": tasks}
    playbook = folder / "templates.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    return playbook


def report(name: str, runs: list[Run]) -> float:
    middle = median(run.seconds for run in runs)
    times = " ".join(f"{run.seconds:.1f}" for run in runs)
    print(
        f"{name:<22} median {middle:5.1f} s  ({times})  changed {runs[-1].changed}  tasks: {runs[-1].tasks}"
    )
    return middle


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inventory", type=Path, default=ROOT / "inventories/lab")
    parser.add_argument("--playbook", type=Path, default=ROOT / "playbooks/deploy.yml")
    parser.add_argument("--host", default="app-1", help="the lab host that gets the template tasks")
    parser.add_argument("--runs", type=int, default=3)
    options, extra = parser.parse_known_args()

    with tempfile.TemporaryDirectory() as folder:
        templates = template_playbook(Path(folder), options.host)
        # Unmeasured: these may still change something.
        play(options.playbook, options.inventory, extra)
        play(templates, options.inventory, [])
        deploys: list[Run] = []
        references: list[Run] = []
        for _number in range(options.runs):
            deploys.append(play(options.playbook, options.inventory, extra))
            references.append(play(templates, options.inventory, []))
    ours = report(options.playbook.name, deploys)
    reference = report(f"{TEMPLATES} template tasks", references)
    print(f"ratio {ours / reference:.2f}")
    changed = sum(run.changed for run in (*deploys, *references))
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
