"""The bell that workers hear themselves: each ring reaches one of them, and none is rung twice for the same rows."""

from __future__ import annotations

import select

import pytest

from merchants import bell
from payments import inbox


def test_what_is_rung_twice_is_heard_once_and_what_is_rung_after_that_is_heard_again() -> None:
    line = bell.Line()
    ring()
    ring()
    line.wait()
    assert line.take() == inbox.DRAIN
    line.wait()
    assert not hears(line)
    ring()
    assert hears(line)
    assert line.take() == inbox.DRAIN
    line.close()


def test_one_of_two_workers_hears_a_ring_and_the_other_the_next() -> None:
    first, second = bell.Line(), bell.Line()
    first.wait()
    second.wait()
    ring()
    assert (hears(first), hears(second)) == (True, False)
    ring()
    assert (hears(first), hears(second)) == (True, True)
    assert (first.take(), second.take()) == (inbox.DRAIN, inbox.DRAIN)
    first.close()
    second.close()


def test_a_bell_that_workers_hear_sends_no_message_and_any_other_sends_one() -> None:
    ring()
    assert bell.store().keys("*") == [b"bells"]
    bell._ringer(0)._ring_now("payments.send_refunds")
    bell._ringer(0)._ring_now("payments.send_refunds")
    assert (bell.store().llen("errands"), bell.store().llen("celery")) == (1, 0)
    assert bell.store().exists("rung:payments.send_refunds")


def test_a_line_that_is_cut_says_so_as_connections_do() -> None:
    line = bell.Line()
    line.wait()
    database = bell.store().connection_pool.connection_kwargs["db"]
    (ours,) = (
        client["id"]
        for client in bell.store().client_list()
        if (client["cmd"], client["db"]) == ("bzpopmin", str(database))
    )
    bell.store().client_kill_filter(_id=ours)
    assert hears(line)
    with pytest.raises(ConnectionError):
        line.take()
    line.close()


def test_whoever_rings_does_not_wait_for_it() -> None:
    line = bell.Line()
    line.wait()
    bell.ring(inbox.DRAIN)
    assert hears(line, within_s=5)
    line.close()


def ring() -> None:
    """What the bell's own thread does, done when this returns."""
    bell._ringer(0)._ring_now(inbox.DRAIN)


def hears(line: bell.Line, within_s: float = 0.2) -> bool:
    return bool(select.select([line], [], [], within_s)[0])
