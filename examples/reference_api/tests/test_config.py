# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration is refused whole, with every reason and no value."""

from __future__ import annotations

import json
import secrets
import string
from pathlib import Path

import pytest

from reference_api.config import ConfigurationError, Problem, Settings, load

from .conftest import run_command

SECRET = secrets.token_urlsafe(48)
ADMIN = secrets.token_urlsafe(48)
SHORT = secrets.token_urlsafe(12)
PLACEHOLDER = "changeme-changeme-changeme-ZYXWVUTS"


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    authority = tmp_path / "ca.crt"
    authority.write_text("certificate")
    return {
        "AI_SERVICE_ENV": "production",
        "SECRET_KEY": SECRET,
        "ADMIN_API_KEY": ADMIN,
        "DATABASE_HOST": "database.lab.internal",
        "DATABASE_NAME": "api",
        "DATABASE_USER": "api",
        "DATABASE_PASSWORD": secrets.token_urlsafe(24),
        "DATABASE_SSLROOTCERT": str(authority),
    }


def problems(environ: dict[str, str]) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ)
    return caught.value.problems


def test_a_good_configuration_is_taken(good: dict[str, str]) -> None:
    settings = load(good | {"CORS_ORIGINS": "https://a.test, https://b.test:8443", "RATE_LIMIT": "5/second"})
    assert settings.cors_origins == ("https://a.test", "https://b.test:8443")
    assert settings.rate_limit == (5, 1)
    assert (settings.database.sslmode, settings.database.port) == ("verify-full", 5432)
    assert settings.log_level == "WARNING"


def test_everything_wrong_is_reported_at_once_without_values() -> None:
    bad = {
        "AI_SERVICE_ENV": "prodution",
        "SECRET_KEY": SHORT,
        "ADMIN_API_KEY": PLACEHOLDER,
        "CORS_ORIGINS": "*,https://ok.test,http://plain.test,https://path.test/here",
        "LOG_LEVEL": "loudly",
        "DATABASE_HOSTADDR": "nowhere",
        "DATABASE_PORT": "99999",
        "DATABASE_SSLMODE": "require",
        "DATABASE_SSLROOTCERT": "/no/such/file",
        "SYSLOG_ADDRESS": "somewhere",
        "TRUSTED_PROXIES": "0.0.0.0/0,proxyname",
        "RATE_LIMIT": "lots",
        "APP_RELEASE": "2026|01",
    }
    found = problems(bad)
    missing = {"DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD"}
    assert {problem.variable for problem in found} == set(bad) | missing
    assert all(problem.problem and problem.fix for problem in found)
    told = " ".join(" ".join(problem) for problem in found)
    for value in (*bad.values(), "http://plain.test", "proxyname"):
        assert value not in told


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("short", "shorter"),
        ("replace-this-with-something-secret-1234", "placeholder"),
        ("your-secret-key-goes-here-0123456789", "placeholder"),
        ("{{ app_secret_key | the vault's value }}", "placeholder"),
        ("<the secret key of 32 characters or more>", "placeholder"),
        ("0123456789abcdef" * 3, "repeats"),
        ("a" * 64, "repeats"),
        pytest.param(f"{SECRET[:20]}\n{SECRET[20:]}", "line break", id="line break"),
    ],
)
def test_a_weak_secret_is_refused(good: dict[str, str], value: str, reason: str) -> None:
    (found,) = problems(good | {"SECRET_KEY": value})
    assert found.variable == "SECRET_KEY"
    assert reason in found.problem


def _printable(length: int) -> str:
    return "".join(
        secrets.choice(string.ascii_letters + string.digits + string.punctuation) for _place in range(length)
    )


@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe, _printable])
def test_random_secrets_are_never_called_weak(good: dict[str, str], make: object) -> None:
    assert callable(make)
    for _attempt in range(300):
        load(good | {"SECRET_KEY": make(32)})


def test_the_two_secrets_must_differ(good: dict[str, str]) -> None:
    (found,) = problems(good | {"ADMIN_API_KEY": SECRET})
    assert "same" in found.problem


@pytest.mark.parametrize("name", ["SECRET_KEY", "ADMIN_API_KEY", "DATABASE_PASSWORD"])
def test_secrets_come_from_files_too(good: dict[str, str], tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{good[name]}\n")
    in_file = {other: value for other, value in good.items() if other != name} | {f"{name}_FILE": str(file)}
    assert load(in_file) == load(good)
    (twice,) = problems(good | {f"{name}_FILE": str(file)})
    assert "twice" in twice.problem
    file.write_text("\n")
    (empty,) = problems(in_file)
    assert (empty.variable, empty.problem) == (f"{name}_FILE", "is an empty file")
    file.unlink()
    (gone,) = problems(in_file)
    assert "cannot be read" in gone.problem


def test_fallbacks_are_secrets_too_one_a_line(good: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    in_file = good | {"SECRET_KEY_FALLBACKS_FILE": str(file)}
    file.write_text(f"{good['ADMIN_API_KEY']}\n{good['SECRET_KEY']}\n")
    assert load(in_file).secret_key_fallbacks == (good["ADMIN_API_KEY"], good["SECRET_KEY"])
    assert load(good).secret_key_fallbacks == ()
    file.write_text(f"{good['SECRET_KEY']}\nshort\n")
    (weak,) = problems(in_file)
    assert (weak.variable, weak.problem[:17]) == ("SECRET_KEY_FALLBACKS", "line 2 is shorter")


def test_staging_is_held_to_the_rules_of_production(good: dict[str, str]) -> None:
    assert problems(good | {"AI_SERVICE_ENV": "staging", "SECRET_KEY": SHORT})


def test_development_needs_nothing_but_takes_no_nonsense() -> None:
    settings = load({"AI_SERVICE_ENV": "development"})
    assert len(settings.secret_key) >= 32
    assert settings.secret_key != load({"AI_SERVICE_ENV": "development"}).secret_key
    (found,) = problems({"AI_SERVICE_ENV": "development", "DATABASE_PORT": "http"})
    assert found.variable == "DATABASE_PORT"


def test_debug_logging_is_not_for_production(good: dict[str, str]) -> None:
    (found,) = problems(good | {"LOG_LEVEL": "DEBUG"})
    assert found.variable == "LOG_LEVEL"


def test_the_fingerprint_follows_the_configuration_but_not_the_secrets(good: dict[str, str]) -> None:
    settings = load(good)
    assert settings.fingerprint() == load(good | {"SECRET_KEY": secrets.token_urlsafe(48)}).fingerprint()
    assert settings.fingerprint() != load(good | {"LOG_LEVEL": "ERROR"}).fingerprint()
    shown = repr(settings) + json.dumps(settings.public())
    assert not [value for value in (SECRET, ADMIN, good["DATABASE_PASSWORD"]) if value in shown]
    assert isinstance(settings, Settings)


@pytest.mark.parametrize("command", ["serve", "migrate", "check-config"])
def test_every_command_refuses_with_exit_code_78(good: dict[str, str], command: str) -> None:
    weak = "tooshort-Zq9"
    result = run_command(command, environment=good | {"SECRET_KEY": weak, "LOG_LEVEL": "loud"})
    assert result.returncode == 78
    assert "SECRET_KEY" in result.stderr
    assert "LOG_LEVEL" in result.stderr
    assert weak not in result.stderr + result.stdout


def test_check_config_says_it_in_json(good: dict[str, str]) -> None:
    fine = run_command("check-config", environment=good)
    assert (fine.returncode, json.loads(fine.stdout)["ok"]) == (0, True)
    bad = json.loads(run_command("check-config", environment=good | {"SECRET_KEY": ""}).stdout)
    assert bad["ok"] is False
    assert [problem["variable"] for problem in bad["problems"]] == ["SECRET_KEY"]
