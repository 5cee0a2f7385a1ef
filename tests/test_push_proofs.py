"""What a service worker may say is what we signed for that purpose, and for nothing else."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from merchants import push_proofs
from merchants.push_proofs import Heard, Wrong

HEARD = Heard(uuid4(), uuid4(), 7)


def test_each_proof_says_what_was_signed() -> None:
    assert push_proofs.read_heard(push_proofs.of_heard(HEARD)) == HEARD
    phone = uuid4()
    assert push_proofs.read_renewal(push_proofs.of_renewal(phone)) == phone


def test_one_is_not_the_other_and_a_changed_one_is_none() -> None:
    heard, renewal = push_proofs.of_heard(HEARD), push_proofs.of_renewal(uuid4())
    for wrong in (renewal, heard[:-1], heard + "x", "", "é"):
        with pytest.raises(Wrong):
            push_proofs.read_heard(wrong)
    with pytest.raises(Wrong):
        push_proofs.read_renewal(heard)


def test_what_was_heard_is_no_news_after_two_hours() -> None:
    proof = push_proofs.of_heard(HEARD)
    with time_machine.travel(timezone.now() + timedelta(hours=2, seconds=2)), pytest.raises(Wrong):
        push_proofs.read_heard(proof)
