"""A primary killed under load: how long nothing is accepted until its replica serves, and that nothing is lost.

Two PostgreSQL servers of one version, the second a streaming replica for which every commit waits; web, two workers and
the beat know both by one address. Signed notifications come at a fixed rate, each sent again until it has its 2xx, and
a vendor reads her statement. Then all of the primary's processes are killed at once, the replica is promoted, and
everything must go on by itself. Whoever notices the death and promotes (Patroni, a person) takes time of its own, which
is not measured here.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bench import ground, rounds, standby
from bench.rounds import Arm, Figures, Goal
from config import embedded, product, running
from config.data_folder import DataFolder, claim
from config.embedded import Server
from config.processes import wait_until
from config.product import Program

PORT = int(os.environ.get("PORT", "8830"))
RATE, BEFORE_S, AFTER_S = rounds.size(300, 100), rounds.size(8, 3), rounds.size(12, 4)
CONNECTIONS = 32
TRY_AGAIN_S = 0.25  # Sooner than any provider does: what is measured is when we can be reached again.
READ_EVERY_S = 0.05
_WHAT = (
    "Signed notifications at a fixed rate to two web processes; two workers post; the primary is killed by SIGKILL and "
    "its synchronous replica promoted. Refused ones are sent again until they have their 2xx."
)
_PROVED = (
    "After each round it is proved that every payment that had its 2xx is in the promoted database and is posted once, "
    "that no two workers ever waited for each other, and that every law of the book holds; else there is no result."
)
_NOT_MEASURED = (
    "The promotion is asked for at once. Whoever has to notice the death first (Patroni: within its `ttl`, 30 s) takes "
    "that time besides."
)


@dataclass
class Word:
    """One notification: what came of every attempt to deliver it, and when it had its 2xx (perf_counter seconds)."""

    object_id: str
    request: bytes
    refused: list[str] = field(default_factory=list)
    answered_at: float = 0.0


def main() -> None:
    with _pair() as pair:
        from django.db import connection  # noqa: PLC0415  Django is set up only now.

        from bench import cast  # noqa: PLC0415

        codes = cast.shops(200)
        cast.account()
        for program in pair.programs:
            program.start()
        for program in pair.programs:
            if not wait_until(program.ready, limit_s=300):
                raise RuntimeError(f"{program.name} is not ready; see {program.log}")
        _warm(codes)
        rounds.compare(
            "failover",
            [Arm("Pushcart, its primary killed", "product", partial(_round, pair, codes), what=_WHAT)],
            title="A primary killed under load",
            unit="notifications",
            figure="no_2xx_ms",
            rounds=3,
            few="each is a failover with a load, a proof and a new replica of its own, and takes a minute",
            goals=[
                Goal("at most 5 s without a 2xx, from the kill of the primary on", figure="no_2xx_ms", at_most=5000),
                Goal("at most 60 s until all is posted", figure="all_posted_after_kill_ms", at_most=60_000),
            ],
            notes=[_PROVED, _NOT_MEASURED],
        )
        connection.close()


@dataclass
class _Pair:
    """The one that writes, the one that follows, and what runs on both. They change places in every round."""

    first: Server
    second: Server
    programs: list[Program]
    played: int = 0

    def begin(self) -> None:
        """Before a further round what was killed comes back as the replica, and commits wait for it."""
        if self.played:
            name = f"node_{self.played}"
            standby.rejoin(self.first, self.second, name=name)
            self.first, self.second = self.second, self.first
            standby.commits_wait_for(self.first, name)
        self.played += 1


@contextmanager
def _pair() -> Iterator[_Pair]:
    """The stores, a replica of the database for which commits wait, and the product's programs, not yet started."""
    with tempfile.TemporaryDirectory(prefix="pushcart-bench-") as place:
        Path(place).chmod(0o711)
        folder = claim(Path(place))
        stores = embedded.start(folder, environment={}, say=lambda _: None)
        first = stores.servers[-1]
        second: Server | None = None
        programs: list[Program] = []
        try:
            os.environ.update(DEBUG="0", LOG_LEVEL="WARNING", SMS_BACKEND="console", DEV_OUTBOX="0")
            os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = stores.database_url, stores.redis_url
            os.environ.update(product.variables(folder, PORT), DEBUG="1")
            subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True, cwd=running.BASE_DIR)
            second = standby.follow(first, name="node_b")
            standby.commits_wait_for(first, "node_b")
            both = standby.many_hosts(first, second)
            os.environ.update(DATABASE_URL=both, REPLICA_URL=f"{both}?target_session_attrs=standby")
            programs = _programs(folder)
            ground.set_up()
            yield _Pair(first, second, programs)
        finally:
            for program in programs:
                program.stop()
            for server in (second, *stores.servers):
                if server is not None:
                    server.stop()
            folder.release()


def _programs(folder: DataFolder) -> list[Program]:
    """Two processes of the web, two workers on one inbox, and the beat, as the product itself runs them."""
    known = {one.name: one for one in product.programs(folder, dict(os.environ), {**os.environ})}
    worker = known["worker"]
    other = [part.replace("worker@", "worker2@") for part in worker.command]
    second = replace(worker, name="worker2", command=other, log=worker.log.with_name("worker2.log"))
    return [known["web"], worker, second, known["beat"]]


def _round(pair: _Pair, codes: list[object]) -> Figures:
    from django.conf import settings  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    pair.begin()
    url = f"{settings.PUBLIC_URL}/webhooks/sandbox/bench"
    count = RATE * (BEFORE_S + AFTER_S)
    words = _words(url, codes, count)
    reader = _Reader(codes[0], pair.played)
    connection.close()  # Ours would die with the primary, too.
    killed: dict[str, float] = {}
    chaos = threading.Thread(target=_kill_and_promote, args=(pair.first, pair.second, killed))
    chaos.start()
    asyncio.run(_deliver_all(url, words))
    chaos.join()
    reader.stop()
    posted_at = _wait_for_the_book()
    _prove(words, pair)
    answered = sorted(word.answered_at for word in words)
    # An answer may come before whoever promoted has heard that it is done, so the gap is looked for, not computed.
    surely_back_at = min(at for at in answered if at > killed["at"] + killed["promoted"])
    around = [at for at in answered if killed["at"] - 1 <= at <= surely_back_at]
    gap, back_at = max((later - at, later) for at, later in pairwise(around))
    refusals = Counter(refusal for word in words for refusal in word.refused)
    print(f"    refused while nobody wrote: {dict(refusals)}; statements by status: {dict(reader.answers)}")
    return {
        "no_2xx_ms": gap * 1000,
        "promoted_ms": killed["promoted"] * 1000,
        "back_after_kill_ms": (back_at - killed["at"]) * 1000,
        "refused_attempts": sum(refusals.values()),
        "retried_notifications": sum(bool(word.refused) for word in words),
        "all_posted_after_kill_ms": (posted_at - killed["at"]) * 1000,
        "answered_reads": reader.answers[200],
        "refused_reads": sum(reader.answers.values()) - reader.answers[200],
    }


def _words(url: str, codes: list[object], count: int) -> list[Word]:
    from bench import cast  # noqa: PLC0415

    made = cast.intents(codes, count)  # type: ignore[arg-type]
    return [
        Word(f"wpy_{one.id.hex}", ground.signed_request(url, one.reference, f"wpy_{one.id.hex}", cast.AMOUNT))
        for one in made
    ]


def _warm(codes: list[object]) -> None:
    """The first requests load code and open sessions, which no failover should be blamed for."""
    from django.conf import settings  # noqa: PLC0415

    url = f"{settings.PUBLIC_URL}/webhooks/sandbox/bench"
    asyncio.run(_deliver_all(url, _words(url, codes, RATE)))
    _wait_for_the_book()


def _kill_and_promote(first: Server, second: Server, told: dict[str, float]) -> None:
    time.sleep(BEFORE_S)
    told["at"] = standby.kill(first)
    standby.promote(second)
    told["promoted"] = time.perf_counter() - told["at"]


async def _deliver_all(url: str, words: list[Word]) -> None:
    """Sends each at its time, and again until it is answered by a 2xx."""
    waiting, began = iter(enumerate(words)), time.perf_counter()

    async def sender() -> None:
        link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for place, word in waiting:
            await asyncio.sleep(max(began + place / RATE - time.perf_counter(), 0))
            while not word.answered_at:
                link, refusal = await _attempt(url, link, word.request)
                if refusal:
                    word.refused.append(refusal)
                    await asyncio.sleep(TRY_AGAIN_S)
                else:
                    word.answered_at = time.perf_counter()
        if link:
            link[1].close()

    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))


async def _attempt(
    url: str, link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, request: bytes
) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, str]:
    """One delivery; answers the connection for the next one, and why there was no 2xx."""
    parts = urlsplit(url)
    try:
        reader, writer = link or await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        await reader.readexactly(int(fields.get(b"content-length", b"0")))
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as failure:
        return None, type(failure).__name__
    status = head[9:12].decode()
    if fields.get(b"connection") == b"close":
        writer.close()
        return None, "" if status[0] == "2" else status
    return (reader, writer), "" if status[0] == "2" else status


class _Reader:
    """A vendor who looks at her statement all the time, in a thread: how she was answered."""

    def __init__(self, code: object, number: int) -> None:
        from django.conf import settings  # noqa: PLC0415

        from merchants.models import Staff, Token, User  # noqa: PLC0415

        user = User.objects.create_user(f"+86139001400{number:02d}")
        Staff.objects.create(user=user, shop=code.shop, role="owner")  # type: ignore[attr-defined]
        _, token = Token.objects.create(user, shop=code.shop)  # type: ignore[attr-defined]
        self._url = f"{settings.PUBLIC_URL}/api/v1/ledger/entries?limit=20"
        self._headers = {"Authorization": f"Bearer {token}"}
        self.answers: Counter[int] = Counter()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _read(self) -> None:
        with requests.Session() as session:
            while not self._stopped.wait(READ_EVERY_S):
                try:
                    self.answers[session.get(self._url, headers=self._headers, timeout=15).status_code] += 1
                except requests.RequestException:
                    self.answers[0] += 1


def _wait_for_the_book() -> float:
    """Until everything is applied: a batch that the dead primary had leased out is free again after its lease."""
    from django.db import connection  # noqa: PLC0415

    from payments.models import QueuedEvent  # noqa: PLC0415

    if not wait_until(lambda: not QueuedEvent.objects.exists(), limit_s=120):
        raise RuntimeError(f"{QueuedEvent.objects.count()} events are not applied")
    connection.close()
    return time.perf_counter()


def _prove(words: list[Word], pair: _Pair) -> None:
    """Everything that had its 2xx is there, each payment is posted once, and every law of the book holds."""
    from django.db import connection  # noqa: PLC0415

    from payments import books  # noqa: PLC0415
    from payments.models import LedgerEntry, Payment  # noqa: PLC0415

    assert str(connection.get_connection_params()["port"]).count(",") == 1
    connection.ensure_connection()
    assert connection.connection.info.port == urlsplit(pair.second.url).port, "the promoted one answers"
    wanted = {word.object_id for word in words}
    paid = dict(Payment.objects.filter(object_id__in=wanted).values_list("object_id", "id"))
    assert paid.keys() == wanted, f"{len(wanted - paid.keys())} acknowledged payments are not there"
    posted = Counter(
        LedgerEntry.objects.filter(kind="paid", payment_id__in=paid.values()).values_list("payment_id", flat=True)
    )
    assert posted == dict.fromkeys(paid.values(), 1), "each is posted once"
    assert Payment.objects.filter(object_id__in=wanted, match="exact").count() == len(wanted)
    broken = list(books.breaches())
    assert not broken, broken
    for server in (pair.first, pair.second):
        assert "deadlock detected" not in server.log.read_text(), server.log
    connection.close()


if __name__ == "__main__":
    main()
