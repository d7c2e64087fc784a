# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, administrators and sessions."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from pathlib import Path
from unittest import mock

import httpx
import pytest

from reference_api.credentials import SESSION_SECONDS, Sessions, issue_key, secret_matches, split_key

from .conftest import ORIGIN, SECRETS, Api, Cluster, StartApi, Syslog, run_command

COOKIE = "__Host-session"


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    return api.issue_key()


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_key_opens_the_api(api: Api, key: str, header: str, syslog: Syslog) -> None:
    value = f"Bearer {key}" if header == "Authorization" else key
    response = api.http.get("/v1/items", headers={header: value})
    assert response.status_code == 200
    line = syslog.find("key_used", request_id=response.headers["x-request-id"])
    assert (line["key_id"], line["client"], line["method"]) == (key.split(".")[0], "127.0.0.1", "key")


def test_a_wrong_key_does_not(api: Api, key: str, syslog: Syslog) -> None:
    key_id, _dot, secret = key.partition(".")
    wrong = {
        "missing": "",
        "malformed": "not-a-key",
        "wrong": f"{key_id}.{secret[:-2]}AA",
        "unknown": f"{'0' * 16}.{secret}",
    }
    bodies = set()
    for reason, text in wrong.items():
        response = api.http.get("/v1/items", headers={"X-API-Key": text} if text else {})
        assert response.status_code == 401
        error = response.json()["error"]
        bodies.add((error["code"], error["message"]))
        line = syslog.find("key_rejected", request_id=response.headers["x-request-id"])
        assert (line["reason"], line["key_id"]) == (reason, None)
    assert len(bodies) == 1  # the client does not learn which keys exist


def test_only_a_hash_is_stored(key: str, cluster: Cluster) -> None:
    issued = issue_key()
    parts = split_key(issued.text)
    assert parts is not None
    assert issued.secret_hash == hashlib.sha256(parts[1].encode()).digest()
    assert secret_matches(parts[1], issued.secret_hash)
    assert not secret_matches(parts[1], None)
    databases = cluster.execute("SELECT datname FROM pg_database WHERE datname LIKE 'api_%'")
    stored = "".join(str(cluster.execute("SELECT * FROM api_keys", str(name))) for (name,) in databases)
    assert key.split(".")[0] in stored
    assert key.split(".")[1] not in stored


def test_a_revoked_key_is_refused_at_once_and_its_sessions_with_it(api: Api, syslog: Syslog) -> None:
    key = api.issue_key("globex")
    key_id = key.split(".")[0]
    with api.client(key) as client:
        token = client.post("/v1/session").json()["token"]
        assert client.get("/v1/items").status_code == 200
        assert api.admin("DELETE", f"/admin/keys/{key_id}").status_code == 204
        syslog.find("key_revoked", revoked_key_id=key_id)
        assert client.get("/v1/items").status_code == 401
        syslog.find("key_rejected", reason="revoked", presented_key_id=key_id)
    assert api.http.get("/v1/items", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert api.admin("DELETE", f"/admin/keys/{key_id}").status_code == 204  # again: nothing to do
    listed = {entry["id"]: entry for entry in api.admin("GET", "/admin/keys?limit=100").json()["keys"]}
    assert listed[key_id]["revoked_at"]


def test_a_key_is_revoked_by_command(api: Api, syslog: Syslog) -> None:
    key = api.issue_key("initech")
    key_id = key.split(".")[0]
    done = run_command("revoke", key_id, environment=api.environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["key_id"] == key_id
    syslog.find("key_revoked", revoked_key_id=key_id)
    with api.client(key) as client:
        assert client.get("/v1/items").status_code == 401
    assert run_command("revoke", key_id, environment=api.environment).stdout == done.stdout
    unknown = run_command("revoke", "0" * 16, environment=api.environment)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert json.loads(unknown.stderr) == {"error": "there is no such key"}
    away = run_command("revoke", key_id, environment=api.environment | {"DATABASE_PORT": "1"})
    assert away.returncode == 75
    assert json.loads(away.stderr)["error"]


def test_administration_needs_its_own_key(api: Api, key: str, syslog: Syslog) -> None:
    attempts: list[dict[str, str]] = [
        {},
        {"X-Admin-Key": "x" * 48},
        {"X-Admin-Key": ""},
        {"X-API-Key": key},
        {"X-Admin-Key": key},
        {"Authorization": f"Bearer {SECRETS['SECRET_KEY']}"},
    ]
    for headers in attempts:
        for method, path in [("GET", ""), ("POST", ""), ("DELETE", f"/{key.split('.')[0]}")]:
            response = api.http.request(method, f"/admin/keys{path}", headers=headers)
            assert response.status_code == 401
            syslog.find("admin_authentication_failed", request_id=response.headers["x-request-id"])
    bearer = {"Authorization": f"Bearer {SECRETS['ADMIN_API_KEY']}"}
    assert api.http.get("/admin/keys", headers=bearer).status_code == 200


def test_keys_are_listed_in_pages_without_secrets(api: Api) -> None:
    issued = {api.issue_key("pages").split(".")[0] for _page in range(3)}
    seen, after = set(), ""
    while True:
        page = api.admin("GET", f"/admin/keys?limit=2&after={after}").json()
        assert len(page["keys"]) <= 2
        for entry in page["keys"]:
            assert set(entry) == {"id", "client", "created_at", "revoked_at"}
            seen.add(entry["id"])
        if not page["next"]:
            break
        after = page["next"]
    assert issued <= seen


def test_an_unknown_key_cannot_be_revoked(api: Api) -> None:
    assert api.admin("DELETE", f"/admin/keys/{'0' * 16}").status_code == 404
    assert api.admin("DELETE", "/admin/keys/strange").status_code == 422


def test_a_session_stands_for_its_key(api: Api, key: str, syslog: Syslog) -> None:
    response = api.http.post("/v1/session", headers={"X-API-Key": key})
    assert response.status_code == 201
    api.http.cookies.clear()
    cookie = response.headers["set-cookie"]
    for attribute in (f"{COOKIE}=", "HttpOnly", "Secure", "SameSite=strict", "Path=/", "Max-Age="):
        assert attribute in cookie
    token = response.json()["token"]
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"{COOKIE}={token}"}):
        used = api.http.get("/v1/items", headers=headers)
        assert used.status_code == 200
        line = syslog.find("key_used", request_id=used.headers["x-request-id"])
        assert (line["method"], line["key_id"]) == ("session", key.split(".")[0])
    # A session cannot be prolonged by itself: that takes the key.
    assert api.http.post("/v1/session", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_forged_session_is_refused(api: Api, key: str, syslog: Syslog) -> None:
    key_id = key.split(".")[0]
    genuine = Sessions(SECRETS["SECRET_KEY"]).issue(key_id)
    for token in (Sessions("x" * 48).issue(key_id), genuine[:-3] + "AAA", genuine.replace(".", "..")):
        response = api.http.get("/v1/items", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401
        syslog.find("key_rejected", reason="bad_session", request_id=response.headers["x-request-id"])
    assert api.http.get("/v1/items", headers={"Authorization": f"Bearer {genuine}"}).status_code == 200


def test_a_session_expires() -> None:
    sessions = Sessions("x" * 48)
    token = sessions.issue("0123456789abcdef")
    now = time.time()
    with mock.patch("time.time", return_value=now + SESSION_SECONDS - 5):
        assert sessions.key_id(token) == "0123456789abcdef"
    with mock.patch("time.time", return_value=now + SESSION_SECONDS + 5):
        assert sessions.key_id(token) is None


def test_while_the_key_is_replaced_both_verify_and_one_signs() -> None:
    old, new = "o" * 48, "n" * 48
    staged, switched = Sessions(old, [new]), Sessions(new, [old])
    for signed in (staged.issue("0123456789abcdef"), switched.issue("0123456789abcdef")):
        assert staged.key_id(signed) == switched.key_id(signed) == "0123456789abcdef"
    assert Sessions(old).key_id(staged.issue("0123456789abcdef"))
    assert Sessions(old).key_id(switched.issue("0123456789abcdef")) is None
    assert Sessions(new).key_id(staged.issue("0123456789abcdef")) is None


def test_an_administrator_may_use_either_key_while_one_is_replaced(
    api: Api, start: StartApi, tmp_path: Path
) -> None:
    before = secrets.token_urlsafe(48)
    file = tmp_path / "fallbacks"
    file.write_text(f"{before}\n")
    during = start(api.environment | {"ADMIN_API_KEY_FALLBACKS_FILE": str(file)})
    assert api.http.get("/admin/keys", headers={"X-Admin-Key": before}).status_code == 401
    for given, status in ((before, 200), (SECRETS["ADMIN_API_KEY"], 200), (secrets.token_urlsafe(48), 401)):
        assert during.http.get("/admin/keys", headers={"X-Admin-Key": given}).status_code == status


def test_a_foreign_page_cannot_use_a_browsers_session(api: Api, key: str) -> None:
    token = Sessions(SECRETS["SECRET_KEY"]).issue(key.split(".")[0])

    def post(origin: str | None) -> httpx.Response:
        headers = {"Cookie": f"{COOKIE}={token}"} | ({"Origin": origin} if origin else {})
        return api.http.post("/v1/items", json={"name": "from a page"}, headers=headers)

    assert post("https://evil.example").status_code == 403
    assert post("null").status_code == 403
    assert post(ORIGIN).status_code == 201
    assert post(None).status_code == 201
