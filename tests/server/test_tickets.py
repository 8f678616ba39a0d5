"""Tickets: signed, for one response, one role and one time, and no longer than the key that issued them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.server.keys import KeyRing, read_keys, write_keys
from realtime.server.revocation import Revocation
from realtime.server.scrubbing import scrub
from realtime.server.tickets import TICKET_PREFIX, Tickets
from realtime.service.principal import LOCAL, Grant, Principal
from realtime.wire.bodies import TICKET_SUBPROTOCOL, TicketRole
from realtime.wire.errors import ErrorCode, WireError
from tests.support.fuzz import examples
from tests.support.steps import make_keys

KEY, OTHER = bytes(32), bytes([1] * 32)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(tickets: Tickets, ticket: str) -> str:
    """What is said of a ticket that is no good."""
    with pytest.raises(WireError) as caught:
        tickets.read(ticket)
    assert caught.value.code is ErrorCode.INVALID_API_KEY
    return caught.value.message


def test_a_ticket_says_what_it_was_issued_for() -> None:
    tickets = Tickets([KEY], None, Clock())
    roles: tuple[TicketRole, ...] = ("viewer", "full")
    for role in roles:
        ticket, expires_at = tickets.issue(LOCAL, "resp_1", role, 60)
        assert expires_at == 1060
        assert tickets.read(ticket) == Principal("local", None, Grant("resp_1", role, 1060))


def test_a_ticket_ends_with_its_time() -> None:
    clock = Clock()
    tickets = Tickets([KEY], None, clock)
    ticket, _ = tickets.issue(LOCAL, "resp_1", "viewer", 60)
    clock.now = 1059.9
    tickets.read(ticket)
    clock.now = 1060.0
    late = refused(tickets, ticket)
    assert late == refused(tickets, "tk_nonsense"), "whatever is wrong, the words are the same"


def test_a_ticket_ends_with_the_key_that_issued_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = make_keys(path, "anna", "bob")
    ring = KeyRing(path)
    tickets = Tickets([KEY], ring, Clock())
    anna = ring.find(keys["anna"])
    assert anna is not None
    ticket, _ = tickets.issue(anna, "resp_1", "viewer", 60)
    assert tickets.read(ticket).issuer == anna
    assert ring.holds(tickets.read(ticket))
    write_keys(path, read_keys(path).remove("anna"))
    refused(tickets, ticket)
    again, _ = read_keys(path).add("anna")
    write_keys(path, again)
    refused(tickets, ticket)  # another key of the same name did not issue it
    assert not ring.holds(Principal(anna.tenant, anna.key_id, Grant("resp_1", "viewer", 2000)))


def test_servers_that_share_sealing_keys_take_each_others_tickets_and_others_do_not() -> None:
    ticket, _ = Tickets([KEY], None, Clock()).issue(LOCAL, "resp_1", "full", 60)
    Tickets([OTHER, KEY], None, Clock()).read(ticket)  # the keys are being replaced
    refused(Tickets([OTHER], None, Clock()), ticket)
    refused(Tickets([], None, Clock()), ticket)
    made, other = Tickets([], None, Clock()), Tickets([], None, Clock())
    refused(other, made.issue(LOCAL, "resp_1", "full", 60)[0])


def test_nothing_of_tenant_or_key_is_in_a_ticket(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing(path) if make_keys(path, "tenant-of-note") else None
    assert ring is not None
    (issuer,) = ring.principals()
    tickets = Tickets([KEY], ring, Clock())
    ticket, _ = tickets.issue(issuer, "resp_1", "viewer", 60)
    content = base64.urlsafe_b64decode(ticket[len(TICKET_PREFIX) :].partition(".")[0] + "==")
    assert b"resp_1" in content
    assert b"tenant-of-note" not in content
    assert issuer.key_id is not None
    assert issuer.key_id[:16].encode() not in content
    assert bytes.fromhex(issuer.key_id)[:8] not in content


@examples(60)
@given(st.data())
def test_a_ticket_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    tickets = Tickets([KEY], None, Clock())
    ticket, _ = tickets.issue(LOCAL, "resp_1", "viewer", 60)
    index = data.draw(st.integers(0, len(ticket) - 1))
    letters = "ABCXYZabcxyz0189_-.=~é "
    changed = data.draw(
        st.sampled_from([letter for letter in letters if letter != ticket[index]]).map(
            lambda letter: ticket[:index] + letter + ticket[index + 1 :]
        )
        | st.just(ticket[:index] + ticket[index + 1 :])
        | st.sampled_from(letters).map(lambda letter: ticket + letter)
    )
    refused(tickets, changed)


@pytest.mark.parametrize(
    "forged", ["", "tk_", "tk_.", "tk_AAAA.", "tk_AAAA.AAAA", "x" * 100_000, "tk_" + "A" * 2000, "tk_é.é"]
)
def test_what_is_no_ticket_is_refused(forged: str) -> None:
    refused(Tickets([KEY], None, Clock()), forged)


def test_a_signature_over_something_else_is_none() -> None:
    """The same key signs nothing that could be taken for a ticket's content."""
    tickets = Tickets([KEY], None, Clock())
    ticket, _ = tickets.issue(LOCAL, "resp_1", "viewer", 60)
    content, _, signature = ticket[len(TICKET_PREFIX) :].partition(".")
    refused(tickets, f"{TICKET_PREFIX}{signature}.{signature}")
    refused(tickets, f"{TICKET_PREFIX}{content}.{content}")


def test_no_log_has_a_ticket() -> None:
    ticket, _ = Tickets([KEY], None, Clock()).issue(LOCAL, "resp_1", "viewer", 60)
    for text in (
        ticket,
        f"Authorization: Bearer {ticket}",
        f"offers realtime.v1, {TICKET_SUBPROTOCOL}{ticket}",
        f"?x={ticket}",
    ):
        scrubbed = scrub(text)
        for part in ticket.removeprefix(TICKET_PREFIX).split("."):
            assert part not in scrubbed
            assert part[-12:] not in scrubbed


class Later:
    """Timers that a test lets ring."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, object]] = []

    def call_later(self, seconds: float, call: object) -> Later.Timer:
        timer = self.Timer(self, (seconds, call))
        self.waiting.append(timer.what)
        return timer

    class Timer:
        def __init__(self, later: Later, what: tuple[float, object]) -> None:
            self.later, self.what = later, what

        def cancel(self) -> None:
            if self.what in self.later.waiting:
                self.later.waiting.remove(self.what)


class Opened:
    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.num_revoked = 0

    def revoke(self) -> None:
        self.num_revoked += 1


@pytest.mark.parametrize("renewed", [False, True])
def test_what_is_open_ends_when_its_ticket_expires_unless_a_key_was_shown_since(renewed: bool) -> None:
    later = Later()
    opened = Opened(Principal("local", None, Grant("resp_1", "viewer", 1060)))
    with Revocation(None, later.call_later, Clock()).watching(opened):
        ((seconds, expire),) = later.waiting
        assert seconds == 60.0
        if renewed:
            opened.principal = LOCAL
        assert callable(expire)
        expire()
        assert opened.num_revoked == (0 if renewed else 1)
    with Revocation(None, later.call_later, Clock()).watching(opened):
        pass
    assert later.waiting == [], "what is closed has no timer"
