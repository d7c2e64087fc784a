# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for the edge's nginx configuration that nginx itself does not know."""

from __future__ import annotations

import re

import pytest
from house import ROOT, load

ROLE = ROOT / "roles/reverse_proxy"
TEMPLATES = sorted((ROLE / "templates").glob("*.j2"))


def directives(name: str) -> dict[str, int]:
    """How often each template uses a directive."""
    found = {path.name: len(re.findall(rf"^\s*{name}\s", path.read_text(), re.M)) for path in TEMPLATES}
    return {template: count for template, count in found.items() if count}


def test_headers_are_added_in_one_place() -> None:
    """A second place would silently drop them all there."""
    assert set(directives("add_header")) == {"headers.conf.j2"}
    assert set(directives("proxy_hide_header")) == {"headers.conf.j2"}


def test_all_headers_are_on_errors_too() -> None:
    text = (ROLE / "templates/headers.conf.j2").read_text()
    assert [
        line for line in text.splitlines() if line.startswith("add_header") and not line.endswith(" always;")
    ] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_template_is_installed(template: object) -> None:
    files = "".join(path.read_text() for path in (ROLE / "vars/main").glob("*.yml"))
    assert f"template: {getattr(template, 'name', '')}" in files


def test_generation_covers_what_nginx_reads() -> None:
    """A part left out of the hash could change without the probe noticing that nginx does not use it yet."""
    parts = set(
        re.findall(r"'([a-z_]+\.conf)'", load(ROLE / "vars/main/service.yml")["_reverse_proxy_parts"])
    )
    # The units are systemd's, and the status server carries the hash.
    found = {path.stem for path in TEMPLATES if path.stem.endswith(".conf")}
    assert parts == found - {"service.conf", "status.conf"}


def test_every_error_page_has_a_code() -> None:
    codes = set(load(ROLE / "vars/main/site.yml")["_reverse_proxy_errors"])
    text = "".join(
        (ROLE / "templates" / f"{name}.conf.j2").read_text() for name in ("error_pages", "site", "slots")
    )
    paged: set[int] = set()
    for line in re.findall(r"^\s*error_page (.*);", text, re.M):
        statuses, _equals, overwritten = line.partition("=")
        paged |= (
            {int(overwritten.split()[0])}
            if overwritten
            else {int(s) for s in statuses.split() if s.isdigit()}
        )
    assert paged - codes - {497} == set()
