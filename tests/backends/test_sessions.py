# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lookup costs: one login for each process tree, one request for each secret, one wait for a backend that is down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.aws import AwsSecretsManager
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    Name,
    SecretProblem,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.openbao import OpenBao
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import Settings
from ansible_collections.techsaas.hardened.tests.backends.playbook import Site, lookup, settings
from ansible_collections.techsaas.hardened.tests.backends.servers import Aws, Bao, silent

COUNT = 100


@pytest.fixture
def backend(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> OpenBao:
    monkeypatch.setenv("HARDENED_SECRETS_ROLE_ID", bao.role_id)
    monkeypatch.setenv("HARDENED_SECRETS_SECRET_ID", bao.secret_id)
    for number in range(COUNT):
        bao.put(f"production/many_{number}", value=f"value of {number}")
    return OpenBao(Settings(backend="openbao", url=bao.url, ca_file=str(bao.ca_file), path="production"))


def logins(bao: Bao) -> int:
    """Tokens that the server has given out and that still live."""
    return len(bao.root.list("auth/token/accessors")["data"]["keys"])


def read_all(backend: Any) -> None:
    for number in range(COUNT):
        assert backend.read(Name(f"many_{number}")).value == f"value of {number}"


def timed(what: str, function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    spent = time.perf_counter() - started
    print(f"{what}: {1000 * spent / COUNT:.2f} ms a lookup")
    return spent


def test_one_login_for_many_lookups(bao: Bao, backend: OpenBao) -> None:
    before = logins(bao)
    first = timed("openbao", lambda: read_all(backend))
    again = timed("openbao, answers known", lambda: read_all(backend))
    assert logins(bao) == before + 1
    assert again < first / 10


def test_processes_that_are_forked_off_use_the_login_and_not_the_connection(
    bao: Bao, backend: OpenBao
) -> None:
    backend.read(Name("many_0"))
    before = logins(bao)
    children = []
    for _index in range(4):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                read_all(backend)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    read_all(backend)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert logins(bao) == before


def test_a_token_that_has_ended_is_replaced(bao: Bao, backend: OpenBao) -> None:
    backend.read(Name("many_0"))
    bao.root.auth.token.revoke(backend._token)
    # As if the login had been long ago: a young token that is refused lacks a right.
    backend._login -= 60
    assert backend.read(Name("many_1")).value == "value of 1"


def test_a_newer_version_is_seen_by_new_processes_and_after_a_write(bao: Bao, backend: OpenBao) -> None:
    name = Name("many_0")
    assert backend.read(name).version is not None
    backend.write({name: "another"})
    assert backend.read(name).value == "another"
    bao.put("production/many_0", value="a third")
    child = os.fork()
    if child == 0:
        os._exit(0 if backend.read(name).value == "a third" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("drip", [False, True])
def test_a_slow_backend_is_waited_for_once(backend: OpenBao, drip: bool) -> None:
    with silent(drip) as port:
        slow = OpenBao(Settings(backend="openbao", url=f"http://127.0.0.1:{port}", deadline=1))
        started = time.monotonic()
        for number in range(50):
            with pytest.raises(SecretProblem) as caught:
                slow.read(Name(f"name_{number}"))
            assert caught.value.problem_code == "DEADLINE"
        assert time.monotonic() - started < 3


def test_aws_keeps_one_client(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    client = aws.client("secretsmanager")
    for number in range(COUNT):
        client.create_secret(Name=f"many/many_{number}", SecretString=f"value of {number}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.keys["admin"][0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.keys["admin"][1])
    backend = AwsSecretsManager(Settings(backend="aws", url=aws.url, region="eu-central-1", path="many"))
    backend.read(Name("many_0"))
    made = backend.client()
    timed("aws", lambda: read_all(backend))
    assert backend.client() is made


def test_each_host_s_task_logs_in_once_however_many_secrets_it_reads(
    bao: Bao, site: Site, backend: OpenBao
) -> None:
    site.hosts = 4
    all_of_them = "+".join(f"({lookup(f'many_{number}')} | length)" for number in range(10))
    before = logins(bao)
    variables = settings(backend="openbao", url=bao.url, ca_file=str(bao.ca_file), path="production")
    environment = {"HARDENED_SECRETS_ROLE_ID": bao.role_id, "HARDENED_SECRETS_SECRET_ID": bao.secret_id}
    task = {"ansible.builtin.assert": {"that": f"{all_of_them} > 0"}}
    status, output = site.run([task, task], variables, environment)
    assert status == 0, output
    assert logins(bao) - before == 2 * site.hosts
