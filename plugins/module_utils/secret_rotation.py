# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets have to be replaced, by class and age. A new date alone proves nothing: the value must be new too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

# Days that a secret of the class may be used for.
POLICY = {"admin_api_key": 90, "service_account": 180, "database": 90, "encryption_key": 365}
DUE_WITHIN_DAYS = 14
# Past its days a secret is overdue; this much later nothing opens it any more.
GRACE_DAYS = 30
# Clocks differ a little.
_TOLERANCE = timedelta(minutes=5)


def statuses(
    records: Iterable[Mapping[str, Any]], policy: Mapping[str, Any], now: datetime, due_within_days: int
) -> list[dict[str, Any]]:
    days = {str(name): _days(name, value) for name, value in policy.items()}
    return [_status(record, days, now, due_within_days) for record in records]


def last_day(record: Mapping[str, Any], policy: Mapping[str, Any], grace_days: int) -> str:
    """The day (UTC, YYYY-MM-DD) after which a host shall refuse to open the secret; empty where that cannot be said."""
    days = {str(name): _days(name, value) for name, value in policy.items()}
    created = moment(record.get("created"))
    limit = days.get(str(record.get("class")))
    if created is None or limit is None:
        return ""
    end = (_first_seen(record, created) or created) + timedelta(days=limit + grace_days)
    return end.astimezone(timezone.utc).date().isoformat()


def moment(text: Any) -> datetime | None:
    """ISO 8601 with a zone; None for anything else."""
    if isinstance(text, datetime):
        return text if text.tzinfo else None
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(re.sub(r"Z$", "+00:00", re.sub(r"\.\d+", "", text)))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else None


def _status(
    record: Mapping[str, Any], days: Mapping[str, int], now: datetime, due_within_days: int
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": record.get("name"),
        "class": record.get("class"),
        "status": "UNKNOWN",
        "age_days": None,
        "due_in_days": None,
    }
    created = moment(record.get("created"))
    first = _first_seen(record, created)
    limit = days.get(str(record.get("class")))
    if created is None:
        return row
    if created > now + _TOLERANCE:
        row["status"] = "FUTURE"
        return row
    row["age_days"] = max(0, (now - (first or created)).days)
    if limit is not None:
        row["due_in_days"] = limit - row["age_days"]
    if first is not None:
        row["status"] = "UNCHANGED"
    elif limit is not None:
        left = created + timedelta(days=limit) - now
        overdue, due = left <= timedelta(0), left <= timedelta(days=due_within_days)
        row["status"] = "OVERDUE" if overdue else "DUE" if due else "OK"
    return row


def _first_seen(record: Mapping[str, Any], created: datetime | None) -> datetime | None:
    """When an earlier version with the very same value was made, or None."""
    mark = record.get("fingerprint")
    dates = [
        moment(earlier.get("created")) or created
        for earlier in record.get("history") or ()
        if mark and isinstance(earlier, Mapping) and earlier.get("fingerprint") == mark
    ]
    return min((date for date in dates if date is not None), default=None)


def _days(name: Any, value: Any) -> int:
    # What comes by -e NAME=VALUE is text.
    if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d{0,4}", str(value)):
        raise ValueError(f"the policy for {name} must be a number of days from 1 on")
    return int(value)


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def findings(rows: Iterable[Mapping[str, Any]], is_production: bool) -> dict[str, list[Any]]:
    """What a run that is about to begin has to say of the secrets' ages.

    :param rows: as `statuses` gives them.
    :param is_production: whether a secret that is overdue for more than GRACE_DAYS days stops the run.
    :returns: ``notes`` (texts) and ``problems`` (``variable``, ``code``, ``rule``, ``fix``).
    """
    notes: list[str] = []
    problems: list[dict[str, str]] = []
    for row in rows:
        late = -int(row["due_in_days"]) if row["due_in_days"] is not None else 0
        if row["status"] == "DUE":
            notes.append(f"{row['name']} is due in {-late} days: rotate.yml")
        elif row["status"] in ("OVERDUE", "UNCHANGED") and late <= GRACE_DAYS:
            notes.append(
                f"{row['name']} has been overdue for {max(late, 0)} days: rotate.yml -e overdue=true"
            )
        elif row["status"] in ("OVERDUE", "UNCHANGED"):
            rule = f"must not be overdue for more than {GRACE_DAYS} days, and is for {late}"
            problems.append(
                {
                    "variable": str(row["name"]),
                    "code": "OVERDUE",
                    "rule": rule,
                    "fix": "rotate.yml -e overdue=true",
                }
            )
    if not is_production:
        notes += [f"{one['variable']} {one['rule']}: {one['fix']}" for one in problems]
        problems = []
    return {"notes": notes, "problems": problems}
