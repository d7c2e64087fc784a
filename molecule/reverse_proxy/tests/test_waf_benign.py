# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand honest requests of many kinds, none of which the firewall may take for an attack."""

from __future__ import annotations

import base64
import datetime
import json
import random
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlencode

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Edge

REQUESTS = 10_000
NAMES = "Mary O'Brien|José García|Zoë Müller|Anne-Marie d'Arc|李小龍|Søren Ærø|John Smith Jr.|Ibn Sīnā|Nguyễn Văn A|Ана Петрова".split(
    "|"
)
# As people write: with the words of query languages and shells, quotes, dashes, and every alphabet.
SENTENCES = (
    "Please update the order before noon.",
    "We'd like a table for two (or three), near the window.",
    "Select the blue one and drop the rest at reception.",
    "It's 100 € + VAT, isn't it?",
    'Union members get 20% off: see page 5/6 & ask "Tom" about it!',
    "Between here and Zürich it takes 3-4 hours; the train leaves at 8:15.",
    "The customer's address has changed - see the attached letter.",
    "Join us on Friday, where we create value together.",
    "He said \"it's fine\", and then it wasn't.",
    "Größe: XL, Farbe: weiß, Menge: 12 Stück",
    "La façade est naïve, n'est-ce pas ?",
    "東京までの切符を二枚お願いします。",
    "Привет! Как дела?",
    "Thanks a lot 🎉🎉 see you at 10 am :-)",
    "Delete my account, please; I have moved to another city.",
    "Version 2.4.1 fixes the crash when the list is empty.",
    "Insert the card, wait for the green light, and press OK.",
    "50% of the users (n=1,204) answered 'yes' or 'maybe'.",
    "Call me at +44 20 7946 0958, or write to mary@example.com.",
    "See https://www.example.com/help?topic=billing#refunds for details.",
    "Table 3 shows that x > 5 and y < 7 in most cases.",
    "TODO: check the numbers, then send the report to Anne & Bob",
    "Order by phone or online; group discounts are possible.",
    "Der Bericht ist fertig, siehe Anhang (PDF, 2 MB).",
)
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "curl/8.11.0",
    "Go-http-client/2.0",
    "axios/1.7.7",
    "PostmanRuntime/7.42.0",
)
PLACES = (
    "orders",
    "users",
    "items",
    "invoices",
    "projects/alpha/tasks",
    "search",
    "files",
    "reports",
    "devices",
    "notes",
)
Request = tuple[str, str, dict[str, str], "bytes | None"]


class Honest:
    """Makes requests as clients of an API do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same requests each time

    def text(self, most: int = 6) -> str:
        return " ".join(self.random.choices(SENTENCES, k=self.random.randint(1, most)))

    def moment(self) -> str:
        moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
            seconds=self.random.randrange(31_000_000)
        )
        return moment.isoformat().replace("+00:00", self.random.choice(("Z", "+00:00", "+02:00")))

    def identifier(self) -> str:
        return self.random.choice(
            (
                str(self.random.randrange(1, 10**9)),
                str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            )
        )

    def address(self) -> str:
        who = self.random.choice(("mary", "j.smith", "ops+alerts", "o_brien"))
        return f"{who}{self.random.randrange(99)}@example.{self.random.choice(('com', 'org', 'co.uk'))}"

    def token(self) -> str:
        return (
            base64.urlsafe_b64encode(self.random.randbytes(self.random.randint(16, 90))).decode().rstrip("=")
        )

    def value(self, depth: int = 0) -> Any:
        makers: list[Callable[[], Any]] = [
            self.text, self.moment, self.identifier, self.address, self.token, lambda: self.random.choice(NAMES),
            lambda: self.random.randrange(-1000, 10**6), lambda: round(self.random.uniform(-1e3, 1e5), 2), lambda: self.random.random() < 0.5,
            lambda: None, lambda: f"https://www.example.com/{self.random.choice(PLACES)}/{self.identifier()}?ref=mail#top",
            lambda: f"+49 (0)30 {self.random.randrange(10**7)}", lambda: f"#{self.random.randrange(16**6):06x}",
        ]  # fmt: skip
        if depth < 3:
            makers += [
                lambda: [self.value(depth + 1) for _number in range(self.random.randrange(4))],
                lambda: {self.random.choice(("name", "note", "tags", "amount", "unitPrice", "created_at", "address", "items")): self.value(depth + 1)
                         for _number in range(self.random.randrange(5))},
            ]  # fmt: skip
        return self.random.choice(makers)()

    def query(self) -> str:
        pairs = {
            "page": str(self.random.randrange(1, 500)),
            "per_page": self.random.choice(("10", "50", "100")),
            "sort": self.random.choice(("-created_at", "name,asc", "price:desc")),
            "filter[status]": self.random.choice(("open", "in_progress", "done")),
            "since": self.moment(),
            "q": self.text(1),
            "email": self.address(),
            "fields": "id,name,owner.name",
            "cursor": self.token(),
            "ids": ",".join(self.identifier() for _number in range(3)),
        }
        chosen = self.random.sample(sorted(pairs), self.random.randrange(5))
        return urlencode(
            {name: pairs[name] for name in chosen}, quote_via=self.random.choice((quote, quote_plus))
        )

    def request(self) -> Request:
        path = f"/v1/{self.random.choice(PLACES)}"
        if self.random.random() < 0.6:
            path += f"/{self.identifier()}"
        headers = {
            "User-Agent": self.random.choice(AGENTS),
            "Accept": self.random.choice(("*/*", "application/json", "application/json, text/plain, */*")),
        }
        if self.random.random() < 0.5:
            headers["Authorization"] = f"Bearer {self.token()}.{self.token()}.{self.token()}"
        if self.random.random() < 0.3:
            headers["Cookie"] = f"session={self.token()}; theme=dark; lang=de-DE"
        if self.random.random() < 0.3:
            headers |= {
                "Origin": "https://console.example.com",
                "Referer": "https://console.example.com/orders?tab=open&page=2",
            }
        if self.random.random() < 0.3:
            headers["If-None-Match"] = f'W/"{self.token()}"'
        method = self.random.choice(("GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE"))
        if method in ("GET", "DELETE"):
            return method, f"{path}?{self.query()}".rstrip("?"), headers, None
        if self.random.random() < 0.2:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return (
                method,
                path,
                headers,
                urlencode(
                    {"name": self.random.choice(NAMES), "note": self.text(2), "email": self.address()}
                ).encode(),
            )
        headers["Content-Type"] = self.random.choice(("application/json", "application/json; charset=utf-8"))
        body = {"name": self.random.choice(NAMES), "data": self.value()}
        return method, path, headers, json.dumps(body, ensure_ascii=self.random.random() < 0.5).encode()


def test_honest_requests_are_not_taken_for_attacks(edge: Edge) -> None:
    honest, client = Honest(20261124), edge.client()
    refused: list[tuple[int, Request]] = []
    for number in range(REQUESTS):
        if number % 900 == 899:
            client.close()
        request = honest.request()
        method, path, headers, body = request
        client.request(method, path, body, headers)
        answer = client.getresponse()
        answer.read()
        if answer.status != 200:
            refused.append((answer.status, request))
    assert refused == []
