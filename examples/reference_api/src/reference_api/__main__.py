# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the image: serve, migrate, backfill, contract, revoke, check-config, healthcheck."""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

# The other imports are where they are used: the health check starts every few seconds and needs none of them.
if TYPE_CHECKING:
    from .config import ConfigurationError, Settings

PORT = 8000
GRACE = 25  # seconds for requests in flight; less than what a supervisor waits before it kills
EX_TEMPFAIL = 75
# A lock, a deadlock or a conflict with others: worth another try, as is no connection, which has no code.
WORTH_ANOTHER_TRY = {None, "55P03", "40P01", "40001", "57P03"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="reference_api", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve requests until told to stop")
    # Inside the container's own network: what is published, and where, is the runtime's choice.
    serve.add_argument("--host", default="0.0.0.0")  # noqa: S104
    serve.add_argument("--port", type=int, default=PORT)
    commands.add_parser("migrate", help="bring the database's schema forward to this image's")
    commands.add_parser("backfill", help="fill what migrate has added, a few rows at a time")
    commands.add_parser("contract", help="take from the schema what only images before this one need")
    revoke = commands.add_parser("revoke", help="take a client's key away, once and for all")
    revoke.add_argument("key_id")
    commands.add_parser("check-config", help="check the environment and say all that is wrong with it")
    health = commands.add_parser("healthcheck", help="ask the API in this container how it is")
    health.add_argument("--port", type=int, default=PORT)
    health.add_argument("--ready", action="store_true", help="ask whether it can serve, not only if it lives")
    options = parser.parse_args(arguments)
    if options.command == "healthcheck":
        return _healthcheck(options.port, "/readyz" if options.ready else "/healthz")

    from .config import EX_CONFIG, ConfigurationError, load

    try:
        settings = load(os.environ)
        if options.command == "serve":
            return _serve(settings, options.host, options.port)
    except ConfigurationError as error:
        _report(error, as_json=options.command == "check-config")
        return EX_CONFIG
    if options.command in ("migrate", "backfill", "contract"):
        return _change_schema(settings, options.command)
    if options.command == "revoke":
        return _revoke(settings, options.key_id)
    _print({"ok": True, "configuration": settings.fingerprint(), "problems": []})
    return 0


def _serve(settings: Settings, host: str, port: int) -> int:
    import uvicorn

    from . import logs
    from .app import create_app

    logs.configure(settings)
    # uvicorn raises a signal again once it has shut down: leaving on request is a success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=host,
            port=port,
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=16 * 1024,
            timeout_keep_alive=75,  # longer than a proxy keeps idle connections: it closes them, not we
            timeout_graceful_shutdown=GRACE,
        )
    )
    logs.event(
        logs.security,
        logging.INFO,
        "configuration_loaded",
        configuration=settings.fingerprint(),
        environment=settings.environment,
        image_version=settings.image_version,
    )
    try:
        server.run()
    finally:
        logs.event(logs.service, logging.INFO, "service_stopped")
    return 0


def _change_schema(settings: Settings, command: str) -> int:
    from sqlalchemy.exc import DBAPIError

    from . import schema

    phases = {"migrate": schema.migrate, "backfill": schema.backfill, "contract": schema.contract}
    try:
        _print(phases[command](settings))
    except DBAPIError as error:
        _print({"error": str(error.orig).strip()}, sys.stderr)
        return EX_TEMPFAIL if getattr(error.orig, "sqlstate", None) in WORTH_ANOTHER_TRY else 1
    except schema.SchemaError as error:
        _print({"error": str(error)}, sys.stderr)
        return 1
    return 0


def _revoke(settings: Settings, key_id: str) -> int:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from . import logs
    from .revocation import revoke_by_command

    logs.configure(settings)
    try:
        key = asyncio.run(revoke_by_command(settings, key_id))
    except SQLAlchemyError as error:
        _print({"error": str(getattr(error, "orig", None) or error).strip()}, sys.stderr)
        return EX_TEMPFAIL
    if key is None or key.revoked_at is None:
        _print({"error": "there is no such key"}, sys.stderr)
        return 1
    _print({"key_id": key.id, "revoked_at": key.revoked_at.isoformat()})
    return 0


def _healthcheck(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


def _report(error: ConfigurationError, *, as_json: bool) -> None:
    if as_json:
        _print({"ok": False, "problems": [problem._asdict() for problem in error.problems]})
    for problem in error.problems:
        print(f"configuration: {problem.variable} {problem.problem}; fix: {problem.fix}", file=sys.stderr)


def _print(result: dict[str, Any], stream: Any = None) -> None:
    print(json.dumps(result), file=stream or sys.stdout, flush=True)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
