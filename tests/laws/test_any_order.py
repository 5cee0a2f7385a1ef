"""Law 2: for any interleaving of what a provider does and says, our book ends equal to the provider's own.

A little provider is simulated: it takes payments, refunds them (asked by us or at its own desk; told one by one, or
only as a growing total), has them contested by their payers, and tells of it in messages. Hypothesis shuffles, repeats,
loses and delays the messages, mixes in answers to queries, crashes that undo a decision before it is written, and
retries; at the end everything lost is answered by a query, as the schedule does. The laws are checked on the pure
decision by the ten thousand, on a book kept in plain dictionaries.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merchants import ids
from payments import chart, meaning
from payments.chart import Movement, Place, Subject
from payments.known import AccountFacts, IntentFacts, Known, RefundFacts, contested, pending_left, refunded
from payments.models import PaymentIntent, Refund
from payments.providers.base import Event

RefundKind = Literal["refund.pending", "refund.failed", "refund.succeeded"]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = uuid4()
EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "2000"))


@dataclass
class World:
    """The provider's truth, the messages it would send, and our side: facts and a book."""

    account: AccountFacts
    known: Known
    intents: list[IntentFacts]
    said: list[Event] = field(default_factory=list)
    totals: bool = False  # It tells what was refunded in all, and not each refund.
    received: dict[str, tuple[int, str]] = field(default_factory=dict)
    contested: dict[str, tuple[str, int]] = field(default_factory=dict)
    returned: dict[str, tuple[str, int]] = field(default_factory=dict)
    book: dict[str, Movement] = field(default_factory=dict)
    told: list[UUID] = field(default_factory=list)
    parked: list[Event] = field(default_factory=list)
    questions: set[str] = field(default_factory=set)
    ticks: itertools.count[int] = field(default_factory=itertools.count)

    def tick(self) -> datetime:
        return NOON + timedelta(seconds=next(self.ticks))

    # --- What the provider does ---

    def take(self, intent: IntentFacts | None, amount: int, currency: str) -> None:
        object_id = f"wpy_{len(self.received)}"
        self.received[object_id] = (amount, currency)
        reference = ids.public(PaymentIntent.prefix, intent.id) if intent else "somebody else's"
        self.said.append(Event("payment.succeeded", object_id, amount, currency, self.tick(), reference))

    def close(self, intent: IntentFacts, kind: Literal["payment.failed", "payment.closed"]) -> None:
        reference = ids.public(PaymentIntent.prefix, intent.id)
        self.said.append(Event(kind, "wor", intent.amount, intent.currency, self.tick(), reference))

    def give_back(self, object_id: str, amount: int, refund: RefundFacts | None, end: str) -> None:
        """The provider refunds: asked by us, or at its own desk (which it never does beyond what it received).

        It succeeds, it fails, or it succeeds and comes back later (a closed account at the payer's bank), perhaps so
        soon that the provider's clock tells both words of one moment.
        """
        back = sum(part for parent, part in self.returned.values() if parent == object_id)
        if refund is None and (end == "fails" or back + amount > self.received[object_id][0]):
            return
        if end == "is refused" and refund is not None:  # It was asked twice, and only the second asking was refused.
            self.refuse(object_id, refund)
            end = "succeeds"
        name = f"wrf_{len(self.said)}"
        reference = ids.public(Refund.prefix, refund.id) if refund else ""
        currency = self.received[object_id][1]
        if end == "is refused" or (self.totals and end.startswith("bounces")):
            end = "succeeds"
        if end == "succeeds":
            self.returned[name] = (object_id, amount)
        if self.totals and end == "succeeds":
            total = sum(part for parent, part in self.returned.values() if parent == object_id)
            told = Event("refund.total", object_id, total, currency, self.tick(), reference, object_id)
            self.said.append(replace(told, refunded_total=total))
            if refund is None and amount % 3:  # What its own desk refunds it only sometimes tells of one by one, too.
                return
        kinds: dict[str, list[RefundKind]] = {
            "succeeds": ["refund.pending", "refund.succeeded"],
            "fails": ["refund.pending", "refund.failed"],
            "bounces": ["refund.pending", "refund.succeeded", "refund.failed"],
            "bounces at once": ["refund.pending", "refund.succeeded", "refund.failed"],
        }
        at = self.tick()
        if refund is not None and end == "succeeds" and amount % 2:  # First it does not say that it was we who asked.
            first = at + timedelta(seconds=3 if amount == 199 else 0)  # Its clocks do not always agree.
            self.said.append(Event("refund.succeeded", name, amount, currency, first, "", object_id))
        for kind in kinds[end]:
            final = kind != "refund.pending"
            self.said.append(Event(kind, name, amount, currency, at, reference, object_id, final=final))
            at = at if end == "bounces at once" else self.tick()

    def refuse(self, object_id: str, refund: RefundFacts) -> None:
        """Its word on an asking, which names no refund; at a time of our own clock, which is ahead or behind."""
        at = NOON + timedelta(seconds=-600 if refund.amount % 2 else 600)
        reference, currency = ids.public(Refund.prefix, refund.id), self.received[object_id][1]
        self.said.append(Event("refund.failed", "", refund.amount, currency, at, reference, object_id))

    def contest(self, object_id: str, amount: int, words: tuple[tuple[str, int], ...]) -> None:
        """A payer contests it; each word is (kind, by how much its amount differs), and the last one is what counts.

        What is larger by 150 is told in the same moment as the word before it.
        """
        name, currency, at = f"wdp_{len(self.said)}", self.received[object_id][1], self.tick()
        for kind, off in words:
            told, at = max(amount + off, 1), at if off == 150 else self.tick()
            self.said.append(Event(f"dispute.{kind}", name, told, currency, at, "", object_id))  # type: ignore[arg-type]
        self.contested[name] = (object_id, told if words[-1][0] == "lost" else 0)

    # --- What we do ---

    def ask_refund(self, object_id: str, amount: int) -> RefundFacts | None:
        """What `refunds.request` does, under the payment's lock."""
        payment = self.known.payments.get((self.account.id, object_id))
        if payment is None or not payment.placed:
            return None
        earlier = self.known.refunds_of(payment.id)
        if amount > payment.amount - refunded(earlier) - contested(self.known.disputes_of(payment.id)):
            return None
        pending = amount <= pending_left(payment, self.known)
        refund = RefundFacts(
            uuid4(), payment.id, "", amount, Refund.State.REQUESTED, amount if pending else 0, "shop", None
        )
        self.known.refunds[refund.id] = refund
        subject = Subject(payment.source, payment.currency, payment.id, refund.id)
        self.post([chart.refund_asked(subject, amount, self.tick(), pending=pending)])
        return refund

    def hear(self, event: Event, *, crash: bool = False) -> None:
        """One message is applied; a crash loses the decision before anything of it is written."""
        facts = copy.deepcopy(self.known) if crash else self.known
        decision = meaning.decide(event, self.account, facts, event_id=None, now=self.tick())
        if crash:
            return
        self.known.absorb(decision)
        self.post(decision.movements)
        self.told += [telling.about for telling in decision.tellings if telling.about and "payment_" in telling.kind]
        self.questions |= {question.key for question in decision.questions}
        if decision.outcome == "parked":
            self.parked.append(event)

    def post(self, movements: tuple[Movement, ...] | list[Movement]) -> None:
        for movement in movements:
            assert movement.amount > 0
            assert movement.debit != movement.credit
            self.book.setdefault(movement.key, movement)

    # --- What must be true at the end ---

    def balance(self, place: Place, currency: str) -> int:
        credits_ = sum(m.amount for m in self.book.values() if m.credit == place and m.currency == currency)
        debits = sum(m.amount for m in self.book.values() if m.debit == place and m.currency == currency)
        return credits_ - debits


def new_world(funds: str) -> World:
    account = AccountFacts(uuid4(), funds, SHOP if funds == "direct" else None, "CNY" if funds == "direct" else "")
    intents = [
        IntentFacts(uuid4(), SHOP, account.id, amount, "CNY", "open", "", "Apples", 1, "r") for amount in (200, 350, 1)
    ]
    known = Known(settle_after=timedelta(days=1), new_id=uuid4, intents={intent.id: intent for intent in intents})
    return World(account, known, intents)


amounts = st.sampled_from([1, 50, 199, 200, 201, 350, 1000])
offs = st.sampled_from([0, 0, 0, -1, 1, 150])
currencies = st.sampled_from(["CNY"] * 5 + ["USD"])
ends = st.sampled_from(["succeeds", "succeeds", "fails", "is refused", "bounces", "bounces at once"])
disputes: list[tuple[tuple[str, int], ...]] = [
    (("opened", 0),),
    (("opened", 0), ("won", 0)),
    (("opened", 0), ("opened", 20), ("lost", 20)),
    (("opened", 0), ("closed", 0)),
    (("opened", 0), ("lost", 0)),
    (("opened", 0), ("lost", -49)),
    (("opened", 0), ("lost", 30)),
    (("opened", 0), ("won", 0), ("lost", 0)),
    (("opened", 0), ("lost", -1), ("won", 0)),
    (("lost", 0),),
    (("opened", 0), ("opened", 20), ("opened", 0)),
    (("won", 0), ("lost", 0), ("won", 0)),
    (("lost", 0), ("won", 0), ("lost", 30)),
    (("lost", 0), ("lost", -49)),
    (("opened", 0), ("opened", 150)),
    (("lost", 0), ("lost", 150)),
]
acts = st.one_of(
    st.tuples(st.just("pay"), st.integers(0, 3), offs, currencies),
    st.tuples(st.just("close"), st.integers(0, 2), st.sampled_from(["payment.failed", "payment.closed"])),
    st.tuples(st.just("hear"), st.integers(0, 50), st.booleans(), st.integers(1, 3)),
    st.tuples(st.just("contest"), st.integers(0, 5), amounts, st.sampled_from(disputes)),
    st.tuples(st.just("refund"), st.integers(0, 5), amounts, ends, st.booleans()),
)


def play(world: World, moves: list[tuple[object, ...]]) -> None:
    for move in moves:
        match move:
            case ("pay", int(which), int(off), str(currency)):
                intent = world.intents[which] if which < 3 else None
                world.take(intent, max((intent.amount if intent else 77) + off, 1), currency)
            case ("close", int(which), ("payment.failed" | "payment.closed") as kind):
                world.close(world.intents[which], kind)
            case ("hear", int(which), bool(crash), int(times)) if world.said:
                for _ in range(times):
                    world.hear(world.said[which % len(world.said)], crash=crash)
            case ("contest", int(which), int(amount), tuple(words)) if world.received:
                world.contest(f"wpy_{which % len(world.received)}", amount, words)
            case ("refund", int(which), int(amount), str(end), bool(ours)) if world.received:
                object_id = f"wpy_{which % len(world.received)}"
                refund = world.ask_refund(object_id, amount) if ours else None
                if refund or not ours:
                    world.give_back(object_id, amount, refund, end)


def finish(world: World, order: list[int]) -> None:
    """Everything is delivered or answered in the end, in some order; what was parked is tried again."""
    missing = list(world.said)
    for place in order:
        if missing:
            world.hear(missing.pop(place % len(missing)))
    for event in missing:
        world.hear(event)
    for _ in range(len(world.said) + 1):
        parked, world.parked = world.parked, []
        for event in parked:
            world.hear(event)
    assert world.parked == []


def assert_equal_books(world: World) -> None:
    source = chart.Source(world.account.id, world.account.funds, world.account.shop_id or None, placed=True)
    for currency in ("CNY", "USD"):
        came = sum(amount for amount, code in world.received.values() if code == currency)
        went = sum(part for parent, part in world.returned.values() if world.received[parent][1] == currency)
        lost = sum(part for parent, part in world.contested.values() if world.received[parent][1] == currency)
        outside = [place for movement in world.book.values() for place in (movement.debit, movement.credit)]
        theirs = {p for p in outside if p.kind in ("provider_receivable", "settled_direct")} | {source.outside}
        assert -sum(world.balance(place, currency) for place in theirs) == came - went - lost
        everything = set(outside)
        assert sum(world.balance(place, currency) for place in everything) == 0
    posted: defaultdict[UUID | None, int] = defaultdict(int)
    for movement in world.book.values():
        if movement.kind == "paid":
            posted[movement.payment_id] += 1
    assert set(posted.values()) <= {1}
    assert len(posted) == len(world.received)
    assert len(world.told) == len(set(world.told))
    in_flight = {p for m in world.book.values() for p in (m.debit, m.credit) if p.kind == "refunds_in_flight"}
    assert all(world.balance(place, "CNY") == 0 for place in in_flight)
    held = {p for m in world.book.values() for p in (m.debit, m.credit) if p.kind == "disputes_held"}
    still_open = [d for d in world.known.disputes.values() if d.state == "open"]
    assert sum(world.balance(p, c) for p in held for c in ("CNY", "USD")) == sum(d.amount for d in still_open)
    for payment in world.known.payments.values():
        asked = [r for r in world.known.refunds_of(payment.id) if r.origin == "shop"]
        if all(r.origin == "shop" for r in world.known.refunds_of(payment.id)):
            assert refunded(asked) <= payment.amount
        if payment.match != "exact":
            assert any(payment.id.hex in key for key in world.questions)
    pending = sum(pending_left(p, world.known) for p in world.known.payments.values())
    assert world.balance(Place("shop_pending", "held", SHOP), "CNY") == pending


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    funds=st.sampled_from(["held", "direct"]),
    totals=st.booleans(),
    moves=st.lists(acts, max_size=25),
    order=st.lists(st.integers(0, 60), max_size=40),
)
def test_whatever_the_order_our_book_ends_equal_to_the_providers(
    funds: str, totals: bool, moves: list[tuple[object, ...]], order: list[int]
) -> None:
    world = new_world(funds)
    world.totals = totals
    play(world, moves)
    finish(world, order)
    assert_equal_books(world)


@settings(max_examples=EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves=st.lists(acts, max_size=20), order=st.lists(st.integers(0, 60), max_size=30))
def test_hearing_everything_once_more_changes_nothing(moves: list[tuple[object, ...]], order: list[int]) -> None:
    world = new_world("held")
    play(world, moves)
    finish(world, order)
    book, facts = dict(world.book), copy.deepcopy(world.known)
    told = list(world.told)
    for event in world.said:
        world.hear(event)
    assert (world.book, world.told) == (book, told)
    assert (world.known.intents, world.known.payments) == (facts.intents, facts.payments)
    assert world.known.disputes == facts.disputes
    assert {r.id: r.state for r in world.known.refunds.values()} == {r.id: r.state for r in facts.refunds.values()}
