# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders and checks a whole set on the controller and ships it in one call; documented by the module of this name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.action import ActionBase
from ansible.template import generate_ansible_template_vars, trust_as_template
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.arguments import (
    ARGUMENT_SPEC,
    SOURCES,
    digest,
    find_problems,
    pack,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.mask import Masker, values_of
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import Outcome
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.result import to_result
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_masking import register
from ansible_collections.techsaas.hardened.plugins.plugin_utils import run_memory
from jinja2 import TemplateSyntaxError


class TemplateFailed(Exception):
    """A template could not be rendered; says where."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Action of techsaas.hardened.config_set."""

    _supports_async = False
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments, problems = self._arguments()
        contents, unreadable = self._contents(arguments, task_vars)
        # A value of the wrong type, reported already, may keep the finer checks from running.
        with suppress(TypeError, AttributeError) if problems else nullcontext():
            for problem in find_problems(arguments):
                problems.append(problem)
        problems += unreadable
        masker = Masker(values_of(arguments["secrets"], _secret_contents(arguments, contents), ()))
        if problems:
            count = len(problems)
            head = f"config_set: {count} problem{'s' if count > 1 else ''}, nothing was done:"
            return {"failed": True, "msg": masker.text("\n- ".join([head, *problems]))}
        self._register(arguments, contents)
        return self._ship(arguments, contents, masker, task_vars)

    def _arguments(self) -> tuple[dict[str, Any], list[str]]:
        """The task's arguments with defaults filled in; ill-typed options are reported and left out."""
        result = ArgumentSpecValidator(ARGUMENT_SPEC).validate(self._task.args)
        messages = list(dict.fromkeys(result.error_messages))
        # The validator words some mistakes twice, once within a longer message.
        problems = [m for m in messages if not any(m != other and m in other for other in messages)]
        for option in ("contents", "digest"):
            if option in self._task.args:
                problems.append(f"{option}: is filled in by the plugin, use files")
        arguments = dict(result.validated_parameters)
        for option, spec in ARGUMENT_SPEC.items():
            if spec["type"] == "list" and not _is_list_of(arguments.get(option), spec["elements"]):
                arguments[option] = []
        arguments["name"] = str(arguments.get("name") or "unnamed")
        return arguments, problems

    def _contents(
        self, arguments: dict[str, Any], task_vars: dict[str, Any]
    ) -> tuple[dict[str, bytes], list[str]]:
        """The content of every file, or why there is none."""
        contents: dict[str, bytes] = {}
        problems: list[str] = []
        for number, item in enumerate(arguments["files"]):
            source = next((kind for kind in SOURCES if item.get(kind) is not None), None)
            if source is None or item.get("state") == "absent":
                continue
            item["secret"] = item.get("secret") or bool(item.get("credential"))
            place = f"files[{number}] ({item.get('path')}).{source}"
            try:
                contents[item.get("path", "")] = self._content(source, item, task_vars)
            except TemplateFailed as failure:
                problems.append(f"{place}: {failure}")
            except (AnsibleError, OSError, UnicodeError) as error:
                problems.append(f"{place}: {_reason(error, None)}")
        return contents, problems

    def _content(self, source: str, item: dict[str, Any], task_vars: dict[str, Any]) -> bytes:
        if source == "content":
            return _encode(item["content"])
        if source == "template":
            return self._render(item["template"], item.get("path", ""), task_vars)
        path = self._find_needle("files", item["source"])
        # Decrypts in memory; the loader's other ways leave clear text on the controller's disk.
        content, shown = self._loader._get_file_contents(path)
        item["secret"] = item.get("secret") or not shown
        return bytes(content)

    def _render(self, name: str, destination: str, task_vars: dict[str, Any]) -> bytes:
        """As the template action does: same search path, same variables, same Jinja options."""
        path = self._find_needle("templates", name)
        variables = task_vars.copy()
        variables.update(generate_ansible_template_vars(path=name, fullpath=path, dest_path=destination))
        if "ansible_managed" in task_vars:
            variables["ansible_managed"] = task_vars["ansible_managed"]
        roots = [*task_vars.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(path)]
        search = [place for root in roots for place in (os.path.join(root, "templates"), root)]
        templar = self._templar.copy_with_new_env(searchpath=search, available_variables=variables)
        text = self._loader.get_text_file_contents(path)
        try:
            rendered = templar.template(
                trust_as_template(text), escape_backslashes=False, overrides={"trim_blocks": True}
            )
        except AnsibleError as error:
            raise TemplateFailed(f"{path}: {_reason(error, text)}") from error
        return _encode("" if rendered is None else rendered)

    def _register(self, arguments: dict[str, Any], contents: dict[str, bytes]) -> None:
        """Let newer versions of ansible-core hide the values too, wherever else they may appear."""
        # Not the single words of a secret file: those could blank out the rest of the play's output.
        whole = [content.decode("utf-8", "replace") for content in _secret_contents(arguments, contents)]
        for value in (*values_of(arguments["secrets"], (), ()), *whole):
            register(value)

    def _ship(
        self,
        arguments: dict[str, Any],
        contents: dict[str, bytes],
        masker: Masker,
        task_vars: dict[str, Any],
    ) -> dict[str, Any]:
        files = [
            {key: value for key, value in item.items() if key not in SOURCES} for item in arguments["files"]
        ]
        sent = _without_none({**arguments, "files": files, "contents": pack(contents), "digest": ""})
        # A secret is in no digest, however hard that would be to guess.
        if not arguments["secrets"] and not any(item["secret"] for item in files):
            sent["digest"] = digest(sent)
            if self._is_known(sent, task_vars):
                return to_result(Outcome(), masker)
        with self._pipelining() as possible:
            if not possible and (arguments["secrets"] or any(item["secret"] for item in files)):
                return {
                    "failed": True,
                    "msg": "config_set: the set holds secrets, which would lie in temporary files because this connection"
                    " cannot pipeline: use ssh or local with sudo, and unset ANSIBLE_KEEP_REMOTE_FILES",
                }
            result = dict(self._execute_module("techsaas.hardened.config_set", sent, task_vars=task_vars))
        if result.get("changed") or result.get("failed"):
            run_memory.forget(run_memory.host_of(self._task, task_vars))
        return result

    def _is_known(self, sent: dict[str, Any], task_vars: dict[str, Any]) -> bool:
        """Whether a look at the host could tell nothing new."""
        if sent["mode"] == "judge":
            return bool(sent["digest"] == _last_digest(task_vars, sent["name"]))
        told = run_memory.settled(run_memory.host_of(self._task, task_vars)) if sent["skip_settled"] else {}
        return bool(sent["digest"] == told.get(sent["name"]))

    @contextmanager
    def _pipelining(self) -> Iterator[bool]:
        """Content goes through the connection's own stream instead of temporary files, as long as this lasts."""
        connection = self._connection
        try:
            before = connection.get_option("pipelining")
        except KeyError:  # a plugin without the option goes by the play's own setting
            before = self._play_context.pipelining
            self._play_context.pipelining = True
            try:
                yield connection.is_pipelining_enabled()
            finally:
                self._play_context.pipelining = before
            return
        connection.set_option("pipelining", True)
        try:
            yield connection.is_pipelining_enabled()
        finally:
            connection.set_option("pipelining", before)


def _last_digest(task_vars: dict[str, Any], name: str) -> str | None:
    """Of the arguments with which the set was put in place, as host_info has told."""
    host = task_vars.get("ansible_facts", {}).get("hardened_host") or {}
    digest_of: str | None = (host.get("config_sets") or {}).get(name)
    return digest_of


def _is_list_of(value: Any, elements: str) -> bool:
    kind = {"dict": dict, "list": list, "str": str, "raw": object}[elements]
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _encode(value: Any) -> bytes:
    return bytes(to_bytes(value, errors="surrogate_or_strict"))


def _without_none(value: Any) -> Any:
    """The module's own validation takes None for a value that was given."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def _reason(error: BaseException, template: str | None) -> str:
    """The error in one line, with the template's line where that can be known."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1:
        places = dict.fromkeys(
            line.removesuffix(" on the Ansible Controller.") for line in lines if line[0] == "/"
        )
        lines = [f"{lines[0]}; searched in {', '.join(places)}" if places else " ".join(lines)]
    line = _line_of(error, template) if template else None
    return (f"line {line}: " if line else "") + lines[0]


def _line_of(error: BaseException, template: str) -> int | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TemplateSyntaxError):
            return cause.lineno
        cause = cause.__cause__
    # Nothing tells where an undefined name was met, but its first use is a good guess.
    name = re.search(r"'(\w+)' is undefined|has no attribute '(\w+)'", str(error))
    if name:
        word = re.compile(rf"\b{name[1] or name[2]}\b")
        return next((n for n, line in enumerate(template.splitlines(), 1) if word.search(line)), None)
    return None


def _secret_contents(arguments: dict[str, Any], contents: dict[str, bytes]) -> list[bytes]:
    return [contents[f["path"]] for f in arguments["files"] if f.get("secret") and f.get("path") in contents]
