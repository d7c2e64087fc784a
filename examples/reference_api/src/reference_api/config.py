# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration from the environment: read once, checked whole, every problem reported at once."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

EX_CONFIG = 78  # sysexits.h: tells a supervisor that starting again will not help

ENVIRONMENTS = ("production", "staging", "development")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PERIODS = {"second": 1, "minute": 60, "hour": 3600}
MINIMUM_SECRET = 32
MINIMUM_PASSWORD = 16
MINIMUM_VARIETY = 8  # distinct characters; 32 random hex digits have 14 on average
PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|this|it)|replace|placeholder|example|your[-_ ]|default|insecure|dummy|password"
    r"|^<[\w .:/-]*>$|^\{\{.*\}\}$|^\$\{.*\}$",
    re.IGNORECASE,
)
GENERATE = "generate one, for example: openssl rand -base64 48"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Problem(NamedTuple):
    """What is wrong with a variable and what to do; never its value."""

    variable: str
    problem: str
    fix: str


class ConfigurationError(Exception):
    """The environment does not hold a configuration to run with."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s) in the configuration")
        self.problems = problems


class RateLimit(NamedTuple):
    """So many requests in so many seconds."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Database:
    """Where the data lives and how to prove that it is the right server."""

    host: str
    hostaddr: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    sslmode: str
    sslrootcert: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the API was told; secrets stay out of its repr."""

    environment: str
    secret_key: str = field(repr=False)
    admin_api_key: str = field(repr=False)
    # Verified by, beside the ones above, while those are being replaced.
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)
    admin_api_key_fallbacks: tuple[str, ...] = field(repr=False)
    cors_origins: tuple[str, ...]
    log_level: str
    syslog_address: str | tuple[str, int] | None
    trusted_proxies: tuple[Network, ...]
    rate_limit: RateLimit
    release: str
    image_version: str
    database: Database

    def public(self) -> dict[str, Any]:
        """The configuration without its secrets."""
        return {
            "environment": self.environment,
            "cors_origins": self.cors_origins,
            "log_level": self.log_level,
            "syslog_address": self.syslog_address,
            "trusted_proxies": [str(network) for network in self.trusted_proxies],
            "rate_limit": self.rate_limit,
            "database": {
                name: getattr(self.database, name)
                for name in ("host", "hostaddr", "port", "name", "user", "sslmode", "sslrootcert")
            },
        }

    def fingerprint(self) -> str:
        """Changes exactly when the non-secret configuration does."""
        return hashlib.sha256(json.dumps(self.public(), sort_keys=True).encode()).hexdigest()


def load(environ: Mapping[str, str]) -> Settings:
    """Read the whole configuration, or raise with every problem found."""
    reader = _Reader(environ)
    settings = reader.settings()
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return settings


class _Reader:
    """Reads variables one by one and goes on after a bad one, so that one run shows all of them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[Problem] = []
        self.environment = self.choice("AI_SERVICE_ENV", ENVIRONMENTS, "")
        # Whatever is not plainly development is held to production's rules.
        self.strict = self.environment != "development"

    def settings(self) -> Settings:
        secret_key = self.strong_secret("SECRET_KEY")
        admin_api_key = self.strong_secret("ADMIN_API_KEY")
        if secret_key and secret_key == admin_api_key:
            self.bad("ADMIN_API_KEY", "is the same as SECRET_KEY", GENERATE)
        image_version = self.text("IMAGE_VERSION", "unknown")
        return Settings(
            environment=self.environment,
            secret_key=secret_key,
            admin_api_key=admin_api_key,
            secret_key_fallbacks=self.fallbacks("SECRET_KEY_FALLBACKS"),
            admin_api_key_fallbacks=self.fallbacks("ADMIN_API_KEY_FALLBACKS"),
            cors_origins=self.origins("CORS_ORIGINS"),
            log_level=self.log_level("LOG_LEVEL"),
            syslog_address=self.syslog("SYSLOG_ADDRESS"),
            trusted_proxies=self.networks("TRUSTED_PROXIES"),
            rate_limit=self.rate("RATE_LIMIT", "600/minute"),
            release=self.label("APP_RELEASE", image_version),
            image_version=image_version,
            database=self.database(),
        )

    def database(self) -> Database:
        sslmode = self.choice("DATABASE_SSLMODE", SSL_MODES, "verify-full" if self.strict else "prefer")
        sslrootcert = self.text("DATABASE_SSLROOTCERT", "")
        if self.strict and sslmode != "verify-full":
            self.bad("DATABASE_SSLMODE", "does not prove which server answers", "set it to verify-full")
        if sslmode.startswith("verify-") and not sslrootcert:
            self.bad("DATABASE_SSLROOTCERT", "is missing", "give the path of the authority's certificate")
        elif sslrootcert and (reason := _unreadable(Path(sslrootcert))):
            self.bad("DATABASE_SSLROOTCERT", reason, "mount the authority's certificate there")
        return Database(
            host=self.text("DATABASE_HOST", None if self.strict else "localhost"),
            hostaddr=self.address("DATABASE_HOSTADDR"),
            port=self.port("DATABASE_PORT", "5432"),
            name=self.text("DATABASE_NAME", None if self.strict else "reference_api"),
            user=self.text("DATABASE_USER", None if self.strict else "reference_api"),
            password=self.password("DATABASE_PASSWORD"),
            sslmode=sslmode,
            sslrootcert=sslrootcert,
        )

    def bad(self, variable: str, problem: str, fix: str) -> None:
        self.problems.append(Problem(variable, problem, fix))

    def text(self, name: str, default: str | None) -> str:
        value = self.environ.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.bad(name, "is missing", "set it")
            return ""
        return default

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        problem = "is not one of the choices" if value else "is missing"
        self.bad(name, problem, f"set it to one of: {', '.join(choices)}")
        return default

    def label(self, name: str, default: str) -> str:
        value = self.text(name, default)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", value):
            self.bad(name, "is not a release name", "use up to 64 of: letters, digits, . _ + -")
        return value

    def log_level(self, name: str) -> str:
        level = self.choice(name, LOG_LEVELS, "WARNING")
        if level == "DEBUG" and self.strict:
            self.bad(name, "would log what clients send", "set it to INFO or above")
        return level

    def port(self, name: str, default: str) -> int:
        value = self.text(name, default)
        if re.fullmatch(r"\d{1,5}", value) and 0 < int(value) < 65536:
            return int(value)
        self.bad(name, "is not a port number", "set it to a number from 1 to 65535")
        return 0

    def address(self, name: str) -> str:
        value = self.text(name, "")
        try:
            return str(ipaddress.ip_address(value)) if value else ""
        except ValueError:
            self.bad(name, "is not an IP address", "give an address, or leave it empty to resolve the name")
            return ""

    def rate(self, name: str, default: str) -> RateLimit:
        value = self.text(name, default)
        match = re.fullmatch(rf"([1-9]\d{{0,6}})/({'|'.join(PERIODS)})", value)
        if match:
            return RateLimit(int(match[1]), PERIODS[match[2]])
        self.bad(name, "is not a rate", f"write requests/period, for example {default}")
        return RateLimit(1, 1)

    def networks(self, name: str) -> tuple[Network, ...]:
        networks: list[Network] = []
        for number, value in self.listed(name):
            try:
                network = ipaddress.ip_network(value, strict=False)
            except ValueError:
                self.bad(name, f"entry {number} is not a network", "write for example 10.0.0.0/24")
                continue
            if network.prefixlen == 0:
                self.bad(name, f"entry {number} trusts everybody", "name the proxies only")
            networks.append(network)
        return tuple(networks)

    def origins(self, name: str) -> tuple[str, ...]:
        origins: list[str] = []
        schemes = ("https",) if self.strict else ("https", "http")
        for number, value in self.listed(name):
            if _is_origin(value, schemes):
                origins.append(value)
            else:
                self.bad(name, f"entry {number} is not an exact https origin", "write https://host[:port]")
        return tuple(origins)

    def listed(self, name: str) -> list[tuple[int, str]]:
        values = (value.strip() for value in self.text(name, "").split(","))
        return [(number, value) for number, value in enumerate(values, 1) if value]

    def syslog(self, name: str) -> str | tuple[str, int] | None:
        value = self.text(name, "")
        if not value or value.startswith("/"):
            return value or None
        host, _colon, port = value.rpartition(":")
        if host and re.fullmatch(r"\d{1,5}", port) and 0 < int(port) < 65536:
            return host.strip("[]"), int(port)
        self.bad(name, "is neither a socket's path nor host:port", "write for example /dev/log")
        return None

    def secret(self, name: str) -> str:
        """The value of NAME, or what the file in NAME_FILE holds."""
        value, file = self.environ.get(name, ""), self.environ.get(f"{name}_FILE", "")
        if value and file:
            self.bad(name, f"is given twice, also as {name}_FILE", "keep the file only")
            return ""
        if file:
            if reason := _unreadable(Path(file)):
                self.bad(f"{name}_FILE", reason, "mount the secret there, readable by the API's user")
                return ""
            value = Path(file).read_text(encoding="utf-8", errors="replace").rstrip("\r\n")
            if not value:
                self.bad(f"{name}_FILE", "is an empty file", GENERATE)
        elif not value and self.strict:
            self.bad(name, "is missing", f"set {name}_FILE to the path of a file that holds it")
        return value

    def strong_secret(self, name: str) -> str:
        value = self.secret(name)
        if not self.strict:
            return value or secrets.token_urlsafe(48)
        if value and (weakness := _weakness(value, MINIMUM_SECRET)):
            self.bad(name, weakness, GENERATE)
        return value

    def fallbacks(self, name: str) -> tuple[str, ...]:
        """Secrets, one a line, from a file; none where there is no such file."""
        if not (self.environ.get(name) or self.environ.get(f"{name}_FILE")):
            return ()
        values = tuple(filter(None, self.secret(name).splitlines()))
        for number, value in enumerate(values, 1):
            if self.strict and (weakness := _weakness(value, MINIMUM_SECRET)):
                self.bad(name, f"line {number} {weakness}", GENERATE)
        return values

    def password(self, name: str) -> str:
        value = self.secret(name)
        if value and self.strict and (weakness := _weakness(value, MINIMUM_PASSWORD)):
            self.bad(name, weakness, GENERATE)
        return value


def _weakness(value: str, minimum: int) -> str:
    """Why a secret is easy to guess, or an empty string."""
    if len(value) < minimum:
        return f"is shorter than {minimum} characters"
    if PLACEHOLDER.search(value):
        return "looks like a placeholder"
    if len(set(value)) < MINIMUM_VARIETY or value in (value + value)[1:-1]:
        return "repeats itself"
    if not value.isprintable():
        return "holds a line break or another control character"
    return ""


def _is_origin(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    exact = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    return value == exact and parts.scheme in schemes and bool(re.fullmatch(r"[a-z0-9.-]+", host))


def _unreadable(path: Path) -> str:
    """Why a file cannot be used, or an empty string."""
    try:
        path.open("rb").close()
    except OSError as error:
        return f"names a file that cannot be read ({error.strerror})"
    return ""
