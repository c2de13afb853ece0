"""notify: an alert to a target, now; and a test message."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ethostat.errors import DeliveryFailed
from ethostat.monitor import Alert
from ethostat.notifying.notice import Notice
from ethostat.notifying.outbox import Retries
from ethostat.notifying.targets import Target, open_target

NOW = Retries(first=0.5, factor=2.0, longest=10.0, attempts=4)
"""Of a caller who waits: four attempts within about four seconds, beside what the target takes."""


def notify(
    alert: Alert | Mapping[str, Any],
    target: str | Target,
    *,
    stream: str = "",
    labels: Mapping[str, str] | None = None,
    allow: tuple[str, ...] = (),
    retries: Retries = NOW,
) -> None:
    """Deliver an alert and return when the target has it.

    Args:
        alert: an Alert, or its `to_dict`.
        target: a URL, as `open_target` reads it (`https://` is a webhook, signed where ETHOSTAT_WEBHOOK_SECRET is set),
            or a Target, such as `Command(("./roll-back.sh",))`.
        stream: the stream's name; the monitor's, where there is none.
        labels: what else is known about the stream.
        allow: addresses, networks and hosts that are not public and may be written to all the same.
        retries: how often and how soon again; seconds.

    Raises DeliveryFailed where the target did not take it, InvalidInput where the target or the alert is none. A caller
    that watches a stream may want to go on all the same; a service with an outbox retries for hours.
    """
    notice = Notice.of(alert, stream=stream, labels=labels, now=time.time())
    _finish(_insist(notice, _opened(target, allow), retries))


def send_test(target: str | Target, *, name: str = "this target", allow: tuple[str, ...] = ()) -> None:
    """Send a message that only asks whether it arrives, once. Raises DeliveryFailed where it does not."""
    _finish(_opened(target, allow).send(Notice.test(name, now=time.time())))


def _opened(target: str | Target, allow: tuple[str, ...]) -> Target:
    return open_target(target, allow=allow) if isinstance(target, str) else target


async def _insist(notice: Notice, target: Target, retries: Retries) -> None:
    rng = random.SystemRandom()
    for attempt in range(1, retries.attempts + 1):
        try:
            return await target.send(notice)
        except DeliveryFailed as error:
            if error.for_good or attempt == retries.attempts:
                raise
            await asyncio.sleep(max(retries.wait(attempt, rng), min(error.wait or 0.0, retries.longest)))
    return None


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own, since the caller's may run an event loop already (a notebook does)."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
