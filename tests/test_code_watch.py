"""Alarms about codes: raised once, told, ended by themselves or by the vendor, and by nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from merchants import ids, items
from merchants.models import Code, CodeAlarm, CodeRhythm, Item, Notice, ScanCount, Shop
from merchants.shapes import NoticeShape
from payments import code_rhythms, code_watch
from tests.cast import Person, open_shop, problem
from tests.market import day_of, scanned, sold
from tests.operators import quick_passwords, signed_in  # noqa: F401

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
FIRST = datetime(2026, 9, 1, 1, tzinfo=UTC)  # Nine in the morning in Guangzhou.
SWAPPED = FIRST + 28 * DAY
SALES = 18  # A day, one every twenty-four minutes.
EVENING = timedelta(minutes=24 * (SALES - 1) + 4)


@pytest.fixture
def stall(mei: Person) -> list[Code]:
    """Three codes, by each of which every third customer has paid for four weeks."""
    return open_stall(mei)


def open_stall(person: Person) -> list[Code]:
    pears = items.create(shop=person.shop, name="Pears", amount=300, unit="", photo=None, now=FIRST)
    plums = items.create(shop=person.shop, name="Plums", amount=300, unit="", photo=None, now=FIRST)
    found = [person.shop.codes.get(kind="shop"), pears.codes.get(), plums.codes.get()]
    sold(sale for day in range(28) for sale in day_of(found, FIRST + day * DAY, SALES))
    return found


def day_without(stall: list[Code], day: int) -> int:
    """A day on which the last code is swapped, looked at in its evening; answers how many alarms were raised."""
    sold(day_of(stall[:2], SWAPPED + day * DAY, SALES))
    return look(SWAPPED + day * DAY + EVENING)


def days_without(stall: list[Code], count: int) -> int:
    """So many of them."""
    return sum(day_without(stall, day) for day in range(count))


def look(now: datetime) -> int:
    code_rhythms.learn_due(now=now, limit=10)
    return code_watch.look(now=now)


def test_a_code_that_falls_silent_while_the_shop_sells_raises_one_alarm_and_the_shop_is_told(
    mei: Person, stall: list[Code]
) -> None:
    assert [day_without(stall, day) for day in range(3)] == [0, 1, 0]
    alarm = CodeAlarm.objects.get()
    assert (alarm.code, alarm.kind, alarm.ended_at) == (stall[2], "silent", None)
    assert alarm.evidence["usual_percent"] == 33
    assert alarm.evidence["surprise"] >= alarm.evidence["bar"]
    assert alarm.evidence["by_days"] >= alarm.evidence["bar_by_days"]
    notice = Notice.objects.get()
    assert (notice.shop_id, notice.kind) == (mei.shop.id, "code_alarm")
    assert notice.data == {
        "alarm": ids.public("alm", alarm.id),
        "code": ids.public("cod", stall[2].id),
        "label": "Plums",
        "kind": "silent",
        "count": alarm.evidence["count"],
    }
    # It is worded when it is read, in the language of its reader.
    sentence = (
        f"Nobody has paid by “Plums” while {alarm.evidence['count']} others paid you. Is another sticker over it?"
    )
    said = {name: value for name, value in notice.data.items() if name != "count"}
    assert NoticeShape().to_representation(notice)["data"] == {**said, "sentence": sentence}
    assert look(SWAPPED + 3 * DAY) == 0


def test_it_ends_by_itself_when_the_code_is_paid_again(stall: list[Code]) -> None:
    days_without(stall, 3)
    again = SWAPPED + 3 * DAY
    sold([(stall[2], again)])
    assert look(again + timedelta(minutes=1)) == 0
    alarm = CodeAlarm.objects.get()
    assert (alarm.ending, alarm.ended_at, alarm.ended_by) == ("resumed", again + timedelta(minutes=1), None)


def test_what_was_paid_while_nobody_looked_is_found_before_an_alarm_is_raised(stall: list[Code]) -> None:
    look(SWAPPED - DAY + EVENING)
    sold(sale for day in range(3) for sale in day_of(stall[:2], SWAPPED + day * DAY, SALES))
    sold([(stall[2], SWAPPED + 2 * DAY + EVENING - timedelta(hours=1))])
    assert code_watch.look(now=SWAPPED + 2 * DAY + EVENING) == 0
    rhythm = CodeRhythm.objects.get(code=stall[2], kind="silent")
    assert rhythm.quiet_since == SWAPPED + 2 * DAY + EVENING - timedelta(hours=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda code: Code.objects.filter(id=code.id).update(state="suspended"),
        lambda code: Code.objects.filter(id=code.id).update(state="retired", retired_at=FIRST),
        lambda code: Code.objects.filter(id=code.id).update(expires_at=FIRST),
        lambda code: Item.objects.filter(id=code.item_id).update(active=False),
        lambda code: Shop.objects.filter(id=code.shop_id).update(state="frozen"),
    ],
    ids=["suspended", "retired", "expired", "item not sold", "frozen"],
)
def test_where_nothing_can_be_paid_silence_is_no_alarm(stall: list[Code], change: Any) -> None:
    change(stall[2])
    assert days_without(stall, 4) == 0


def test_the_only_code_of_a_shop_is_never_silent_while_the_shop_sells(mei: Person) -> None:
    only = mei.shop.codes.get()
    sold(sale for day in range(28) for sale in day_of([only], FIRST + day * DAY, SALES))
    assert look(SWAPPED - DAY + EVENING) == 0
    assert look(SWAPPED + 30 * DAY) == 0


def test_a_shop_that_rests_raises_no_alarm(stall: list[Code]) -> None:
    look(SWAPPED - DAY + EVENING)
    assert [look(SWAPPED + day * DAY) for day in range(0, 30, 5)] == [0] * 6


class TestScans:
    def scans(self, stall: list[Code], *, now: int) -> int:
        """Twelve scans an hour for its six sales a day; then for three days `now` of them, and no payment."""
        for day in range(28):
            scanned(stall[2], FIRST + day * DAY, [12] * 8)
        assert look(SWAPPED - DAY + EVENING) == 0
        for day in range(3):
            scanned(stall[2], SWAPPED + day * DAY, [now] * 8)
        return look(SWAPPED + 2 * DAY + timedelta(hours=8))

    def other_shop(self, *, paid: bool) -> None:
        (other,) = open_shop("+8613700137001", "Lan's tea").shop.codes.all()
        for day in range(31):
            scanned(other, FIRST + day * DAY, [30] * 8)
        sold(sale for day in range(31 if paid else 28) for sale in day_of([other], FIRST + day * DAY, SALES))
        code_rhythms.learn(shop=other.shop, now=SWAPPED)

    def test_many_scans_without_a_payment_raise_an_alarm_where_others_are_paid(self, stall: list[Code]) -> None:
        self.other_shop(paid=True)
        assert self.scans(stall, now=12) == 1
        alarm = CodeAlarm.objects.get()
        assert (alarm.code, alarm.kind, alarm.evidence["count"]) == (stall[2], "unpaid_scans", 300)
        assert code_watch.sentence(alarm).startswith("“Plums” was opened 300 times, and nobody paid.")

    def test_a_wallet_that_is_out_for_everybody_raises_none(self, stall: list[Code]) -> None:
        self.other_shop(paid=False)
        assert self.scans(stall, now=12) == 0

    def test_without_anybody_to_compare_with_nothing_is_proved(self, stall: list[Code]) -> None:
        assert self.scans(stall, now=12) == 0

    def test_a_few_people_who_only_look_raise_none(self, stall: list[Code]) -> None:
        self.other_shop(paid=True)
        assert self.scans(stall, now=0) == 0
        assert ScanCount.objects.filter(code=stall[2], scans=0).count() == 24


class TestTheAnswer:
    @pytest.fixture
    def alarm(self, stall: list[Code]) -> CodeAlarm:
        assert days_without(stall, 3) == 1
        return CodeAlarm.objects.get()

    def post(self, person: Person, alarm: CodeAlarm, ending: str) -> Any:
        address = f"/api/v1/code-alarms/{ids.public('alm', alarm.id)}/answer"
        return person.api().post(address, {"ending": ending})

    def test_it_stands_in_the_list_until_it_ends(self, mei: Person, arjun: Person, alarm: CodeAlarm) -> None:
        shown = mei.api().get("/api/v1/code-alarms?state=open").json()["results"]
        assert [(one["id"], one["label"], one["kind"], one["state"], one["ending"]) for one in shown] == [
            (ids.public("alm", alarm.id), "Plums", "silent", "open", "")
        ]
        assert shown[0]["sentence"] == code_watch.sentence(alarm)
        assert mei.api().get("/api/v1/code-alarms?state=ended").json()["results"] == []
        assert arjun.api().get("/api/v1/code-alarms").json()["results"] == []

    def test_swapped_pauses_the_code_at_once_and_says_what_to_do(self, mei: Person, alarm: CodeAlarm) -> None:
        answer = self.post(mei, alarm, "swapped")
        assert (answer.status_code, answer.json()["state"], answer.json()["ending"]) == (200, "ended", "swapped")
        assert answer.json()["advice"].startswith("Your code is paused. Take the strange sticker off")
        assert Code.objects.get(id=alarm.code_id).state == "suspended"
        assert self.post(mei, alarm, "swapped").json() == answer.json()
        assert problem(self.post(mei, alarm, "fine")) == (409, "alarm_ended")
        alarm.refresh_from_db()
        assert (alarm.ending, alarm.ended_by) == ("swapped", mei.staff)

    def test_fine_leaves_the_code_and_a_silence_like_it_is_no_alarm_again(
        self, mei: Person, stall: list[Code], alarm: CodeAlarm
    ) -> None:
        assert self.post(mei, alarm, "fine").json()["ending"] == "fine"
        assert Code.objects.get(id=alarm.code_id).state == "active"
        assert look(SWAPPED + 3 * DAY) == 0
        sold(sale for day in range(3, 20) for sale in day_of(stall, SWAPPED + day * DAY, SALES))
        evening = SWAPPED + 19 * DAY + EVENING
        look(evening)
        kept = CodeRhythm.objects.get(code=stall[2], kind="silent").rhythm
        assert kept is not None
        assert kept["longest"] >= alarm.evidence["by_days"]

    def test_an_assistant_a_stranger_and_another_word_are_refused(
        self, mei: Person, lan: Person, arjun: Person, alarm: CodeAlarm
    ) -> None:
        assert problem(self.post(lan, alarm, "swapped")) == (403, "role_too_low")
        assert problem(self.post(arjun, alarm, "swapped")) == (404, "not_found")
        assert self.post(mei, alarm, "resumed").status_code == 400
        assert problem(mei.api().post("/api/v1/code-alarms/alm_1/answer", {"ending": "fine"})) == (404, "not_found")
        assert CodeAlarm.objects.get().ended_at is None
        assert Code.objects.get(id=alarm.code_id).state == "active"

    def test_operators_read_it(self, alarm: CodeAlarm) -> None:
        operator = signed_in()
        listed = operator.client.get("/admin/merchants/codealarm/", {"q": alarm.code.slug})
        assert ids.public("alm", alarm.id) in listed.content.decode()
        page = operator.client.get(f"/admin/merchants/codealarm/{alarm.pk}/change/").content.decode()
        assert "Nobody has paid by “Plums”" in page


def test_a_shop_is_learnt_once_a_day_and_only_when_it_sells(stall: list[Code]) -> None:
    evening = SWAPPED - DAY + EVENING
    assert code_rhythms.learn_due(now=evening, limit=10, in_time=lambda: False) == 0
    assert code_rhythms.learn_due(now=evening, limit=10) == 1
    assert code_rhythms.learn_due(now=evening + timedelta(minutes=5), limit=10) == 0
    assert code_rhythms.learn_due(now=evening + 2 * DAY, limit=10) == 0
    assert CodeRhythm.objects.count() == 6
    silent = CodeRhythm.objects.get(code=stall[2], kind="silent")
    rhythm = code_rhythms.loaded(silent.rhythm or {})
    assert code_rhythms.stored(rhythm) == silent.rhythm
    assert silent.least == rhythm.least
    assert sum(share[0] for share in rhythm.shares.values()) == 28 * SALES / 3


def test_of_a_new_shop_nothing_is_known(mei: Person) -> None:
    only = mei.shop.codes.get()
    sold(day_of([only], FIRST, SALES))
    assert look(FIRST + EVENING) == 0
    assert set(CodeRhythm.objects.values_list("code", "rhythm", "least")) == {(only.id, None, None)}
