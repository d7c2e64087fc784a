# SPDX-License-Identifier: GPL-3.0-or-later
"""What SQL must not do before a release, while the release before it serves; free of Ansible.

It would hold up everybody for as long as a table is large, or take from the release before what that needs. What a file makes itself is
empty and nobody's yet, so that anything may be done with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .nearest_name import nearest
from .sql_text import NAME, SIGN, WORD, Statement, Token, statements

LONG_ENOUGH = 10


class Rule(NamedTuple):
    says: str
    fix: str


RULES = {
    "COLUMN_NOT_NULL": Rule(
        "adds a column that must not be NULL and has no default: it fails where there are rows, and the release before writes none",
        "add it without NOT NULL, fill it (backfill), and make it NOT NULL in the contract",
    ),
    "COLUMN_REWRITE": Rule(
        "adds a column that has to be worked out for each row, which rewrites the table while nobody may read it",
        "add it without that, set the default afterwards, and fill it in the backfill",
    ),
    "COLUMN_TYPE": Rule(
        "changes the type of a column, which rewrites the table and changes what the release before reads",
        "add another column, fill it, and drop the old one in the contract",
    ),
    "CONCURRENTLY": Rule(
        "is CONCURRENTLY within a transaction, where PostgreSQL refuses it",
        "put it into a file of its own, without BEGIN",
    ),
    "CONSTRAINT": Rule(
        "adds a constraint that is checked for all rows while nobody may write",
        "add it with NOT VALID, and VALIDATE CONSTRAINT in a later transaction",
    ),
    "DROPPED": Rule(
        "takes away what the release before may still need",
        "do it in the contract (migrate.yml -e phase=contract)",
    ),
    "EVERY_ROW": Rule(
        "changes every row in one statement, with a lock on each until its end",
        "do it in the backfill, some rows in each transaction",
    ),
    "INDEX": Rule(
        "makes or removes an index while nobody may write",
        "say CONCURRENTLY, in a file of its own without BEGIN",
    ),
    "LOCK": Rule(
        "takes a lock that others wait for", "leave it out: each statement takes the lock that it needs"
    ),
    "LOCK_TIMEOUT": Rule(
        "waits for locks for as long as it takes, and everybody behind it",
        "leave it out, app_migrate_lock_timeout is told to every migration; or set a short one",
    ),
    "NOT_NULL": Rule(
        "makes a column NOT NULL, for which all rows are looked at while nobody may read, and the release before may write none",
        "in the contract: ADD CONSTRAINT ... CHECK (... IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL",
    ),
    "RENAMED": Rule(
        "renames what the release before knows by its name",
        "add what is called so beside it, fill it, and drop the old one in the contract",
    ),
    "REWRITE": Rule(
        "rewrites a table while nobody may read it", "leave it to maintenance, or to a time without requests"
    ),
    "UNIQUE": Rule(
        "adds a unique or primary key whose index is built while nobody may read or write",
        "CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT ... USING INDEX",
    ),
}
# Of the comments themselves.
WAIVER = "WAIVER"
_WAIVER = re.compile(r"hardened:\s*(.*)", re.DOTALL)
_ALLOWED = re.compile(r"allow\s+([A-Za-z_]+)\s+because\s+(.+)", re.DOTALL)
# Functions that give another value for each row.
_VOLATILE = {
    "RANDOM",
    "GEN_RANDOM_UUID",
    "UUID_GENERATE_V4",
    "UUID_GENERATE_V1",
    "CLOCK_TIMESTAMP",
    "NEXTVAL",
    "TIMEOFDAY",
}
_VOLATILE |= {"UUIDV4", "UUIDV7"}
_SERIAL = {"SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL2", "SERIAL4", "SERIAL8"}


class Finding(NamedTuple):
    line: int
    rule: str
    says: str
    fix: str


class Waived(NamedTuple):
    line: int
    rule: str
    reason: str


class Judgement(NamedTuple):
    findings: list[Finding]
    waived: list[Waived]


def judge(sql: str) -> Judgement:
    """What is wrong with a file, and what somebody has allowed with ``-- hardened: allow RULE because REASON`` before or in a statement."""
    findings: list[Finding] = []
    waived: list[Waived] = []
    file = _File()
    for statement in statements(sql):
        allowed, wrong = _waivers(statement)
        findings += wrong
        seen = list(dict.fromkeys(file.look(statement)))
        for rule, line in seen:
            if rule in allowed:
                waived.append(Waived(line, rule, allowed[rule][1]))
            else:
                findings.append(Finding(line, rule, *RULES[rule]))
        for rule in sorted(allowed.keys() - {rule for rule, _line in seen}):
            findings.append(
                Finding(
                    allowed[rule][0],
                    WAIVER,
                    f"allows {rule}, which the statement after it does not break",
                    "remove it, or put it right before the statement that it means",
                )
            )
    return Judgement(findings, waived)


def _waivers(statement: Statement) -> tuple[dict[str, tuple[int, str]], list[Finding]]:
    allowed: dict[str, tuple[int, str]] = {}
    wrong = []
    for comment in statement.comments:
        meant = _WAIVER.match(comment.text)
        if not meant:
            continue
        said = _ALLOWED.match(meant[1])
        rule = said[1].upper() if said else ""
        if not said or len(said[2].strip()) < LONG_ENOUGH:
            says, fix = "does not say what it allows, and why", "write: hardened: allow RULE because REASON"
            wrong.append(Finding(comment.line, WAIVER, says, fix))
        elif rule not in RULES:
            near = nearest(rule, sorted(RULES))
            fix = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(RULES))}"
            wrong.append(Finding(comment.line, WAIVER, "allows what is no rule", fix))
        else:
            allowed[rule] = (comment.line, " ".join(said[2].split()))
    return allowed, wrong


Seen = Iterator[tuple[str, int]]


class _File:
    """What the statements of a file have done so far."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        self.in_transaction = False
        # Of each table: which CHECK (column IS NOT NULL) it has by name, and which of them were validated.
        self.checks: dict[tuple[str, str], str] = {}
        self.validated: set[tuple[str, str]] = set()

    def look(self, statement: Statement) -> Seen:
        words = statement.words
        if not words:
            return
        line = statement.line
        if words[0] in ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"):
            self.in_transaction = words[0] in ("BEGIN", "START")
        elif words[0] == "CREATE":
            yield from self._create(statement, words)
        elif words[0] == "ALTER":
            yield from self._alter(statement, words)
        elif words[0] == "DROP":
            yield from self._drop(statement, words)
        elif words[0] == "TRUNCATE":
            yield from self._unless_made(statement, 2 if words[1:2] == ["TABLE"] else 1, "DROPPED")
        elif words[0] == "LOCK":
            yield from self._unless_made(statement, 2 if words[1:2] == ["TABLE"] else 1, "LOCK")
        elif words[0] == "REINDEX":
            if "CONCURRENTLY" not in words:
                yield "INDEX", line
        elif words[0] == "CLUSTER" or (words[0] == "VACUUM" and "FULL" in words):
            yield "REWRITE", line
        elif words[0] in ("UPDATE", "DELETE") and "WHERE" not in words:
            start = 2 if words[0] == "DELETE" else 1
            yield from self._unless_made(
                statement, start + (words[start : start + 1] == ["ONLY"]), "EVERY_ROW"
            )
        elif words[0] in ("SET", "RESET"):
            yield from _timeout(statement, words)
        if "CONCURRENTLY" in words[:5] and words[0] != "REFRESH" and self.in_transaction:
            yield "CONCURRENTLY", line

    def _unless_made(self, statement: Statement, start: int, rule: str) -> Seen:
        table, _end = _name(statement.tokens, start)
        if table not in self.made:
            yield rule, statement.line

    def _create(self, statement: Statement, words: list[str]) -> Seen:
        kind = next((number for number, word in enumerate(words[:6]) if word in ("TABLE", "INDEX")), 0)
        if words[kind] == "TABLE":
            start = kind + 4 if words[kind + 1 : kind + 4] == ["IF", "NOT", "EXISTS"] else kind + 1
            self.made.add(_name(statement.tokens, start)[0])
        elif words[kind] == "INDEX" and "CONCURRENTLY" not in words[: kind + 2] and "ON" in words:
            start = words.index("ON") + 1
            yield from self._unless_made(statement, start + (words[start : start + 1] == ["ONLY"]), "INDEX")

    def _drop(self, statement: Statement, words: list[str]) -> Seen:
        if words[1:2] == ["INDEX"]:
            if "CONCURRENTLY" not in words[2:3]:
                yield "INDEX", statement.line
        elif words[1:2] and words[1] in (
            "TABLE",
            "VIEW",
            "SCHEMA",
            "SEQUENCE",
            "TYPE",
            "FUNCTION",
            "PROCEDURE",
            "MATERIALIZED",
        ):
            start = 4 if words[2:4] == ["IF", "EXISTS"] else 2
            yield from self._unless_made(statement, start, "DROPPED")

    def _alter(self, statement: Statement, words: list[str]) -> Seen:
        if words[1:2] != ["TABLE"]:
            named = words[1:2] and words[1] in (
                "VIEW",
                "SEQUENCE",
                "SCHEMA",
                "TYPE",
                "FUNCTION",
                "MATERIALIZED",
            )
            if (named and ("RENAME", "TO") in zip(words, words[1:])) or (
                words[1:2] == ["TYPE"] and ("RENAME", "VALUE") in zip(words, words[1:])
            ):
                yield "RENAMED", statement.line
            return
        start = 2
        while words[start : start + 1] and words[start] in ("IF", "EXISTS", "ONLY"):
            start += 1
        table, start = _name(statement.tokens, start)
        if words[start : start + 1] == ["*"]:
            start += 1
        for action in _split(statement.tokens[start:]):
            for rule, line in self._action(table, action):
                # What a constraint needs to know of a table that was just made costs nothing.
                if table not in self.made:
                    yield rule, line

    def _action(self, table: str, action: Sequence[Token]) -> Seen:
        words = _words(action)
        line = action[0].line
        verb = " ".join(words[:2])
        if words[0] == "ADD":
            yield from self._add(table, action, words)
        elif words[0] == "DROP" and words[1:2] != ["CONSTRAINT"]:
            yield "DROPPED", line
        elif words[0] == "RENAME" and words[1:2] != ["CONSTRAINT"]:
            yield "RENAMED", line
        elif verb == "VALIDATE CONSTRAINT":
            self.validated.add((table, _name(action, 2)[0]))
        elif words[0] == "ALTER":
            yield from self._alter_column(table, action, words)
        elif words[0] == "SET" and words[1:2] and words[1] in ("TABLESPACE", "LOGGED", "UNLOGGED", "ACCESS"):
            yield "REWRITE", line
        elif verb == "SET SCHEMA":
            yield "RENAMED", line

    def _alter_column(self, table: str, action: Sequence[Token], words: list[str]) -> Seen:
        start = 2 if words[1:2] == ["COLUMN"] else 1
        column, start = _name(action, start)
        change = words[start:]
        if change[:1] == ["TYPE"] or change[:3] == ["SET", "DATA", "TYPE"]:
            yield "COLUMN_TYPE", action[0].line
        elif change[:3] == ["SET", "NOT", "NULL"]:
            check = self.checks.get((table, column))
            if check is None or (table, check) not in self.validated:
                yield "NOT_NULL", action[0].line
        elif change[:1] == ["DROP"] and change[1:2] in (["EXPRESSION"], ["IDENTITY"]):
            yield "DROPPED", action[0].line

    def _add(self, table: str, action: Sequence[Token], words: list[str]) -> Seen:
        line = action[0].line
        start, name = 1, ""
        if words[1:2] == ["CONSTRAINT"]:
            name, start = _name(action, 2)
        kind = words[start] if start < len(words) else ""
        if kind in ("CHECK", "FOREIGN", "EXCLUDE"):
            if kind == "CHECK":
                self._remember(table, name, action[start:], valid="VALID" not in words)
            if words[-2:] != ["NOT", "VALID"]:
                yield ("UNIQUE" if kind == "EXCLUDE" else "CONSTRAINT"), line
        elif kind in ("UNIQUE", "PRIMARY"):
            if ("USING", "INDEX") not in zip(words, words[1:]):
                yield "UNIQUE", line
        elif not name:
            yield from _column(action[start:], line)

    def _remember(self, table: str, name: str, check: Sequence[Token], valid: bool) -> None:
        """CHECK (column IS NOT NULL), in one pair of parentheses or more."""
        inner = [token for token in check[1:] if not (token.kind == SIGN and token.text in "()")]
        words = _words(inner)
        if len(inner) >= 4 and words[1:4] == ["IS", "NOT", "NULL"] and len(words[4:]) in (0, 2):
            self.checks[table, _called(inner[0])] = name
            if valid:
                self.validated.add((table, name))


def _column(tokens: Sequence[Token], line: int) -> Seen:
    """Of ADD [COLUMN] [IF NOT EXISTS] name type ..., what comes after ADD."""
    words = _words(tokens)
    start = 1 if words[:1] == ["COLUMN"] else 0
    start += 3 if words[start : start + 3] == ["IF", "NOT", "EXISTS"] else 0
    words = words[_name(tokens, start)[1] :]
    has = set(words)
    pairs = set(zip(words, words[1:]))
    default = "DEFAULT" in has and ("DEFAULT", "NULL") not in pairs
    stored = ("GENERATED", "ALWAYS") in pairs and "STORED" in has
    identity = ("AS", "IDENTITY") in pairs
    if stored or identity or set(words[:1]) & _SERIAL or (default and has & _VOLATILE):
        yield "COLUMN_REWRITE", line
    elif ("NOT", "NULL") in pairs and not default:
        yield "COLUMN_NOT_NULL", line
    if "REFERENCES" in has or "CHECK" in has:
        yield "CONSTRAINT", line
    if "UNIQUE" in has or ("PRIMARY", "KEY") in pairs:
        yield "UNIQUE", line


def _timeout(statement: Statement, words: list[str]) -> Seen:
    tokens = [token for token in statement.tokens if token.text not in ("LOCAL", "SESSION")]
    if len(tokens) < 2 or tokens[1].text.upper() != "LOCK_TIMEOUT":
        return
    value = tokens[-1].text.strip().lower()
    if words[0] == "RESET" or value == "default" or not re.search(r"[1-9]", value):
        yield "LOCK_TIMEOUT", statement.line


def _called(token: Token) -> str:
    return token.text.lower() if token.kind == WORD else token.text


def _name(tokens: Sequence[Token], start: int) -> tuple[str, int]:
    """A name, with its schema unless that is public, and where it ends."""
    parts: list[str] = []
    position = start
    while position < len(tokens) and tokens[position].kind in (WORD, NAME):
        parts.append(_called(tokens[position]))
        position += 1
        if position >= len(tokens) or tokens[position].text != "." or tokens[position].kind != SIGN:
            break
        position += 1
    if len(parts) > 1 and parts[0] == "public":
        parts = parts[1:]
    return ".".join(parts), position


def _words(tokens: Sequence[Token]) -> list[str]:
    return Statement(tuple(tokens), ()).words


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts between commas that are in no parentheses."""
    depth, begin = 0, 0
    for position, token in enumerate(tokens):
        if token.kind != SIGN:
            continue
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and not depth:
            if position > begin:
                yield tokens[begin:position]
            begin = position + 1
    if len(tokens) > begin:
        yield tokens[begin:]
