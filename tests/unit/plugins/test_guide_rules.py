# SPDX-License-Identifier: GPL-3.0-or-later
"""The users' guide on the collection's own specification: what is refused in production, and what elsewhere."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.techsaas.hardened.plugins.module_utils.guide import verdicts
from ansible_collections.techsaas.hardened.plugins.plugin_utils.fleet_validator import FleetValidator
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import read_specification
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver

_ROOT = Path(__file__).resolve().parents[3]
_SPEC = read_specification(_ROOT, DataLoader())
_ORIGIN = "https://console.your-company.com"

_OF_THE_RUN: dict[str, Any] = {"groups": {}, "inventory_dir": "/etc/inventory"}


def _good() -> dict[str, Any]:
    keys = ("app_secret_key", "app_admin_api_key", "postgres_app_password", "pki_ca_passphrase")
    return {
        "hardened_environment": "production",
        "hardened_domain": "api.your-company.com",
        "app_image": "registry.your-company.com/api@sha256:" + "0" * 64,
        "app_image_signature_waiver": {
            "until": "2999-12-31",
            "reason": "images are signed from next year on",
        },
        "app_cors_origins": [_ORIGIN],
        **{key: secrets.token_urlsafe(48) for key in keys},
        # By default from the backend, which these inventories have none of.
        **{f"{key}_rotation": {"generation": 0} for key in keys[:2]},
    }


def _judge(**changes: Any) -> tuple[set[tuple[str, str]], dict[str, str]]:
    """Problems and verdicts for one host that serves the application; None takes a variable away."""
    variables = {name: value for name, value in {**_good(), **changes}.items() if value is not None}
    raw = {name: trust_as_template(v) if isinstance(v, str) else v for name, v in variables.items()}
    validator = FleetValidator(_SPEC, Resolver(DataLoader()), _OF_THE_RUN, hosts=["gateway-east"])
    validator.host("gateway-east", {**raw, "group_names": ["app"], "inventory_hostname": "gateway-east"})
    validator.reused_secrets()
    rows = validator.report.rows()
    guide = verdicts(_SPEC.guide, rows, validator.judged)
    return {(row["variable"], row["code"]) for row in rows}, {row["rule"]: row["verdict"] for row in guide}


def test_a_good_production_has_only_good_verdicts() -> None:
    problems, guide = _judge()
    assert problems == set()
    assert set(guide.values()) == {"OK"}
    assert set(guide) >= {"AI_SERVICE_ENV", "SECRET_KEY", "ADMIN_API_KEY", "CORS_ORIGINS", "LOG_LEVEL"}


@pytest.mark.parametrize("name", ["production", "prod", "prod-eu", "live", "customer-1"])
def test_any_name_that_is_not_plainly_another_is_production(name: str) -> None:
    changes = {"app_ai_service_env": "staging", "app_log_level": "INFO", "app_cors_origins": []}
    problems, guide = _judge(hardened_environment=name, **changes)
    assert problems == {
        ("app_ai_service_env", "ENVIRONMENT"),
        ("app_log_level", "LOG_LEVEL"),
        ("app_cors_origins", "COUNT"),
    }
    assert {rule for rule, verdict in guide.items() if verdict == "PROBLEM"} == {
        "AI_SERVICE_ENV",
        "LOG_LEVEL",
        "CORS_ORIGINS",
    }
    for no in (False, "{{ 'false' }}"):
        assert _judge(hardened_environment=name, hardened_production=no, **changes)[0] == set()


@pytest.mark.parametrize("name", ["lab", "staging", "dev"])
def test_elsewhere_the_rules_for_production_do_not_hold(name: str) -> None:
    origins = ["https://console.lab.internal"]
    changes = {"app_ai_service_env": "development", "app_log_level": "DEBUG", "app_cors_origins": origins}
    assert _judge(hardened_environment=name, **changes)[0] == set()
    assert _judge(hardened_environment=name, hardened_production=True, **changes)[0] != set()


def test_log_levels() -> None:
    for level in ("WARNING", "ERROR", "CRITICAL"):
        assert _judge(app_log_level=level)[0] == set()
    for level in ("INFO", "DEBUG"):
        assert _judge(app_log_level=level)[0] == {("app_log_level", "LOG_LEVEL")}
    assert _judge(app_log_level="TRACE")[0] == {("app_log_level", "CHOICE")}


def test_weak_equal_and_missing_keys() -> None:
    same = secrets.token_urlsafe(48)
    problems, guide = _judge(app_secret_key=same, app_admin_api_key=same)
    assert ("app_admin_api_key", "NOT_DISTINCT") in problems
    assert (guide["SECRET_KEY"], guide["SECRET_KEY, ADMIN_API_KEY"]) == ("OK", "PROBLEM")
    problems, guide = _judge(app_secret_key=same, app_admin_api_key=same.swapcase())
    assert {code for _name, code in problems} == {"REUSED"}
    assert guide["SECRET_KEY, ADMIN_API_KEY"] == "PROBLEM"  # pragma: allowlist secret
    short = secrets.token_urlsafe(16)
    problems, guide = _judge(app_secret_key=short)
    assert ("app_secret_key", "TOO_SHORT") in problems
    assert (guide["SECRET_KEY"], guide["ADMIN_API_KEY"]) == ("PROBLEM", "OK")
    problems, guide = _judge(app_secret_key=None)
    assert problems == {("app_secret_key", "REQUIRED")}
    assert (guide["SECRET_KEY"], guide["SECRET_KEY, ADMIN_API_KEY"]) == ("PROBLEM", "NOT JUDGED")
    for wrong in ([same], {"key": same}, 7, True):
        assert _judge(app_secret_key=wrong)[0] == {("app_secret_key", "TYPE")}


@pytest.mark.parametrize("name", ["Production", "your_company", "GATEWAY-east", "App_Secret-Key"])
def test_names_of_the_environment_in_a_secret(name: str) -> None:
    problems, _guide = _judge(app_secret_key=secrets.token_urlsafe(24) + name + secrets.token_urlsafe(16))
    assert ("app_secret_key", "CONTEXT") in problems


def test_the_containers_environment_is_no_way_round() -> None:
    for name in ("AI_SERVICE_ENV", "LOG_LEVEL", "CORS_ORIGINS"):
        problems, guide = _judge(app_environment={name: "x"})
        assert problems == {("app_environment", "RESERVED")}
        assert guide[name] == "PROBLEM"
    for name in ("SECRET_KEY", "SMTP_PASSWORD", "github_token", "STRIPE_API_KEY"):
        assert _judge(app_environment={name: "x"})[0] == {("app_environment", "SECRET_IN_ENVIRONMENT")}
    assert _judge(app_environment={"SMTP_PASSWORD_FILE": "/run/secrets/x", "WORKERS": "2"})[0] == set()


def test_more_secrets_have_names_of_their_own() -> None:
    def files(*names: str) -> list[dict[str, str]]:
        return [{"name": name, "value": secrets.token_urlsafe(48)} for name in names]

    assert _judge(app_secret_files=files("SMTP_PASSWORD", "OTHER"))[0] == set()
    assert _judge(app_secret_files=files("A", "A"))[0] == {("app_secret_files", "DUPLICATE")}
    assert _judge(app_secret_files=files("SECRET_KEY"))[0] == {("app_secret_files", "DUPLICATE")}
    twice = files("A") * 2
    twice[1] = {**twice[1], "name": "B"}
    assert _judge(app_secret_files=twice)[0] == {("app_secret_files[1].value", "REUSED")}


_REFUSED_ORIGINS: list[Any] = [
    _ORIGIN,
    f"{_ORIGIN},https://other.your-company.com",
    {"origin": _ORIGIN},
    [_ORIGIN, _ORIGIN],
    [],
    [""],
    [None],
    [["https://console.your-company.com"]],
    ["*"],
    ["null"],
    ["https://*"],
    ["https://*.your-company.com"],
    ["http://console.your-company.com"],
    ["console.your-company.com"],
    ["//console.your-company.com"],
    ["wss://console.your-company.com"],
    [f"{_ORIGIN}/"],
    [f"{_ORIGIN}/app"],
    [f"{_ORIGIN}?x=1"],
    [f"{_ORIGIN}#x"],
    [f" {_ORIGIN}"],
    [f"{_ORIGIN}\n"],
    ["https://user@console.your-company.com"],
    ["https://user:" + "word@console.your-company.com"],
    ["https://Console.your-company.com"],
    ["HTTPS://console.your-company.com"],
    ["https://consolé.your-company.com"],
    ["https://console_1.your-company.com"],
    ["https://-console.your-company.com"],
    ["https://console.your-company.com."],
    ["https://console..your-company.com"],
    ["https://console"],
    ["https://192.0.2.7"],
    ["https://[2001:db8::7]"],
    ["https://localhost"],
    ["https://localhost:8443"],
    ["https://printer.local"],
    ["https://console.test"],
    ["https://console.example"],
    ["https://console.invalid"],
    ["https://console.internal"],
    ["https://example.com"],
    ["https://www.example.com"],
    [f"{_ORIGIN}:443"],
    [f"{_ORIGIN}:0"],
    [f"{_ORIGIN}:65536"],
    [f"{_ORIGIN}:08443"],
    [f"{_ORIGIN}:"],
    [f"{_ORIGIN}:x"],
    ["https://"],
    [_ORIGIN, "https://other.your-company.com/"],
]
_ACCEPTED_ORIGINS = [
    [_ORIGIN],
    [f"{_ORIGIN}:8443"],
    [f"{_ORIGIN}:1", f"{_ORIGIN}:65535"],
    [_ORIGIN, "https://other.your-company.com"],
    ["https://xn--mnchen-3ya.de"],
    ["https://your-company.com"],
    ["https://testing.your-company.com"],
    ["https://example.com.your-company.com"],
]


@pytest.mark.parametrize("origins", _REFUSED_ORIGINS, ids=repr)
def test_refused_origins(origins: Any) -> None:
    problems, guide = _judge(app_cors_origins=origins)
    assert {variable.partition("[")[0] for variable, _code in problems} == {"app_cors_origins"}
    assert guide["CORS_ORIGINS"] == "PROBLEM"


@pytest.mark.parametrize("origins", _ACCEPTED_ORIGINS, ids=repr)
def test_accepted_origins(origins: list[str]) -> None:
    assert _judge(app_cors_origins=origins)[0] == set()
