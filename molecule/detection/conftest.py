# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import shlex
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from labkit.client import Client
from labkit.fleet import Fleet

NUMBERS = count()
LINES = "/var/log/hardened-detection/lines.jsonl"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def line(service: str, host: str = "client-13", facility: str = "local7", **said: Any) -> str:
    """As the collector stores it."""
    head = {"time": now(), "host": host, "service": service, "facility": facility, "severity": "info"}
    return json.dumps({**head, "source": "host", **said, "received": now()})


def request(client: str, status: int = 200, path: str = "/v1/items", key: str = "", **more: str) -> str:
    """A line of the edge's access log."""
    number = next(NUMBERS)
    data = {"event": "request", "client": client, "key_id": key, "status": status, "path": path, **more}
    return line("nginx_access", data={**data, "request_id": f"{number:032x}", "method": "GET"})


def event(name: str, client: str, **fields: Any) -> str:
    """A line of the application's."""
    data = {"event": name, "client": client, "request_id": f"{next(NUMBERS):032x}", **fields}
    return line("reference-api", facility="auth", data=data)


@dataclass(frozen=True)
class Collector:
    client: Client
    host: str

    def sh(self, script: str) -> str:
        return self.client.on(self.host, "sh", "-euc", script)

    def receives(self, *lines: str) -> None:
        """Lines, as if they had come from client-13 by the collector."""
        # A command line takes no more at once.
        for first in range(0, len(lines), 100):
            text = shlex.quote("\n".join(lines[first : first + 100]) + "\n")
            self.sh(f"printf %s {text} >> {LINES}")

    def alerts(self, since: float = 0) -> list[dict[str, Any]]:
        """What has been told to the log."""
        said = self.sh(f"journalctl -o cat -t hardened-alerts --since @{since:.6f} || true")
        found = [json.loads(entry) for entry in said.splitlines() if entry.startswith("{")]
        return [entry for entry in found if entry["event"] == "alert"]

    def detected(self, rule: str, source: str, since: float) -> bool:
        """Whether the engine has found it since; people are told the same once an hour only."""
        script = f"journalctl -o cat -u hardened-detection --since @{since:.6f} | grep -c \"{source} performed '{rule}'\""
        return int(self.sh(f"{script} || true")) > 0

    def alerted(self, rule: str, source: str, seconds: float = 8) -> dict[str, Any] | None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for alert in self.alerts():
                if (alert["rule"], alert["source"]) == (rule, source):
                    return alert
            time.sleep(0.3)
        return None


@dataclass(frozen=True)
class Desk:
    """The people who get alerts."""

    client: Client

    def got(self, kind: str) -> list[str]:
        script = f'for file in /srv/desk/{kind}-*; do [ -e "$file" ] || continue; cat "$file"; printf "\\036"; done'
        return self.client.on("client-13", "sh", "-c", script).split("\x1e")[:-1]

    def hooks(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.got("hook")]

    def on_duty(self) -> list[dict[str, str]]:
        """The labels of what Alertmanager has."""
        url = f"http://{self.client.addresses['client-13']}:9093/api/v2/alerts"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return [alert["labels"] for alert in json.load(answer)]

    @property
    def key(self) -> str:
        return hashlib.sha512(f"webhook {self.client.secrets['backup_passphrase']}".encode()).hexdigest()


@dataclass(frozen=True)
class Edge:
    """What refuses addresses."""

    client: Client

    def blocks(self) -> dict[str, dict[str, Any]]:
        kept = self.client.on(
            "client-13", "sh", "-c", "cat /var/lib/hardened/blocklist.json 2>/dev/null || echo '{}'"
        )
        now = time.time()
        return {one["address"]: one for one in json.loads(kept).get("blocks", []) if one["until"] > now}

    def said(self, event: str, since: float) -> list[dict[str, Any]]:
        text = self.client.on(
            "client-13",
            "journalctl",
            "-o",
            "cat",
            "-t",
            "hardened-blocklist-feed",
            "--since",
            f"@{since:.6f}",
        )
        found = [json.loads(entry) for entry in text.splitlines() if entry.startswith("{")]
        return [entry for entry in found if entry["event"] == event]


@pytest.fixture
def edge(client: Client) -> Edge:
    return Edge(client)


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("detection"))


@pytest.fixture(scope="session")
def desk(client: Client) -> Desk:
    return Desk(client)


@pytest.fixture(params=["collector-12", "collector-13"])
def collector(client: Client, request: pytest.FixtureRequest) -> Collector:
    return Collector(client, request.param)


@pytest.fixture
def collectors(client: Client) -> list[Collector]:
    return [Collector(client, host) for host in ("collector-12", "collector-13")]


@pytest.fixture
def lines() -> Any:
    """What makes lines, for tests that are not in this directory."""

    class Lines:
        request = staticmethod(request)
        event = staticmethod(event)
        line = staticmethod(line)

    return Lines


@pytest.fixture
def stranger() -> str:
    """An address that no other test has used, in this run or one before it."""
    number = int(time.time() * 10) + next(NUMBERS)
    return f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
