# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuilds the two tables that plugins/module_utils/secret_rules reads, from the packages named below.

tools/secret_statistics.py [FOLDER]   FOLDER keeps the downloads; what is there already is not fetched again
"""

from __future__ import annotations

import ast
import base64
import math
import re
import subprocess
import sys
import tempfile
import textwrap
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "plugins/module_utils/secret_rules"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Costs are fifths of a bit, one character each.
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
STEP = 5
VOWELS = "aeiou"
PASSWORDS, NAMES = 5000, 500
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


class Source(NamedTuple):
    package: str
    version: str
    licence: str
    what: str
    path: str
    weight: float
    german: bool = False


SOURCES = (
    Source(
        "wamerican", "2020.12.07-2", "SCOWL's own permissive terms", "English words", "american-english", 2
    ),
    Source("wngerman", "20161207-11", "GPL-2+", "German words", "ngerman", 1, True),
    Source("wfrench", "1.2.7-2", "GPL-2+", "French words", "french", 1),
    Source("wspanish", "1.0.30", "public domain", "Spanish words", "spanish", 1),
    Source("witalian", "1.10", "GPL-3+", "Italian words", "italian", 1),
)
ZXCVBN = Source("zxcvbn", "4.5.0", "MIT", "frequent English words, names, passwords", "frequency_lists.py", 1)
# Its list of passwords is copied, so its licence goes with it.
ZXCVBN_NOTICE = """Copyright (c) 2016 Daniel Wolf

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
LISTS = {"english_wikipedia": 2.0, "surnames": 0.5, "female_names": 0.3, "male_names": 0.3, "passwords": 1.0}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        folder.mkdir(parents=True, exist_ok=True)
        lists = _frequency_lists(folder)
        counts: Counter[str] = Counter()
        for source in SOURCES:
            _count(counts, _debian_words(folder, source), source.weight, source.german)
        for name, weight in LISTS.items():
            _count(counts, lists[name], weight)
    _write(
        "skeletons.py",
        "Cost of each letter after the one before it, for words without vowels",
        _skeletons(counts),
    )
    _write(
        "trigrams.py",
        "Cost of each letter after the two before it, for words of five languages",
        _table(counts),
    )
    names = lists["female_names"][:NAMES] + lists["male_names"][:NAMES]
    usable = [
        word
        for word in lists["passwords"][:PASSWORDS] + names
        if re.fullmatch(r"[!-\[\]-~]+", word) and '"' not in word
    ]
    # Compressed, because it is not for reading: people's passwords are rude.
    packed = base64.b64encode(zlib.compress(" ".join(usable).encode(), 9)).decode()
    _write(
        "common_passwords.py",
        f"The {PASSWORDS} most frequent passwords and {2 * NAMES} names, compressed",
        packed,
    )


def _debian_words(folder: Path, source: Source) -> Iterator[str]:
    tree = folder / source.package
    if not tree.exists():
        name = f"{source.package}={source.version}"
        subprocess.run(["apt-get", "-q", "download", name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (package,) = folder.glob(f"{source.package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
    yield from (tree / "usr/share/dict" / source.path).read_text(encoding="utf-8").split()


def _frequency_lists(folder: Path) -> dict[str, list[str]]:
    tree = folder / ZXCVBN.package
    if not tree.exists():
        uv = ROOT / ".cache/uv/bin/uv"
        wanted = f"{ZXCVBN.package}=={ZXCVBN.version}"
        subprocess.run(
            [str(uv), "pip", "install", "-q", "--no-deps", "--target", str(tree), wanted], check=True
        )
    text = (tree / ZXCVBN.package / ZXCVBN.path).read_text(encoding="utf-8")
    # It is read, not run: a dictionary of "word,word,...".split(",").
    (table,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Dict))
    calls = [value for value in table.values if isinstance(value, ast.Call)]
    names = [ast.literal_eval(key) for key in table.keys if key is not None]
    texts = [ast.literal_eval(call.func.value) for call in calls if isinstance(call.func, ast.Attribute)]
    return {name: words.split(",") for name, words in zip(names, texts, strict=True)}


def _count(counts: Counter[str], words: Iterable[str], weight: float, german: bool = False) -> None:
    folded = {word for word in (_fold(w, german) for w in words) if len(word) >= 3}
    share = weight * 1e6 / sum(map(len, folded))
    for word in folded:
        padded = "^^" + word
        for start in range(len(word)):
            counts[padded[start : start + 3]] += share  # type: ignore[assignment]


def _fold(word: str, german: bool) -> str:
    lower = word.lower().removesuffix("'s")
    plain = unicodedata.normalize("NFKD", lower.translate(_GERMAN) if german else lower)
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return letters if set(letters) <= set(LETTERS) else ""


def _table(counts: Counter[str]) -> str:
    singles: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for trigram, count in counts.items():
        singles[trigram[2]] += count
        pairs[trigram[1:]] += count
    whole = sum(singles.values())
    return "".join(
        _context(first + second, counts, pairs, singles, whole)
        for first in "^" + LETTERS
        for second in "^" + LETTERS
    )


def _skeletons(counts: Counter[str]) -> str:
    """Vowels are passed over: what follows a pair of letters stands for what follows the first, as often as they do."""
    pairs: Counter[str] = Counter()
    for trigram, count in counts.items():
        first, second, third = tuple(trigram)
        if second == "^" or (second not in VOWELS and third not in VOWELS):
            pairs[second + third] += count
        elif second in VOWELS and first not in VOWELS and third not in VOWELS:
            pairs[first + third] += count
    singles: Counter[str] = Counter()
    for pair, count in pairs.items():
        singles[pair[1]] += count
    # The first letter of these trigrams does not matter.
    trigrams = Counter({"^" + pair: count for pair, count in pairs.items()})
    whole = sum(singles.values())
    return "".join(_context("^" + last, trigrams, pairs, singles, whole) for last in "^" + LETTERS)


def _context(
    context: str, trigrams: Counter[str], pairs: Counter[str], singles: Counter[str], whole: float
) -> str:
    """Costs of the 26 letters; each rarer context leans on the shorter one (Witten-Bell with a fixed mass)."""
    after_pair = sum(pairs[context[1] + letter] for letter in LETTERS)
    after_both = sum(trigrams[context + letter] for letter in LETTERS)
    shares = []
    for letter in LETTERS:
        one = 0.97 * singles[letter] / whole + 0.03 / 26
        two = (pairs[context[1] + letter] + 200 * one) / (after_pair + 200)
        shares.append((trigrams[context + letter] + 100 * two) / (after_both + 100))
    # Rounding must not make it shorter than a code can be (Kraft), or random values would gain from it.
    lost = 0.0
    while True:
        costs = [min(63, round((lost - math.log2(share)) * STEP)) for share in shares]
        if sum(2 ** (-cost / STEP) for cost in costs) <= 1:
            return "".join(DIGITS[cost] for cost in costs)
        lost += 0.01


def _write(name: str, title: str, data: str) -> None:
    used = (*SOURCES, ZXCVBN) if name != "common_passwords.py" else (ZXCVBN,)
    lines = [f"{s.package} {s.version} ({s.licence}): {s.what}" for s in used]
    notice = [] if name != "common_passwords.py" else ["", ZXCVBN_NOTICE]
    wrapped = "\n".join(textwrap.wrap(data, 108))
    head = "\n".join(
        [
            "# SPDX-License-Identifier: GPL-3.0-or-later",
            f'"""{title}. Made by tools/secret_statistics.py from',
            "",
            *lines,
            *notice,
            '"""',
            "",
            "from __future__ import annotations",
            "",
        ]
    )
    (TARGET / name).write_text(f'{head}\nDATA = """\\\n{wrapped}\n"""\n', encoding="utf-8")


if __name__ == "__main__":
    main()
