# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of config_set: its argument spec, the checks a spec cannot express, and the way to the model.

Shared by the action plugin (which checks everything before the host is contacted) and the module.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from .credentials import Credential
from .mask import SHORTEST
from .model import DirectorySpec, FileSpec, LinkSpec, ProbeSpec, ServiceSpec, SetSpec, WatchSpec

SOURCES = ("template", "content", "source")
ON_CHANGE = ["reload", "restart", "none"]
WATCH_ON_CHANGE = ("reload", "restart")
PROBES = ("command", "tcp", "http", "socket")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
CREDENTIAL = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MODE = re.compile(r"0?[0-7]{3}|[0-7]{4}")

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "template": {"type": "str"},
            "content": {"type": "str"},
            "source": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "raw", "default": "0644"},
            "secret": {"type": "bool", "default": False, "no_log": False},
            "on_change": {"type": "str", "choices": ON_CHANGE},
            "credential": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "not_after": {"type": "str"},
                },
            },
        },
    },
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "raw", "default": "0755"},
            "purge": {"type": "bool", "default": False},
            "exclude": {"type": "list", "elements": "str", "default": []},
        },
    },
    "links": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
        },
    },
    "watch": {"type": "list", "elements": "raw", "default": []},
    "check": {"type": "list", "elements": "list", "default": []},
    "check_timeout": {"type": "float", "default": 60.0},
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "unmanaged"], "default": "started"},
            "enabled": {"type": "bool"},
            "on_change": {"type": "str", "choices": ON_CHANGE, "default": "reload"},
        },
    },
    "probe": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "command": {"type": "list", "elements": "str"},
            "tcp": {"type": "str"},
            "http": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "status": {"type": "list", "elements": "int", "default": [200]},
                    "ca_file": {"type": "str"},
                    "headers": {"type": "dict", "default": {}},
                },
            },
            "socket": {"type": "str"},
            "deadline": {"type": "float", "default": 30.0},
            "interval": {"type": "float", "default": 0.5},
        },
    },
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "keep": {"type": "int", "default": 1},
    "mode": {"type": "str", "choices": ["apply", "judge"], "default": "apply"},
    "skip_settled": {"type": "bool", "default": False},
    "contents": {"type": "str", "no_log": True},
    "digest": {"type": "str", "default": ""},
}

Arguments = Mapping[str, Any]


def find_problems(arguments: Arguments) -> Iterator[str]:
    """Everything that is wrong with arguments of the right types, each with its place and the way to mend it."""
    if not NAME.fullmatch(arguments["name"]):
        yield f"name: '{arguments['name']}' must be 1 to 64 of A-Z a-z 0-9 _ . @ - and begin with A-Z a-z 0-9"
    yield from _path_problems(arguments)
    yield from _watch_problems(arguments)
    for place, item in _items(arguments, "files"):
        yield from _file_problems(place, item)
    for place, item in [*_items(arguments, "files"), *_items(arguments, "directories")]:
        if not _is_mode(item["mode"]):
            yield f"{place}.mode: {item['mode']!r} must be a quoted octal string such as '0644'"
    for place, item in _items(arguments, "links"):
        if not item["target"]:
            yield f"{place}.target: must not be empty"
    for number, argv in enumerate(arguments["check"]):
        if not argv or not all(isinstance(word, str) and word for word in argv):
            yield f"check[{number}]: must be a list of words, the program first, such as [nginx, -t]"
    names = [item["name"] for item in arguments["services"]]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"services: '{name}' is named more than once"
    for number, value in enumerate(arguments["secrets"]):
        if 0 < len(value) < SHORTEST:
            yield f"secrets[{number}]: is shorter than {SHORTEST} characters, too short to be masked; use a longer one"
    for place, item in _items(arguments, "probe"):
        yield from _probe_problems(place, item)
    if arguments["keep"] < 0:
        yield "keep: must not be negative"


def _items(arguments: Arguments, option: str) -> Iterator[tuple[str, dict[str, Any]]]:
    items = watch_items(arguments) if option == "watch" else arguments[option]
    for number, item in enumerate(items):
        label = item.get("path") or item.get("name")
        yield (f"{option}[{number}] ({label})" if label else f"{option}[{number}]"), item


def _path_problems(arguments: Arguments) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    leaves: dict[str, str] = {}
    for option in ("files", "links", "directories", "watch"):
        for place, item in _items(arguments, option):
            path = item.get("path")
            if not isinstance(path, str):  # reported elsewhere
                continue
            if not path.startswith("/"):
                problems.append(f"{place}.path: must be absolute")
            elif path != os.path.normpath(path) or path.startswith("//") or path == "/":
                problems.append(
                    f"{place}.path: must be written plainly, as {os.path.normpath('/' + path.lstrip('/'))}"
                )
            if path in seen:
                problems.append(f"{place}.path: is already used by {seen[path]}")
            seen.setdefault(path, place)
            if option != "directories":
                leaves[path] = place
    for path, place in seen.items():
        for leaf, leaf_place in leaves.items():
            if path.startswith(leaf + "/"):
                problems.append(f"{place}.path: lies below {leaf_place}, which is not a directory")
    return problems


def watch_items(arguments: Arguments) -> list[dict[str, Any]]:
    """Every entry in its long form, whatever it holds."""
    return [item if isinstance(item, dict) else {"path": item} for item in arguments["watch"]]


def _watch_problems(arguments: Arguments) -> Iterator[str]:
    for place, item in _items(arguments, "watch"):
        unknown = sorted(str(key) for key in item if key not in ("path", "on_change"))
        if not isinstance(item.get("path"), str) or unknown:
            yield f"{place}: must be a path, or path and on_change"
        elif item.get("on_change") not in (None, *WATCH_ON_CHANGE):
            yield f"{place}.on_change: {item['on_change']!r} must be one of {', '.join(WATCH_ON_CHANGE)}"


def _file_problems(place: str, item: Arguments) -> list[str]:
    given = [source for source in SOURCES if item.get(source) is not None]
    if item["state"] == "absent":
        return [f"{place}: is absent, so it takes no {' or '.join(given)}"] if given else []
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none"
        return [f"{place}: needs exactly one of template, content or source; {found}"]
    return _credential_problems(place, item.get("credential"))


def _credential_problems(place: str, sealing: Arguments | None) -> list[str]:
    problems = []
    if sealing and not CREDENTIAL.fullmatch(sealing["name"]):
        problems.append(f"{place}.credential.name: must be 1 to 64 of A-Z a-z 0-9 _ . @ -")
    if sealing and sealing.get("not_after") and not _is_day(sealing["not_after"]):
        problems.append(f"{place}.credential.not_after: must be a day such as '2027-12-31', in quotes")
    return problems


def _probe_problems(place: str, item: Arguments) -> list[str]:
    from .probe import split_address

    problems: list[str] = []
    given = [kind for kind in PROBES if item.get(kind)]
    if len(given) != 1:
        problems.append(f"{place}: needs exactly one of {', '.join(PROBES)}")
    if item.get("tcp"):
        try:
            split_address(item["tcp"])
        except ValueError as error:
            problems.append(f"{place}.tcp: {error}")
    if item.get("http") and not item["http"]["url"].startswith(("http://", "https://")):
        problems.append(f"{place}.http.url: must begin with http:// or https://")
    for option in ("deadline", "interval"):
        if item[option] <= 0:
            problems.append(f"{place}.{option}: must be more than 0 seconds")
    return problems


def _is_day(value: str) -> bool:
    try:
        return bool(DAY.fullmatch(value) and datetime.date.fromisoformat(value))
    except ValueError:
        return False


def _is_mode(value: Any) -> bool:
    return isinstance(value, str) and bool(MODE.fullmatch(value))


def pack(contents: Mapping[str, bytes]) -> str:
    """All contents as one opaque text: compact, safe for binary files, and hidden whole by no_log."""
    plain = json.dumps({path: content.decode("latin-1") for path, content in contents.items()})
    return base64.b64encode(zlib.compress(plain.encode())).decode()


def digest(sent: Mapping[str, Any]) -> str:
    """What tells one set from another by everything that it wants, its contents included."""
    wanted = {option: value for option, value in sent.items() if option not in ("mode", "skip_settled")}
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def unpack(packed: str | None) -> dict[str, bytes]:
    if not packed:
        return {}
    plain = json.loads(zlib.decompress(base64.b64decode(packed)))
    return {path: content.encode("latin-1") for path, content in plain.items()}


def to_spec(arguments: Arguments) -> SetSpec:
    """The model of checked arguments whose contents have been rendered."""
    contents = unpack(arguments["contents"])
    return SetSpec(
        name=arguments["name"],
        files=tuple(_file(item, contents) for item in arguments["files"]),
        directories=tuple(
            DirectorySpec(
                d["path"], d["owner"], d["group"], int(d["mode"], 8), d["purge"], tuple(d["exclude"])
            )
            for d in arguments["directories"]
        ),
        links=tuple(LinkSpec(item["path"], item["target"]) for item in arguments["links"]),
        watch=tuple(WatchSpec(item["path"], item.get("on_change")) for item in watch_items(arguments)),
        check=tuple(tuple(argv) for argv in arguments["check"]),
        services=tuple(
            ServiceSpec(s["name"], s["state"], s["enabled"], s["on_change"]) for s in arguments["services"]
        ),
        probes=tuple(_probe(item) for item in arguments["probe"]),
        secrets=tuple(value for value in arguments["secrets"] if value),
        keep=arguments["keep"],
        check_timeout=arguments["check_timeout"],
        digest=arguments["digest"],
    )


def _file(item: Arguments, contents: Mapping[str, bytes]) -> FileSpec:
    content = None if item["state"] == "absent" else contents[item["path"]]
    sealing = item.get("credential")
    return FileSpec(
        item["path"],
        content,
        item["owner"],
        item["group"],
        int(item["mode"], 8),
        item["secret"] or bool(sealing),
        item["on_change"],
        Credential(sealing["name"], sealing.get("not_after") or "") if sealing else None,
    )


def _probe(item: Arguments) -> ProbeSpec:
    return ProbeSpec(
        tuple(item["command"] or ()),
        item["tcp"],
        item["http"],
        item["socket"],
        item["deadline"],
        item["interval"],
    )
