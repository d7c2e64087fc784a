# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effect of the default scenario: what a release, a failed release and a rollback do to the requests of clients."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

from labkit import paths, registry
from labkit.client import Client
from labkit.fleet import Fleet

REQUESTS_PER_SECOND = 8


class Load(threading.Thread):
    """A steady client on one connection after another, well below the edge's rate limit."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._context = ssl.create_default_context(cafile=str(client.inventory / ".pki" / "ca.crt"))
        self._address = client.addresses["edge-1"]
        self._end = threading.Event()
        self.answered = 0
        self.limited = 0
        self.lost: list[str] = []
        self.versions: list[str] = []

    def run(self) -> None:
        while not self._end.is_set():
            started = time.monotonic()
            try:
                version = self._ask()
                self.answered += 1
                # verify.yml exhausts the rate limit on purpose, from this very address.
                self.limited += not version
                if version and self.versions[-1:] != [version]:
                    self.versions.append(version)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost.append(f"{time.strftime('%H:%M:%S')} {error!r}")
            time.sleep(max(0.0, 1 / REQUESTS_PER_SECOND - (time.monotonic() - started)))

    def stop(self) -> None:
        self._end.set()
        self.join()

    def _ask(self) -> str:
        """What serves, or nothing where the edge has answered in its stead that these are too many requests."""
        raw = socket.create_connection((self._address, 443), timeout=10)
        connection = http.client.HTTPSConnection(self._client.domain, timeout=10)
        connection.sock = self._context.wrap_socket(raw, server_hostname=self._client.domain)
        try:
            connection.request("GET", "/version")
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status == http.client.TOO_MANY_REQUESTS:
            return ""
        if answer.status != http.client.OK:
            raise ValueError(f"{answer.status}: {body[:200]}")
        return body


def expect(condition: bool, what: str, details: str = "") -> None:
    if not condition:
        sys.exit(f"not so: {what}\n{details[-4000:]}")
    print(what, flush=True)


def main() -> None:
    client = Client(Fleet.load(os.environ.get("FLEET", "default")))
    before = client.request("GET", "/version").json
    image = registry.push(client.fleet, client.addresses[registry.HOST], "1.1.0")
    load = Load(client)
    load.start()

    released = client.playbook("deploy.yml", "-e", f"image={image}", "-e", "release=second")
    expect(released.returncode == 0, "a release succeeds", released.stdout)
    after = client.request("GET", "/version").json
    expect(after["release"] == "second" != before["release"], f"it serves: {after}")

    alone = client.playbook("release.yml", "-e", f"image={image}")
    expect(alone.returncode == 0, "a release by itself succeeds", alone.stdout)
    expect(not re.search("changed=[1-9]", alone.stdout), "and changes nothing, for it serves", alone.stdout)

    failed = client.playbook(
        "release.yml",
        "-e",
        "app_ready_path=/no-such-path",
        "-e",
        "app_ready_deadline=5",
        "-e",
        "release=third",
    )
    expect(failed.returncode != 0, "a release that never gets ready fails", failed.stdout)
    expect("/no-such-path" in failed.stdout, "and says what it waited for", failed.stdout)
    expect(client.request("GET", "/version").json == after, "and what served before still does")

    back = client.playbook("rollback.yml")
    expect(back.returncode == 0, "a rollback succeeds", back.stdout)
    expect(client.request("GET", "/version").json == before, f"what served first serves again: {before}")

    load.stop()
    expect(load.lost == [], f"no request of {load.answered} was lost", "\n".join(load.lost))
    few = load.limited * 20 <= load.answered
    expect(few, f"{load.limited} came while verify exhausted the rate limit", f"of {load.answered}")
    expect(len(load.versions) >= 3, "the clients saw each release")
    Path(paths.STATE / client.fleet.name / "requests").write_text(
        f"{load.answered} answered, {len(load.lost)} lost\n", encoding="ascii"
    )


if __name__ == "__main__":
    main()
