# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in messages and diffs."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.diff import diff
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.mask import MASK, Masker, values_of
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import Change
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.nodes import (
    ABSENT,
    Directory,
    File,
    Link,
)


def plain(content: bytes, mode: int = 0o644) -> File:
    return File(content, 0, 0, mode)


def shown(change: Change, *secrets: str) -> tuple[str, str]:
    entries = diff([change], Masker(values_of(secrets, (), ())))
    assert len(entries) == 1
    return entries[0]["before"], entries[0]["after"]


class TestMasker:
    def test_a_value_is_hidden_within_a_line_and_in_any_structure(self) -> None:
        masker = Masker(["hunter2"])
        assert masker.deep({"a": ["x hunter2y", 1, None, ("hunter2",)]}) == {
            "a": [f"x {MASK}y", 1, None, [MASK]]
        }

    def test_the_longer_of_two_overlapping_values_wins(self) -> None:
        assert Masker(["secret", "secret-two"]).text("secret-two secret") == f"{MASK} {MASK}"

    def test_empty_and_too_short_values_hide_nothing(self) -> None:
        assert Masker(["", "abc"]).text("abc") == "abc"

    @pytest.mark.parametrize(
        "spelling",
        [
            'p"ss w/rd',
            'p\\"ss w/rd',
            base64.b64encode(b'p"ss w/rd').decode(),
            "p%22ss%20w/rd",
            "p%22ss%20w%2Frd",
        ],
    )
    def test_usual_spellings_are_hidden_too(self, spelling: str) -> None:
        assert Masker(values_of(['p"ss w/rd'], (), ())).text(f"<{spelling}>") == f"<{MASK}>"

    def test_lines_of_a_value_are_hidden_alone(self) -> None:
        masker = Masker(values_of(["-----BEGIN KEY-----\nMIIabcdef\n"], (), ()))
        assert masker.text("bad line: MIIabcdef") == f"bad line: {MASK}"

    def test_words_of_a_secret_file_are_hidden_unless_they_are_public(self) -> None:
        values = values_of((), [b'password = "hunter2-x"; /etc/demo/keys'], ["password", "/etc/demo/keys"])
        masker = Masker(values)
        assert (
            masker.text('no "hunter2-x" password in /etc/demo/keys')
            == f'no "{MASK}" password in /etc/demo/keys'
        )


class TestDiff:
    def test_a_changed_secret_is_hidden_on_both_sides_and_still_seen_to_change(self) -> None:
        change = Change("/f", plain(b"user=a\npassword=old-one\n"), plain(b"user=a\npassword=new-one\n"))
        before, after = shown(change, "new-one")
        assert before == f"user=a\npassword={MASK}\n"
        assert after == f"user=a\npassword={MASK}\n(a hidden value changes)\n"

    def test_several_secrets_in_one_line(self) -> None:
        change = Change("/f", plain(b"u:old1:old2;\n"), plain(b"u:new1:new2;\n"))
        before, _after = shown(change, "new1", "new2")
        assert before == f"u:{MASK}:{MASK};\n"

    def test_a_line_that_is_nothing_but_a_secret_hides_no_line_that_stays(self) -> None:
        before, after = shown(
            Change("/f", plain(b"[keys]\nold-key\n"), plain(b"[keys]\nnew-key\n")), "new-key"
        )
        assert before == f"[keys]\n{MASK}\n" == after.replace("(a hidden value changes)\n", "")

    def test_a_secret_file_shows_nothing_but_that_it_changes(self) -> None:
        change = Change("/f", plain(b"old"), plain(b"new"), secret=True)
        before, after = shown(change)
        assert "old" not in before and "new" not in after and before != after

    def test_new_and_removed_files_show_their_content(self) -> None:
        assert shown(Change("/f", ABSENT, plain(b"x\n"))) == ("", "x\n")
        assert shown(Change("/f", plain(b"x\n"), ABSENT)) == ("x\n", "")

    def test_attributes_have_an_entry_of_their_own(self) -> None:
        change = Change("/f", plain(b"x", 0o600), plain(b"x", 0o644))
        assert shown(change) == ("owner root\ngroup root\nmode 0600\n", "owner root\ngroup root\nmode 0644\n")
        assert len(diff([Change("/f", plain(b"x", 0o600), plain(b"y", 0o644))], Masker([]))) == 2

    def test_links_directories_and_binary_files(self) -> None:
        assert shown(Change("/l", ABSENT, Link("a"))) == ("", "symbolic link to a\n")
        assert shown(Change("/d", ABSENT, Directory(0, 0, 0o750))) == ("", "directory, root:root 0750\n")
        assert shown(Change("/b", ABSENT, plain(b"\xff\xfe"))) == ("", "(binary, 2 bytes)\n")

    def test_accounts_that_do_not_exist_yet_are_named_as_such(self) -> None:
        entries = diff([Change("/d", ABSENT, Directory(-1, -1, 0o755))], Masker([]))
        assert entries[0]["after"] == "directory, (not there yet):(not there yet) 0755\n"
