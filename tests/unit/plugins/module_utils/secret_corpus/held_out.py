# SPDX-License-Identifier: GPL-3.0-or-later
"""Weak classes that the rule was not tuned on: written before its last changes, and judged only after them.

Whoever changes a rule because of what these show moves them to the tuned ones and writes a new set.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from random import Random

_LENGTH = 32
_NOUNS = (
    "anchor acorn badger barrel beacon bishop blossom bucket buffalo cabin camel canyon carpet cellar cherry clover "
    "cobalt comet coral cottage cricket dagger donkey eagle ember engine feather fiddle fossil galaxy ginger glacier "
    "goblin gravel hammer hazelnut hedge hornet iceberg jasmine jigsaw kettle lemon lizard magnet mango marmot mirror"
).split()
_VERBS = (
    "likes eats paints sells drives breaks opens finds wants makes builds cleans counts hides keeps".split()
)
_TITLES = (
    "The_Old_Man_and_the_Sea War_and_Peace Pride_and_Prejudice Crime_and_Punishment Moby_Dick Great_Expectations "
    "The_Lord_of_the_Rings Brave_New_World Animal_Farm The_Great_Gatsby Wuthering_Heights Jane_Eyre Don_Quixote"
).split()
_LATIN = (
    "panthera leo canis lupus felis catus equus ferus bos taurus ursus arctos vulpes vulpes quercus robur rosa canina "
    "homo sapiens sus scrofa bubo bubo corvus corax passer domesticus bellis perennis fagus sylvatica"
).split()
_FOREIGN = (
    "cachorro janela obrigado saudade amanha floresta pescador estrada coracao vermelho fietsband wandelen gezellig "
    "aardappel vliegtuig boterham ziekenhuis verjaardag lachen paraplu hemlighet sommar jordgubbe fonster kanelbulle"
).split()
_TEAMS = "Arsenal Everton Leeds Juventus Bayern Dortmund Ajax Porto Benfica Celtic Rangers Sevilla Napoli Roma".split()
_STREETS = (
    "Baker Church Station Victoria Mill Park Queen King Bridge Garden Chapel Orchard Castle Market".split()
)
_COMMON = (
    "hunter shadow jennifer thomas superman tigger michael ranger harley princess sunshine ashley".split()
)


def _grow(rng: Random, part: Callable[[Random], str], joint: str = "") -> str:
    value = part(rng)
    while len(value) < _LENGTH:
        value += joint + part(rng)
    return value


def _address(rng: Random) -> str:
    def part(r: Random) -> str:
        return f"{r.randint(1, 300)}{r.choice(_STREETS)}{r.choice(['Street', 'Road', 'Lane', 'Avenue'])}"

    return _grow(rng, part) + f"NW{rng.randint(1, 9)}"


def _title(rng: Random) -> str:
    return _grow(rng, lambda r: r.choice(_TITLES), "-") + str(rng.randint(1800, 2024))


def _shopping(rng: Random) -> str:
    return _grow(rng, lambda r: f"{r.randint(2, 40)}{r.choice(_NOUNS).capitalize()}s", "+")


def _settings_in_base64(rng: Random) -> str:
    text = f"user: {rng.choice(_NOUNS)}\npassword: {rng.choice(_NOUNS)}{rng.randint(1, 99)}\nport: {rng.randint(1, 9999)}\n"
    return base64.b64encode(text.encode()).decode()


def _token_head(rng: Random) -> str:
    text = f'{{"alg":"HS256","typ":"JWT","kid":"{rng.choice(_NOUNS)}-{rng.randint(1, 99)}"}}'
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _query(rng: Random) -> str:
    return f"SELECT*FROM{rng.choice(_NOUNS)}WHERE{rng.choice(_NOUNS)}_id={rng.randint(1, 9999)};DROP{rng.choice(_NOUNS)}"


def _scores(rng: Random) -> str:
    def part(r: Random) -> str:
        return f"{r.choice(_TEAMS)}{r.randint(0, 5)}-{r.randint(0, 5)}{r.choice(_TEAMS)}"

    return _grow(rng, part, "_")


def _foreign(rng: Random) -> str:
    return _grow(rng, lambda r: r.choice(_FOREIGN).capitalize()) + str(rng.randint(1, 99))


def _species(rng: Random) -> str:
    return _grow(rng, lambda r: r.choice(_LATIN).capitalize(), rng.choice(["", "_", "."])) + "1"


def _alternating_case(rng: Random) -> str:
    text = _grow(rng, lambda r: r.choice(_NOUNS))
    return "".join(char.upper() if place % 2 else char for place, char in enumerate(text))


def _digest(rng: Random) -> str:
    raw = hashlib.new(rng.choice(["sha256", "sha512"]), rng.choice(_COMMON).encode()).digest()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _serial(rng: Random) -> str:
    return f"SN-{rng.randint(2010, 2026)}-{rng.randint(1, 999):06}-A-REV-{rng.randint(1, 20):02}-BUILD-{rng.randint(1, 400):05}"


def _windows_path(rng: Random) -> str:
    return f"C:\\Users\\{rng.choice(_NOUNS)}\\Documents\\{rng.choice(_NOUNS)}{rng.randint(1, 9)}.pfx"


def _tripled(rng: Random) -> str:
    start = rng.randint(0, 12)
    return "".join(char * 3 for char in "abcdefghijklmnopqrstuvwxyz"[start : start + 9]).title() + "111222333"


def _letters_and_numbers(rng: Random) -> str:
    start = rng.randint(0, 9)
    letters = "abcdefghijklmnopqrstuvwxyz"[start : start + 17]
    text = "".join(f"{letter}{number % 10}" for number, letter in enumerate(letters, rng.randint(0, 3)))
    return text.upper() if rng.random() < 0.3 else text.replace("a", "A").replace("m", "M")


def _zigzag(rng: Random) -> str:
    walk = "qazxswedcvfrtgbnhyujmkiolp"  # pragma: allowlist secret
    start = rng.randint(0, 6)
    return (walk[start:] + rng.choice(["1234567890", "0987654321", "2468013579"])).capitalize() + walk[
        :start
    ].upper()


def _sentence(rng: Random) -> str:
    def part(r: Random) -> str:
        words = [
            "my",
            r.choice(_NOUNS),
            r.choice(_VERBS),
            str(r.randint(2, 99)),
            r.choice(_NOUNS) + "s",
            "in",
            "May",
        ]
        return "".join(word.capitalize() for word in words)

    return _grow(rng, part) + rng.choice("!?.")


def _described_commit(rng: Random) -> str:
    number = f"v{rng.randint(0, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}-{rng.randint(1, 90)}"
    return f"{rng.choice(_NOUNS)}-{rng.choice(_NOUNS)}-{number}-g{rng.getrandbits(28):07x}-dirty"


def _leet_in_hex(rng: Random) -> str:
    text = _grow(rng, lambda r: r.choice(_NOUNS).replace("a", "4").replace("e", "3").replace("o", "0"), "_")
    return text.encode().hex()


CLASSES: dict[str, Callable[[Random], str]] = {
    "street addresses": _address,
    "titles": _title,
    "shopping list": _shopping,
    "settings in base64": _settings_in_base64,
    "head of a token": _token_head,
    "query": _query,
    "scores": _scores,
    "words of other languages": _foreign,
    "species": _species,
    "words in alternating case": _alternating_case,
    "digest of a common password": _digest,
    "serial number": _serial,
    "Windows path": _windows_path,
    "tripled letters": _tripled,
    "letters and numbers in turn": _letters_and_numbers,
    "keyboard zigzag": _zigzag,
    "sentence": _sentence,
    "described commit": _described_commit,
    "leet in hex": _leet_in_hex,
}
