# SPDX-License-Identifier: GPL-3.0-or-later
"""A line is found wherever and whenever it comes, and nothing else is taken for it."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import log_search
from ansible_collections.techsaas.hardened.plugins.module_utils.log_search import Search, carries, written
from ansible_collections.techsaas.hardened.plugins.modules.verify_logs import result_of

_ID = "5f0c3e9a4be04cf1a6c4e8b6a7a0d9f1"
_OTHER = "0" * 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app-1/app.jsonl"
    path.parent.mkdir()
    return path


def line(request_id: str = _ID) -> str:
    return json.dumps({"host": "app-1", "app": {"request_id": request_id, "event": "request"}}) + "\n"


def add(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def search(file: Path, *ids: str, **options: Any) -> Search:
    return Search(file.parents[1], ids or (_ID,), **options)


def test_found_at_once(file: Path) -> None:
    add(file, line(_OTHER) + line() + line(_OTHER))
    looked = search(file, _ID, _OTHER)
    assert looked.wait(5) < 1
    assert looked.missing == []
    place = looked.found[_ID]
    assert (place["host"], place["stream"], place["path"]) == ("app-1", "app", str(file))


@pytest.mark.parametrize("text", [line(), line(_OTHER) * 50 + line()])
def test_found_when_it_comes(file: Path, text: str) -> None:
    add(file, line(_OTHER))
    threading.Timer(0.2, add, (file, text)).start()
    assert 0.1 < search(file).wait(5) < 4


def test_file_that_appears_later(file: Path) -> None:
    threading.Timer(0.2, add, (file, line())).start()
    assert search(file).wait(5) < 4


def test_line_that_comes_in_pieces(file: Path) -> None:
    looked, text = search(file), line()
    for piece in (text[:30], text[30:-1]):
        add(file, piece)
        looked.look()
        assert looked.missing == [_ID]
    assert looked.unparsed == {}
    add(file, "\n")
    looked.look()
    assert looked.missing == []


@pytest.mark.parametrize("rotated", ["app.jsonl.1", "app.jsonl-20260102-1767312000"])
def test_rotation_between_two_looks(file: Path, rotated: str) -> None:
    add(file, line(_OTHER))
    looked = search(file)
    looked.look()
    add(file, line())
    file.rename(file.with_name(rotated))
    add(file, line(_OTHER))
    looked.look()
    assert looked.found[_ID]["stream"] == "app"


def test_compressed_file_is_not_read(file: Path) -> None:
    add(file.with_name("app.jsonl-20260102.gz"), line())
    looked = search(file)
    looked.look()
    assert looked.missing == [_ID]


def test_truncated_file_is_read_anew(file: Path) -> None:
    add(file, line(_OTHER) * 9)
    looked = search(file)
    looked.look()
    file.write_text(line())
    looked.look()
    assert looked.missing == []


def test_only_the_end_of_a_huge_file_is_read(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(3 * 1024**3)
    add(file, "\n" + line())
    started = time.monotonic()
    assert search(file).wait(0) < 1
    assert time.monotonic() - started < 1
    assert search(file).wait(0) >= 0


def test_beginning_cut_off_within_the_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "_TAIL", len(line()) - 3)
    add(file, line())
    looked = search(file)
    looked.look()
    assert looked.missing == [_ID]
    assert looked.unparsed == {_ID: str(file)}


def test_file_that_rests_is_not_opened(file: Path) -> None:
    add(file, line())
    os.utime(file, (time.time() - 3600,) * 2)
    looked = search(file)
    looked.look()
    assert looked.missing == [_ID]


def test_streams(file: Path) -> None:
    add(file, line())
    for patterns, missing in ((["sec*"], [_ID]), (["sec*", "a?p"], [])):
        looked = search(file, streams=patterns)
        looked.look()
        assert looked.missing == missing


def test_line_of_another_host_does_not_count(file: Path) -> None:
    add(file, line())
    looked = search(file, hosts=["app-2", "web-*"])
    looked.look()
    message = result_of(looked, 1.0, 1.0, None)["problems"][0]["message"]
    assert message.endswith("within 1 s from app-2 or web-*; only app-1/app has it")
    other = file.parents[1] / "web-9/app.jsonl"
    other.parent.mkdir()
    other.write_text(line())
    looked.look()
    assert looked.found[_ID]["host"] == "web-9"


def test_lines_that_nobody_would_find(file: Path) -> None:
    add(file, f"plain text {_ID}\n" + json.dumps({"message": f"request {_ID}"}) + "\n")
    looked = search(file)
    looked.look()
    result = result_of(looked, 1.0, 1.0, None)
    assert result["missing"] == [_ID]
    assert "not as a field request_id" in result["problems"][0]["message"]
    assert "template" in result["problems"][0]["fix"]


def test_the_search_does_not_find_itself(file: Path) -> None:
    called = json.dumps({"message": f"Invoked with request_ids=['{_ID}']"}) + "\n"
    add(file.with_name("ansible-techsaas.hardened.verify_logs.jsonl"), called)
    looked = search(file)
    looked.look()
    assert (looked.missing, looked.unparsed) == ([_ID], {})


@pytest.mark.parametrize(
    ("entry", "is_it"),
    [
        ({"request_id": "x"}, True),
        ({"a": {"b": [{"request_id": "x"}]}}, True),
        ({"request_id": "y", "other": "x"}, False),
        ({"request_id": {"x": "x"}}, False),
        (["x"], False),
        ("x", False),
        (None, False),
    ],
)
def test_carries(entry: Any, is_it: bool) -> None:
    assert carries(entry, "x") is is_it


def test_latency(file: Path) -> None:
    add(file, line())
    looked = search(file)
    waited = looked.wait(1)
    arrived = file.stat().st_mtime
    assert result_of(looked, waited, 1, arrived - 0.25)["found"][0]["latency"] == 0.25


def test_clock_ahead_of_the_collectors(file: Path) -> None:
    add(file, line())
    looked = search(file)
    looked.look()
    assert result_of(looked, 0, 1, time.time() + 60)["found"][0]["latency"] == 0.0


def test_what_was_written_is_told(file: Path) -> None:
    add(file, line(_OTHER))
    now = file.stat().st_mtime
    for number in range(7):
        other = file.parents[1] / f"web-{number}/nginx.jsonl"
        other.parent.mkdir()
        other.write_text("{}\n")
        os.utime(other, (now - 100 - number,) * 2)
    told = written(file.parents[1], now)
    assert "app-1/app 0 s ago, web-0/nginx 100 s ago" in told
    assert told.endswith("and 2 more")
    result = result_of(search(file), 1.0, 1.0, None)
    assert "app-1/app" in result["problems"][0]["message"]


def test_empty_and_absent_directory(tmp_path: Path) -> None:
    assert "no log at all" in result_of(Search(tmp_path, [_ID]), 0, 0, None)["problems"][0]["message"]
    absent = result_of(Search(tmp_path / "absent", [_ID]), 0, 0, None)
    assert "no such directory" in absent["problems"][0]["message"]
