"""One subscription of Redis for all streams of a process: whoever listens for a shop is woken when it is announced.

What an announcement says is not believed, only that there is something to look for. Every confirmed subscription wakes
its listeners too, so whatever was announced while the connection was away is looked for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from merchants.journal import journal
from merchants.notify import channel

# A channel of our own: a subscription needs one before anybody listens.
_NOBODY = "notices:nobody"
_JOIN_LIMIT_S = 1.0
_AGAIN_S = 1.0
_READ_S = 5.0

_log = journal(__name__)


@dataclass(eq=False)
class Listener:
    """One stream: `wake` is set when it should look, `gone` when its client has left."""

    shop_id: UUID
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False


class Announcements:
    """Who listens for which shop, and for which of them Redis has confirmed that we hear."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._heard: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None

    async def hear(self) -> None:
        """Runs for as long as the process: subscribes, listens, and begins again when the connection breaks."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as failure:
                _log.warning("announcements_not_heard", failure=str(failure), listeners=len(self._listeners))
            finally:
                self._pubsub = None
                for heard in self._heard.values():
                    heard.clear()
                self._wake_all()
            await asyncio.sleep(_AGAIN_S)

    async def join(self, listener: Listener) -> None:
        """Begins to listen; returns when Redis has confirmed it, or after a second without that."""
        name = channel(listener.shop_id)
        self._listeners[name].add(listener)
        heard = self._heard.setdefault(name, asyncio.Event())
        if heard.is_set() or self._pubsub is None:
            return
        with suppress(RedisError, OSError, TimeoutError):
            await self._pubsub.subscribe(name)
            await asyncio.wait_for(heard.wait(), _JOIN_LIMIT_S)

    async def leave(self, listener: Listener) -> None:
        """Ends what `join` began."""
        name = channel(listener.shop_id)
        self._listeners[name].discard(listener)
        if self._listeners[name]:
            return
        del self._listeners[name]
        self._heard.pop(name, None)
        if self._pubsub is not None:
            with suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(name)
            # Somebody may have joined while we were leaving.
            if name in self._listeners and self._pubsub is not None:
                with suppress(RedisError, OSError):
                    await self._pubsub.subscribe(name)

    def hears(self, listener: Listener) -> bool:
        """Whether an announcement for this listener would arrive; when not, it must look by itself."""
        heard = self._heard.get(channel(listener.shop_id))
        return heard is not None and heard.is_set()

    async def _listen(self) -> None:
        redis = Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=settings.REDIS_TIMEOUT_S,
            socket_keepalive=True,
            health_check_interval=int(_READ_S),
            retry=Retry(NoBackoff(), 0),
        )
        async with redis, redis.pubsub() as pubsub:
            await pubsub.subscribe(_NOBODY)
            # From here on whoever joins subscribes by himself; those who joined before are subscribed now.
            self._pubsub = pubsub
            if self._listeners:
                await pubsub.subscribe(*self._listeners)
            while True:
                message = await pubsub.get_message(timeout=_READ_S)
                if message is None:
                    continue
                name = message["channel"].decode()
                if message["type"] == "subscribe" and name in self._heard:
                    self._heard[name].set()
                elif message["type"] == "unsubscribe" and name in self._heard:
                    self._heard[name].clear()
                for listener in self._listeners.get(name, ()):
                    listener.wake.set()

    def _wake_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake.set()
