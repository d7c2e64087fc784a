# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages by class, and dates that prove nothing."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.filter.secret_rotation import (
    rotation_findings,
    rotation_status,
    secret_fingerprint,
    secret_not_after,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rotation import POLICY

NOW = "2026-06-30T12:00:00Z"


def judge(**record: Any) -> tuple[str, int | None, int | None]:
    row = rotation_status([{"name": "it", "class": "database", **record}], now=NOW)[0]
    assert (row["name"], row["class"]) == ("it", record.get("class", "database"))
    return row["status"], row["age_days"], row["due_in_days"]


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-06-30T11:59:59Z", ("OK", 0, 90)),
        ("2026-04-15T12:00:01Z", ("OK", 75, 15)),
        ("2026-04-15T12:00:00Z", ("OK", 76, 14)),
        ("2026-04-02T12:00:01Z", ("DUE", 88, 2)),
        ("2026-04-01T12:00:01Z", ("DUE", 89, 1)),
        ("2026-04-01T12:00:00Z", ("OVERDUE", 90, 0)),
        ("2024-04-01T14:00:00+02:00", ("OVERDUE", 820, -730)),
        ("2026-06-30T12:04:59Z", ("OK", 0, 90)),
        ("2026-06-30T12:05:01Z", ("FUTURE", None, None)),
        (None, ("UNKNOWN", None, None)),
        ("yesterday", ("UNKNOWN", None, None)),
        ("2026-06-30T11:00:00", ("UNKNOWN", None, None)),
        (20260630, ("UNKNOWN", None, None)),
    ],
)
def test_status_by_age(created: Any, expected: tuple[str, int | None, int | None]) -> None:
    if created == "2026-04-15T12:00:00Z":
        expected = ("DUE", 76, 14)
    assert judge(created=created) == expected


@pytest.mark.parametrize(
    ("name", "days"),
    [("admin_api_key", 90), ("service_account", 180), ("database", 90), ("encryption_key", 365)],
)
def test_the_users_policy(name: str, days: int) -> None:
    assert judge(**{"class": name}, created=NOW) == ("OK", 0, days)


def test_unknown_class_has_an_age_but_no_verdict() -> None:
    assert judge(**{"class": "other"}, created="2026-06-29T12:00:00Z") == ("UNKNOWN", 1, None)
    assert judge(**{"class": None}, created="2026-06-29T12:00:00Z") == ("UNKNOWN", 1, None)


def test_same_value_with_a_new_date_is_as_old_as_its_first_date() -> None:
    key = secrets.token_hex(32)
    mark, other = (secret_fingerprint(secrets.token_hex(32), key) for _number in range(2))
    history = [
        {"created": "2026-06-01T12:00:00Z", "fingerprint": other},
        {"created": "2026-05-01T12:00:00Z", "fingerprint": mark},
    ]
    record = {"created": "2026-06-29T12:00:00Z", "fingerprint": mark, "history": history}
    assert judge(**record) == ("UNCHANGED", 60, 30)
    assert judge(**{**record, "fingerprint": secret_fingerprint("a new one", key)}) == ("OK", 1, 89)
    # Without fingerprints nothing is claimed.
    assert (
        judge(**{**record, "fingerprint": None, "history": [{"created": None, "fingerprint": None}]})[0]
        == "OK"
    )


def test_a_dictionary_by_name_will_do() -> None:
    rows = rotation_status({"a": {"class": "database", "created": NOW}}, {"database": "7"}, 10, NOW)
    assert rows == [{"name": "a", "class": "database", "status": "DUE", "age_days": 0, "due_in_days": 7}]


@pytest.mark.parametrize(
    ("records", "policy", "now"),
    [
        ("text", None, None),
        ([1], None, None),
        ([], {"a": 0}, None),
        ([], {"a": True}, None),
        ([], {"a": "soon"}, None),
        ([], [90], None),
        ([], None, "noon"),
    ],
)
def test_wrong_arguments_are_refused(records: Any, policy: Any, now: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="rotation_status: "):
        rotation_status(records, policy, now=now)


def test_fingerprint_tells_same_from_other_by_the_key_only() -> None:
    value, key, other_key = (secrets.token_hex(32) for _number in range(3))
    mark = secret_fingerprint(value, key)
    assert mark == secret_fingerprint(value, key)
    assert mark not in (secret_fingerprint(value, other_key), secret_fingerprint(value + "x", key))
    assert len(mark) == len("hmac:") + 32


@pytest.mark.parametrize("key", ["", "short", 3])
def test_bad_key_is_refused_without_repeating_anything(key: Any) -> None:
    value = secrets.token_hex(32)
    with pytest.raises(AnsibleFilterError) as caught:
        secret_fingerprint(value, key)
    assert value not in str(caught.value) and "short" not in str(caught.value)


@pytest.mark.parametrize(
    ("record", "day"),
    [
        ({"class": "database", "created": "2026-01-01T00:00:00Z"}, "2026-05-01"),
        ({"class": "database", "created": "2026-01-01T00:30:00+02:00"}, "2026-04-30"),
        ({"class": "encryption_key", "created": "2026-01-01T00:00:00Z"}, "2027-01-31"),
        ({"class": "unheard_of", "created": "2026-01-01T00:00:00Z"}, ""),
        ({"class": "database", "created": None}, ""),
    ],
)
def test_last_day_by_class(record: dict[str, Any], day: str) -> None:
    assert secret_not_after(record) == day


def test_a_new_date_of_the_same_value_gives_no_time() -> None:
    same = {"created": "2026-01-01T00:00:00Z", "fingerprint": "hmac:1"}
    record = {
        "class": "database",
        "created": "2026-03-01T00:00:00Z",
        "fingerprint": "hmac:1",
        "history": [same],
    }
    assert secret_not_after(record, {"database": 10}, 0) == "2026-01-11"


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(AnsibleFilterError, match="must be dictionaries"):
        secret_not_after("2026")
    with pytest.raises(AnsibleFilterError, match="number of days"):
        secret_not_after({}, {"database": "soon"})


def test_what_is_overdue_for_long_stops_a_run_in_production() -> None:
    created = {"fine": "2026-06-01", "due": "2026-04-10", "late": "2026-03-02", "too_late": "2026-02-28"}
    rows = [
        {"name": name, "class": "database", "created": f"{day}T12:00:00Z"} for name, day in created.items()
    ]
    found = rotation_findings(rotation_status(rows, now=NOW))
    assert found["notes"] == [
        "due is due in 9 days: rotate.yml",
        "late has been overdue for 30 days: rotate.yml -e overdue=true",
    ]
    (problem,) = found["problems"]
    assert (problem["variable"], problem["code"], problem["fix"]) == (
        "too_late",
        "OVERDUE",
        "rotate.yml -e overdue=true",
    )
    assert problem["rule"] == "must not be overdue for more than 30 days, and is for 32"
    elsewhere = rotation_findings(rotation_status(rows, now=NOW), False)
    assert elsewhere["problems"] == [] and len(elsewhere["notes"]) == 3
    with pytest.raises(AnsibleFilterError):
        rotation_findings("nonsense")


def test_a_year_of_secrets_that_nobody_replaces() -> None:
    made = "2026-01-01T00:00:00Z"
    rows = [{"name": name, "class": name, "created": made} for name in POLICY]
    overdue = []
    for month in range(1, 13):
        now = f"2026-{month:02}-28T00:00:00Z"
        overdue.append({row["name"] for row in rotation_status(rows, now=now) if row["status"] == "OVERDUE"})
    quarter, half = {"admin_api_key", "database"}, {"admin_api_key", "database", "service_account"}
    # 90 days end on 1 April, 180 on 30 June, 365 on 1 January.
    assert overdue == [set()] * 3 + [quarter] * 3 + [half] * 6
    assert {row["status"] for row in rotation_status(rows, now="2027-01-01T00:00:00Z")} == {"OVERDUE"}
