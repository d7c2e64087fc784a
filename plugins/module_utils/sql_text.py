# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL as PostgreSQL reads it, cut into statements and words; free of Ansible.

What stands in strings, comments, quoted names and dollar quotes is no SQL, whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

WORD, NAME, TEXT, NUMBER, SIGN = "word", "name", "text", "number", "sign"
_SPACE = re.compile(r"\s+")
_COMMENT = re.compile(r"--[^\n]*")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff]*)?\$")
_ESCAPED = re.compile(r"[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)", re.DOTALL)
_STRING = re.compile(r"(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z)", re.DOTALL)
_QUOTED = re.compile(r'(?:[uU]&)?"((?:[^"]|"")*)(?:"|\Z)', re.DOTALL)
_WORD = re.compile(r"[A-Za-z_\x80-\uffff][A-Za-z0-9_$\x80-\uffff]*")
_NUMBER = re.compile(r"\.?\d[\w.]*")
_META = re.compile(r"\\[^\n]*")
_COPY_END = re.compile(r"^\\\.[ \t]*$", re.MULTILINE)


class Token(NamedTuple):
    """`text` of a word is in capitals; of a name as it is called, without quotes."""

    kind: str
    text: str
    line: int


class Comment(NamedTuple):
    text: str
    line: int


class Statement(NamedTuple):
    """With the comments before and within it, up to the end of its last line."""

    tokens: tuple[Token, ...]
    comments: tuple[Comment, ...]

    @property
    def line(self) -> int:
        return self.tokens[0].line if self.tokens else self.comments[0].line

    @property
    def words(self) -> list[str]:
        """Words in capitals and signs; names, texts and numbers have a place only, so that none passes for a word."""
        return [token.text if token.kind in (WORD, SIGN) else f"<{token.kind}>" for token in self.tokens]


def statements(sql: str) -> list[Statement]:
    """What a file has, in its order. Comments after the last one are a statement without tokens."""
    found: list[Statement] = []
    tokens: list[Token] = []
    comments: list[Comment] = []
    depth = atomic = 0
    last_line = 0
    for part in _parts(sql):
        if isinstance(part, Comment):
            if not tokens and found and part.line == last_line:
                # Behind the semicolon, in its line.
                found[-1] = found[-1]._replace(comments=(*found[-1].comments, part))
            else:
                comments.append(part)
            continue
        if part.kind == SIGN and part.text == ";" and depth <= 0 and not atomic:
            if tokens:
                found.append(Statement(tuple(tokens), tuple(comments)))
                tokens, comments = [], []
            last_line, depth = part.line, 0
            continue
        depth += {"(": 1, ")": -1}.get(part.text, 0) if part.kind == SIGN else 0
        atomic = _nested(atomic, part, tokens)
        tokens.append(part)
    if tokens or comments:
        found.append(Statement(tuple(tokens), tuple(comments)))
    return found


def _nested(atomic: int, token: Token, before: list[Token]) -> int:
    """How deep in a function's body of the standard's kind (BEGIN ATOMIC ... END), whose semicolons end nothing."""
    if token.kind != WORD:
        return atomic
    if token.text == "ATOMIC" and before and before[-1].text == "BEGIN":
        return 1
    if atomic and token.text == "CASE":
        return atomic + 1
    return atomic - 1 if atomic and token.text == "END" else atomic


def _parts(sql: str) -> Iterator[Token | Comment]:
    position, line, statement = 0, 1, ""
    while position < len(sql):
        part, end = _part(sql, position, line)
        if isinstance(part, Token):
            if part.text == ";" and part.kind == SIGN:
                if re.match(r"COPY\b.* FROM STDIN\b", statement):
                    # Data follows, up to a line of its own.
                    close = _COPY_END.search(sql, end)
                    stop = close.end() if close else len(sql)
                    line += sql.count("\n", end, stop)
                    yield part
                    position, statement = stop, ""
                    continue
                statement = ""
            else:
                statement += (" " if statement else "") + (part.text if part.kind in (WORD, SIGN) else "_")
        if part is not None:
            yield part
        line += sql.count("\n", position, end)
        position = end


def _part(sql: str, position: int, line: int) -> tuple[Token | Comment | None, int]:
    """What begins at a position, and where it ends."""
    space = _SPACE.match(sql, position)
    if space:
        return None, space.end()
    comment = _COMMENT.match(sql, position)
    if comment:
        return Comment(comment[0][2:].strip(), line), comment.end()
    if sql.startswith("/*", position):
        end = _block_end(sql, position)
        return Comment(sql[position + 2 : end - 2].strip(), line), end
    dollar = _DOLLAR.match(sql, position)
    if dollar:
        close = sql.find(dollar[0], dollar.end())
        return Token(TEXT, "", line), len(sql) if close < 0 else close + len(dollar[0])
    for pattern in (_ESCAPED, _STRING):
        string = pattern.match(sql, position)
        if string:
            return Token(TEXT, string[0].partition("'")[2].removesuffix("'"), line), string.end()
    quoted = _QUOTED.match(sql, position)
    if quoted:
        return Token(NAME, quoted[1].replace('""', '"'), line), quoted.end()
    word = _WORD.match(sql, position)
    if word:
        return Token(WORD, word[0].upper(), line), word.end()
    number = _NUMBER.match(sql, position)
    if number:
        return Token(NUMBER, number[0], line), number.end()
    # psql's own commands, which it takes up to the end of the line.
    meta = _META.match(sql, position)
    if meta:
        return None, meta.end()
    return Token(SIGN, sql[position], line), position + 1


def _block_end(sql: str, start: int) -> int:
    """Where a comment ends that may have others within."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", sql[start:]):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return start + mark.end()
    return len(sql)
