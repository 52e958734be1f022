"""The stack and the assertions that the walks share."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

Kind = TypeVar("Kind")

# Seconds until the effects of a ticket must be visible.
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
        """Reads the stack's description from standard input, and selects its keys for a contract."""
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
    """Asserts that two values are equal."""
    assert shown == expected, f"{shown}\ninstead of {expected}"


class ParsedResponse(Protocol):
    """The response of a generated function, in either client."""

    @property
    def status_code(self) -> int: ...

    @property
    def parsed(self) -> object: ...


def expect(status: int, kind: type[Kind], response: ParsedResponse) -> Kind:
    """Returns the parsed model of a response, which must have this status and kind."""
    assert response.status_code == status, f"{response.status_code} instead of {status}: {response.parsed}"
    assert isinstance(response.parsed, kind), f"{response.parsed}\ninstead of a {kind.__name__}"
    return response.parsed


def expect_list(status: int, kind: type[Kind], response: ParsedResponse) -> list[Kind]:
    """Returns the parsed models of a response, each of which must be of this kind."""
    items = expect(status, list, response)
    assert all(isinstance(item, kind) for item in items), f"{items}\ninstead of a list of {kind.__name__}"
    return items


def expect_no_content(response: ParsedResponse) -> None:
    """Asserts that a response has no body."""
    expect(204, type(None), response)


class Refusal(Protocol):
    """The part of openapi-generator's `ApiException` that describes the response."""

    @property
    def status(self) -> int | None: ...

    @property
    def data(self) -> object: ...


def expect_refusal(
    status: int, kind: type[Kind], raised: type[Exception], call: Callable[[], object]
) -> Kind:
    """Returns the model of an error response, which clients of openapi-generator raise as an exception of type `raised`."""
    try:
        returned = call()
    except raised as refusal:
        return refused(status, kind, cast(Refusal, refusal))
    raise AssertionError(f"{returned}\ninstead of {status}")


def refused(status: int, kind: type[Kind], refusal: Refusal) -> Kind:
    assert refusal.status == status, f"{refusal.status} instead of {status}: {refusal.data}"
    assert isinstance(refusal.data, kind), f"{refusal.data}\ninstead of a {kind.__name__}"
    return refusal.data


def header(headers: Mapping[str, str] | None, name: str) -> str:
    """Returns a header's value. Clients of openapi-generator do not change the case of header names."""
    [value] = [value for each, value in (headers or {}).items() if each.lower() == name]
    return value


def eventually(ask: Callable[[], Kind | None]) -> Kind:
    """Repeats a query until it has a result, because the effects of a ticket are asynchronous."""
    deadline = time.monotonic() + PATIENCE
    while (result := ask()) is None:
        assert time.monotonic() < deadline, "the ticket had no effect in time"
        time.sleep(0.05)
    return result
