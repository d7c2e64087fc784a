# SPDX-License-Identifier: GPL-3.0-or-later
# Letters of many alphabets are meant, and nothing here is a secret.
# ruff: noqa: RUF001, S311
"""What honest clients of an API send: any number of requests, each different, made from a seed."""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

# Sentences of people, with words that SQL has too, about as often as people use them.
SUBJECTS = "we|I|they|you|she|he|customers|the team|our office|both sites|the new driver|everybody|nobody here|the committee|my colleague"
VERBS = (
    "need|want|like|know|find|see|read|write|send|bring|book|pay for|ask about|talk about|hear of|wait for|think of|look at|work on|care for|"
    "start with|stop at|help with|learn|buy|sell|build|clean|carry|draw|cook|plan|visit|prefer|remember|forget|lose|pick up|put down|set up|"
    "mention|repeat|try|share|sign|return|keep|show|use|check|count|open|close|move|call|change|replace|order|join|group|select|update|delete|"
    "create|print|load"
)
OBJECTS = (
    "the table by the window|a user from Berlin|all items on the list|the data in the second column|"
    "a bottle of water|the script for the play|the function of this button|the password policy|the index of the book|the view "
    "from the hotel|a group of ten|the values on page 12|the host of the evening|the cookie recipe|an image of the harbour|the shell of the "
    "building|a set of rules|the file from last year|the event|the procedure|the trigger|the process|the system|the database|the union of both clubs|"
    "a case of wine|the morning train|a "
    "quiet room|their garden|the second floor|another chair|the invoice|your answer|the weather|a longer text|the bridge|a map of the town|"
    "the keys|the red bicycle|her painting|the summer holidays|some bread and cheese|a letter|the meeting|the school|a new lamp|our parcel"
)
ENDS = (
    "by tomorrow|if there is time|between 9 and 11|where it was before|or not at all|and then again|unless it rains|while supplies last|"
    "like last year|as soon as possible|until the end|not later than Friday|when the union agrees|for 20% less|at 5:30 pm|(or later)|"
    "with love|on the 1st of May|for each of us|in any case|as a whole|via the main entrance|to the right|after lunch|before noon|without "
    "haste|near the river|every other week|instead of the old one|because of the strike|during the night|across the street|from the list|"
    "into the box|in order of arrival|with both hands|around the corner|despite the cold|up to 50 kg"
)
WORDS = (
    "red blue garden summer chair invoice urgent kitchen 2026 berlin lamp harbour wine music travel books table event report offline draft "
    "second-hand x-large winter bicycle train family new sale office"
)
OTHERS = (
    "Könnten wir bitte einen Tisch für 4 Personen ändern? Müller & Söhne, Straße 12.",
    "Je voudrais l'addition, s'il vous plaît ; c'est pour aujourd'hui à 20 h.",
    "¿Podría cambiar mi pedido? Quiero añadir una mesa más, por favor.",
    "Можно ли изменить заказ номер 17? Мы хотели бы добавить ещё одно место у окна.",
    "Θα ήθελα μία θέση στο παράθυρο, αν γίνεται.",
    "أود تغيير الطلب رقم ١٧ من فضلكم، شكراً جزيلاً.",
    "אפשר בבקשה לשנות את ההזמנה למחר בערב?",
    "क्या मैं अपना ऑर्डर बदल सकता हूँ? धन्यवाद।",
    "我想更改订单，谢谢。明天下午三点可以吗？",
    "窓側の席を予約したいです。よろしくお願いします。",
    "예약을 변경하고 싶습니다. 감사합니다!",
    "Çok teşekkürler, görüşmek üzere; İstanbul'da hava güzel.",
    "Proszę o zmianę zamówienia – dziękuję bardzo!",
    "Great food 😀👍 — will come again ❤️!",
)
NAMES = (
    "Mary O'Brien|Jean-Luc D'Arcy|Zoë Müller|José Núñez|Søren Ødegård|Anna-Maria von der Heide|李小龙|Дмитрий Иванов|Ng|X Æ|"
    "Dr. Smith, Jr.|Conan O'Neill-Hughes"
)
NOTES = (
    "- milk\n- eggs (12)\n- 1/2 lb butter",
    "# Minutes\n\n1. Opening\n2. *Budget* for 2026: 5% more\n3. **Any other business**",
    'She said: "not today", and left.',
    "Price: $5.99 (was €7,50) -- 20% off!",
    "Q&A at 3pm; bring your laptop & charger",
    "see https://www.example.com/a/b?c=d&e=f#g or mail info@example.com",
    "Room #12, floor -1; ask for Tom/Jerry",
    "A > B, and B < C, so A/B = C?",
    "100 km/h = 62 mph ± 1",
    "e.g. 10:15, i.e. ~5 min. after (a) and before [b]",
    "It's John's, isn't it? 'Twas ever thus...",
    "+49 (0)30 123-456, ext. 7",
    "C:\\Users are people too",
    "1,000.50; 2.000,75; 3'000.25",
)
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "Go-http-client/2.0",
    "axios/1.7.2",
    "PostmanRuntime/7.39.0",
    "curl/8.8.0",
)
FIELDS = "name title description comment address city note subject first_name last_name company reference status category"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None
    text: str = field(default="", repr=False)


class Honest:
    def __init__(self, seed: int, *, prose: bool) -> None:
        """Without `prose`, texts are names, notes, tags, and sentences of other languages than English."""
        self.random = random.Random(seed)
        self.in_prose = prose

    def requests(self, number: int) -> Iterator[Request]:
        kinds: tuple[Callable[[], Request], ...] = (
            self.listing,
            self.search,
            self.one,
            self.json_of,
            self.json_of,
            self.json_of,
            self.form,
            self.upload,
        )
        for _number in range(number):
            yield self.random.choice(kinds)()

    # --- requests ---

    def listing(self) -> Request:
        of = self.random
        fields = [
            ("page", str(of.randrange(1, 500))),
            ("per_page", of.choice(["10", "25", "100"])),
            ("sort", of.choice(["-created_at", "name", "name,-id", "price:asc"])),
            ("since", self.time()),
            ("status", of.choice(["open", "closed,archived", "in progress"])),
            ("fields", "id,name,owner.name"),
            ("filter[price][gte]", str(of.randrange(1000))),
            ("cursor", base64.urlsafe_b64encode(of.randbytes(of.randrange(9, 40))).decode().rstrip("=")),
            ("include", "tags"),
        ]
        chosen = of.sample(fields, of.randrange(0, 5))
        return self.request(
            of.choice(["GET", "GET", "GET", "HEAD"]), f"/v1/{self.thing()}?{urlencode(chosen)}"
        )

    def search(self) -> Request:
        of = self.random
        text = of.choice([self.name, self.sentence, self.other, self.words])()
        how = quote if of.random() < 0.5 else lambda text: urlencode({"": text})[1:]
        return self.request("GET", f"/v1/search?q={how(text)}", text=text)

    def one(self) -> Request:
        of = self.random
        key = of.choice(
            [str(of.randrange(10**6)), str(uuid.UUID(int=of.getrandbits(128))), of.randbytes(12).hex()]
        )
        below = of.choice(["", "/comments", "/history", f"/comments/{of.randrange(99)}"])
        return self.request(of.choice(["GET", "GET", "DELETE", "HEAD"]), f"/v1/{self.thing()}/{key}{below}")

    def json_of(self) -> Request:
        of = self.random
        document = self.document(of.randrange(0, 3))
        body = json.dumps(
            document,
            ensure_ascii=of.random() < 0.3,
            indent=of.choice([None, None, 2]),
            separators=of.choice([None, (",", ":")]),
        )
        kind = of.choice(["application/json", "application/json; charset=utf-8"])
        method = of.choice(["POST", "POST", "PUT", "PATCH"])
        return self.request(method, f"/v1/{self.thing()}", body.encode(), kind, body)

    def form(self) -> Request:
        of = self.random
        names = of.sample(FIELDS.split(), of.randrange(1, 6))
        fields = {name: str(value) for name in names if not isinstance(value := self.value(), list)}
        return self.request(
            "POST", "/v1/forms", urlencode(fields).encode(), "application/x-www-form-urlencoded", str(fields)
        )

    def upload(self) -> Request:
        of = self.random
        border = f"----{of.randbytes(12).hex()}"
        text = of.choice([self.prose(), "name,price\nchair,12.50\ntable,80\n", self.note()])
        parts = [
            f'--{border}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{self.name()}\r\n',
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="notes-{of.randrange(99)}.txt"\r\n'
            f"Content-Type: text/plain\r\n\r\n{text}\r\n--{border}--\r\n",
        ]
        return self.request(
            "POST", "/v1/files", "".join(parts).encode(), f"multipart/form-data; boundary={border}", text
        )

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", text: str = ""
    ) -> Request:
        of = self.random
        headers = {"User-Agent": of.choice(AGENTS), "Accept": of.choice(["*/*", "application/json"])}
        token = base64.urlsafe_b64encode(of.randbytes(36)).decode()
        more = [
            ("Authorization", f"Bearer {token}"),
            ("Authorization", f"Bearer eyJhbGciOiJFUzI1NiJ9.{token}.{token[:43]}"),
            ("X-API-Key", f"k{of.randrange(10**5)}.{token[:32]}"),
            ("Accept-Language", "de-DE,de;q=0.9,en;q=0.8"),
            ("Cookie", f"session={token[:24]}; theme=dark; consent=%7B%22a%22%3Atrue%7D"),
            ("Referer", "https://console.example.com/items?page=2&sort=name"),
            ("If-None-Match", f'W/"{of.randbytes(8).hex()}"'),
            ("traceparent", f"00-{of.randbytes(16).hex()}-{of.randbytes(8).hex()}-01"),
            ("Idempotency-Key", str(uuid.UUID(int=of.getrandbits(128)))),
            ("Accept-Encoding", "gzip, deflate, br"),
        ]
        headers.update(of.sample(more, of.randrange(0, 5)))
        if body is not None:
            headers["Content-Type"] = kind
        return Request(method, path, headers, body, text)

    # --- what is in them ---

    def document(self, depth: int) -> dict[str, object]:
        of = self.random
        found: dict[str, object] = {
            name: self.value() for name in of.sample(FIELDS.split(), of.randrange(1, 7))
        }
        if depth:
            found["items"] = [self.document(depth - 1) for _number in range(of.randrange(0, 3))]
            found["owner"] = self.document(depth - 1)
        return found

    def value(self) -> object:
        of = self.random
        kinds: tuple[Callable[[], object], ...] = (
            self.name,
            self.prose,
            self.sentence,
            self.other,
            self.note,
            self.words,
            self.time,
            lambda: of.randrange(-(10**9), 10**9),
            lambda: round(of.uniform(-1000, 1000), 2),
            lambda: of.choice([True, False, None]),
            lambda: str(uuid.UUID(int=of.getrandbits(128))),
            lambda: f"{of.choice(['mary', 'j.o_brien', 'info+shop'])}@example-{of.randrange(99)}.org",
            lambda: f"https://example.com/{self.thing()}/{of.randrange(999)}?ref=mail&lang=en",
            lambda: [self.words() for _number in range(of.randrange(0, 4))],
            lambda: base64.b64encode(of.randbytes(of.randrange(12, 60))).decode(),
        )
        return of.choice(kinds)()

    def prose(self) -> str:
        return " ".join(
            self.sentence() for _number in range(self.random.randrange(1, 9) if self.in_prose else 1)
        )

    def sentence(self) -> str:
        of = self.random
        if not self.in_prose:
            return of.choice([self.words, self.name, self.other, self.note])()
        subject, verb, thing, end = (
            of.choice(given.split("|")) for given in (SUBJECTS, VERBS, OBJECTS, ENDS)
        )
        shape = of.choice(
            [
                "{s} {v} {o} {e}.",
                "{s} would like to {v} {o}, {e}!",
                "Please {v} {o} {e}.",
                "Could {s} {v} {o} {e}?",
                "If {s} {v} {o}, {e}, we'll see.",
                "{s} can't {v} {o} {e}, can they?",
                '"We {v} {o}", {s} said, {e}.',
                "{o}: {e}.",
                "{s} didn't {v} {o}; that was {e}.",
            ]
        )
        text = shape.format(s=subject, v=verb, o=thing, e=end)
        return text[0].upper() + text[1:]

    def words(self) -> str:
        """Some tags, or what somebody types into a search box."""
        of = self.random
        return " ".join(of.sample(WORDS.split(), of.randrange(1, 4)))

    def name(self) -> str:
        return self.random.choice(NAMES.split("|"))

    def other(self) -> str:
        return self.random.choice(OTHERS)

    def note(self) -> str:
        return self.random.choice(NOTES)

    def time(self) -> str:
        of = self.random
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=of.randrange(3 * 10**7))
        return of.choice(
            [moment.isoformat(), moment.strftime("%Y-%m-%d"), moment.strftime("%Y-%m-%dT%H:%M:%SZ")]
        )

    def thing(self) -> str:
        return self.random.choice(["items", "users", "orders", "tables", "groups", "events", "files"])
