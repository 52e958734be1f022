"""What the walks share: the stack that they walk on, and ways to say what has to come."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

Kind = TypeVar("Kind")

# How long what follows from a ticket may take.
PATIENCE = 30.0


@dataclass
class Stack:
    """A local stack, as `muster dev --json` describes it."""

    url: str
    organization_id: str
    admin_key: str
    read_only_key: str
    user_ids: dict[str, str]

    @classmethod
    def of(cls, contract: str) -> Stack:
        """The stack that standard input describes, and its keys for a contract."""
        described = json.load(sys.stdin)
        keys = described["keys"][contract]
        user_ids = {user["name"]: user["id"] for user in described["users"]}
        return cls(described["url"], described["organization_id"], keys["admin"], keys["read_only"], user_ids)

    def send(self, kind: str, ticket: dict[str, str]) -> None:
        """Puts a snapshot of a ticket on the ticket queue, as an event of this type."""
        event = {
            "specversion": "1.0",
            "id": f"{kind} {ticket['updated_at']}",
            "source": "/desk",
            "type": kind,
            "data": {"organization_id": self.organization_id, "ticket": ticket},
        }
        subprocess.run(
            ["muster", "tickets", "send", "-", "--to", self.url],
            input=json.dumps(event),
            check=True,
            stdout=subprocess.DEVNULL,
            text=True,
        )


def equal(shown: object, expected: object) -> None:
    """Two values that have to be the same."""
    assert shown == expected, f"{shown}\nin place of {expected}"


class Answer(Protocol):
    """What the generated functions answer with, in either client."""

    @property
    def status_code(self) -> int: ...

    @property
    def parsed(self) -> object: ...


def expect(status: int, kind: type[Kind], answer: Answer) -> Kind:
    """The model that an answer was parsed into, which has to be of this kind."""
    assert answer.status_code == status, f"{answer.status_code} in place of {status}: {answer.parsed}"
    assert isinstance(answer.parsed, kind), f"{answer.parsed}\nin place of a {kind.__name__}"
    return answer.parsed


def expect_list(status: int, kind: type[Kind], answer: Answer) -> list[Kind]:
    """The models that an answer was parsed into, each of which has to be of this kind."""
    items = expect(status, list, answer)
    assert all(isinstance(item, kind) for item in items), f"{items}\nin place of a list of {kind.__name__}"
    return items


def expect_nothing(answer: Answer) -> None:
    """An answer without a body."""
    expect(204, type(None), answer)


class Refusal(Protocol):
    """The part of openapi-generator's `ApiException` that tells of the response."""

    @property
    def status(self) -> int | None: ...

    @property
    def data(self) -> object: ...


def expect_refusal(
    status: int, kind: type[Kind], raised: type[Exception], call: Callable[[], object]
) -> Kind:
    """The model of an error response, for which clients of openapi-generator raise an exception of type `raised`."""
    try:
        returned = call()
    except raised as refusal:
        return refused(status, kind, cast(Refusal, refusal))
    raise AssertionError(f"{returned}\nin place of {status}")


def refused(status: int, kind: type[Kind], refusal: Refusal) -> Kind:
    assert refusal.status == status, f"{refusal.status} in place of {status}: {refusal.data}"
    assert isinstance(refusal.data, kind), f"{refusal.data}\nin place of a {kind.__name__}"
    return refusal.data


def header(headers: Mapping[str, str] | None, name: str) -> str:
    """A header's value. Clients of openapi-generator keep names in the case in which they were sent."""
    [value] = [value for each, value in (headers or {}).items() if each.lower() == name]
    return value


def eventually(ask: Callable[[], Kind | None]) -> Kind:
    """What a question is answered with in the end: what comes of tickets comes a moment later."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, "what had to come of a ticket did not"
        time.sleep(0.05)
    return answer
