# SPDX-License-Identifier: GPL-3.0-or-later
"""What a text may say, by kind. Each kind yields findings; none of them repeats the value."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Callable

from ansible_collections.techsaas.hardened.plugins.module_utils.image_reference import ReferenceProblem, parse
from ansible_collections.techsaas.hardened.plugins.module_utils.nearest_name import nearest
from ansible_collections.techsaas.hardened.plugins.module_utils.seccomp import known_names
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import (
    MIN_LENGTH,
    Finding,
    findings,
)

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})+")
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_ORIGIN = re.compile(r"https://([^/?#@:\s]+|\[[0-9a-f:]+\])(?::(\d+))?", re.ASCII)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----\n(?!Proc-Type)[A-Za-z0-9+/=\n]+-----END \1-----"
)
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----")
_RESERVED = (
    "localhost",
    "local",
    "test",
    "example",
    "invalid",
    "internal",
    "example.com",
    "example.net",
    "example.org",
)
# man 7 capabilities.
_CAPABILITIES = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID"
    " IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW"
    " PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO"
    " SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
).split()
_PATTERNS = {
    "name": (
        r"[a-z][a-z0-9_-]{0,62}",
        "must start with a lower case letter and go on with lower case letters, digits, - or _",
        "for example: production",
    ),
    "release": (
        r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}",
        "must be letters, digits, and . _ + -",
        "for example: 1.4.2",
    ),
    "duration": (
        r"[1-9]\d{0,8}(?:ms|s|m|h|d|w)",
        "must be a number with a unit: ms, s, m, h, d, or w",
        "for example: 30s",
    ),
    "size": (
        r"[1-9]\d{0,11}[kKmMgG]?",
        "must be a number of bytes, or with a unit: k, m, or g",
        "for example: 10m",
    ),
    "rate": (
        r"[1-9]\d{0,6}r/[sm]",
        "must be a number of requests per second or minute",
        "for example: 10r/s",
    ),
    "path": (
        r"/(?:[^\0\n]*[^/\0\n])?",
        "must be an absolute path without a slash at its end",
        "start it with /",
    ),
    "unit": (
        r"[A-Za-z0-9:_.@\\-]{1,240}\.(?:service|socket|timer|target|mount|path)",
        "must be the name of a systemd unit",
        "for example: nginx.service",
    ),
    "user": (
        r"[a-z_][a-z0-9_-]{0,30}",
        "must be a system user or group name",
        "use lower case letters, digits, - and _",
    ),
    "port": (r"[1-9]\d{0,4}", "must be a port number", "for example: 8443"),
    "digest": (
        r"sha256:[0-9a-f]{64}",
        "must be sha256: and 64 hexadecimal digits",
        "copy it from the registry's answer",
    ),
    "email": (r"[^@\s]+@[^@\s]+\.[^@\s]+", "must be an e-mail address", "for example: ops@example.net"),
}
Params = Mapping[str, Any]
Kind = Callable[[str, Params], Iterator[Finding]]


def _secret(value: str, params: Params) -> Iterator[Finding]:
    yield from findings(value, params.get("min_length", MIN_LENGTH), params.get("context", ()))


def _domain(value: str, _params: Params) -> Iterator[Finding]:
    if not _DOMAIN.fullmatch(value):
        yield Finding(
            "DOMAIN",
            "must be a domain name: lower case labels with dots between, without scheme, port, or path",
            "for example: api.example.net (international names in their xn-- form)",
        )


def _host(value: str, _params: Params) -> Iterator[Finding]:
    if not _HOST_NAME.fullmatch(value) and not _is_address(value):
        yield Finding("HOST", "must be a host name or an address", "write it without scheme and port")


def _origin(value: str, params: Params) -> Iterator[Finding]:
    match = _ORIGIN.fullmatch(value)
    host, port = (match.group(1), match.group(2)) if match else ("", None)
    fix = "for example: https://app.example.net, without a path, not even a slash"
    if not match or host != host.lower() or not host.isascii() or "*" in host:
        yield Finding(
            "ORIGIN", "must be exactly https://HOST or https://HOST:PORT in lower case, no wildcard", fix
        )
    elif _is_address(host.strip("[]")) or not _DOMAIN.fullmatch(host):
        yield Finding("ORIGIN", "must name a host by its full domain name", fix)
    elif port is not None and (not 1 <= int(port) <= 65535 or port.startswith("0") or port == "443"):
        yield Finding("ORIGIN", "must have a port between 1 and 65535, and none for 443", fix)
    elif params.get("reserved", "deny") == "deny" and any(
        host == r or host.endswith(f".{r}") for r in _RESERVED
    ):
        yield Finding("ORIGIN", "must not name a reserved domain (localhost, .test, .example, ...)", fix)


def _image(value: str, params: Params) -> Iterator[Finding]:
    try:
        reference = parse(value)
    except ReferenceProblem as problem:
        yield Finding("IMAGE", f"the image reference {problem}", problem.fix)
        return
    if params.get("digest") and not reference.digest:
        yield Finding(
            "IMAGE",
            "must name the image by digest: a tag may be moved to another image",
            "add @sha256:DIGEST, as the registry's push printed it",
        )


def _address(value: str, _params: Params) -> Iterator[Finding]:
    if not _is_address(value):
        yield Finding("ADDRESS", "must be an IPv4 or IPv6 address", "for example: 192.0.2.10")


def _cidr(value: str, _params: Params) -> Iterator[Finding]:
    try:
        ipaddress.ip_network(value, strict=True)
    except ValueError:
        yield Finding(
            "CIDR",
            "must be an address range whose host part is zero",
            "for example: 192.0.2.0/24, or 192.0.2.10/32",
        )


def _network(value: str, params: Params) -> Iterator[Finding]:
    if not _is_address(value):
        yield from (finding._replace(code="NETWORK") for finding in _cidr(value, params))


def _syscall(value: str, _params: Params) -> Iterator[Finding]:
    if value not in known_names():
        meant = nearest(value, sorted(known_names()))
        yield Finding(
            "SYSCALL",
            "must be the name of a system call",
            f"did you mean {meant}?" if meant else "for example: openat; man 2 syscalls has them all",
        )


def _capability(value: str, _params: Params) -> Iterator[Finding]:
    if value not in _CAPABILITIES:
        meant = nearest(value.upper().removeprefix("CAP_"), _CAPABILITIES)
        yield Finding(
            "CAPABILITY",
            "must be the name of one capability, in capitals and without CAP_",
            f"did you mean {meant}?" if meant else "for example: NET_RAW; man 7 capabilities has them all",
        )


def _day(value: str, _params: Params) -> Iterator[Finding]:
    try:
        good = re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) and datetime.date.fromisoformat(value)
    except ValueError:
        good = None
    if not good:
        yield Finding("DAY", "must be a day of the calendar", "write '2027-06-30', in quotes")


def _certificate(value: str, _params: Params) -> Iterator[Finding]:
    if not re.search(r"-----BEGIN CERTIFICATE-----\n[\s\S]+?\n-----END CERTIFICATE-----", value):
        yield Finding(
            "CERTIFICATE", "must be a certificate in PEM form", "paste it with its BEGIN and END lines"
        )


def _public_key(value: str, _params: Params) -> Iterator[Finding]:
    if not _PUBLIC_KEY.fullmatch(value.strip()):
        yield Finding(
            "PUBLIC_KEY",
            "must be a public key in PEM form",
            "paste cosign.pub with its BEGIN and END lines, or look the file up",
        )


def _private_key(value: str, _params: Params) -> Iterator[Finding]:
    if not _PRIVATE_KEY.fullmatch(value.strip()):
        yield Finding(
            "PRIVATE_KEY",
            "must be a private key in PEM form that needs no passphrase",
            "paste it with its BEGIN and END lines, and encrypt it by ansible-vault like every other secret",
        )


def _task_file(value: str, params: Params) -> Iterator[Finding]:
    path = Path(params.get("directory") or ".", value)
    if not path.is_file():
        yield Finding(
            "NO_SUCH_FILE",
            "must name a file on the controller; the path begins at the inventory's directory",
            "correct the path, or write the file",
        )
        return
    problem = _no_tasks(path)
    if problem:
        yield Finding(
            "TASKS",
            f"must be a list of tasks: {problem}",
            "write it like a task file of a role, without plays",
        )


def _sql_path(value: str, params: Params) -> Iterator[Finding]:
    path = Path(params.get("directory") or ".", value)
    if not path.is_file() and not any(path.glob("*.sql")):
        yield Finding(
            "NO_SUCH_FILE",
            "must name a file on the controller, or a directory with files *.sql; the path begins at the inventory's directory",
            "correct the path, or write the file",
        )


def _no_tasks(path: Path) -> str:
    """What is wrong with a file of tasks, as far as that can be seen without running it."""
    # Only the controller has it for sure.
    import yaml

    try:
        # Composed and not loaded: vaulted values have a tag of Ansible's own.
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError):
        return "it cannot be read"
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"it is no YAML{place}"
    except yaml.YAMLError:
        return "it is no YAML"
    if root is None:
        return "it is empty"
    if not isinstance(root, yaml.SequenceNode):
        return "it is something else"
    for task in root.value:
        keys = [key.value for key, _value in task.value] if isinstance(task, yaml.MappingNode) else []
        if not keys or "hosts" in keys:
            return f"the entry at line {task.start_mark.line + 1} is none"
    return ""


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _by_pattern(code: str, pattern: str, rule: str, fix: str) -> Kind:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str, _params: Params) -> Iterator[Finding]:
        if not compiled.fullmatch(value):
            yield Finding(code, rule, fix)

    return check


# What they are is found out where the inventory lies.
FILE_KINDS = ("task_file", "sql_path")
# Their values must stand nowhere in clear.
SECRET_KINDS = ("secret", "private_key")
KINDS: dict[str, Kind] = {
    "secret": _secret,
    "domain": _domain,
    "host": _host,
    "origin": _origin,
    "image": _image,
    "address": _address,
    "cidr": _cidr,
    "network": _network,
    "syscall": _syscall,
    "capability": _capability,
    "day": _day,
    "task_file": _task_file,
    "sql_path": _sql_path,
    "certificate": _certificate,
    "public_key": _public_key,
    "private_key": _private_key,
    "text": lambda value, params: iter(()),
    **{name: _by_pattern(name.upper(), *parts) for name, parts in _PATTERNS.items()},
}
