"""The courier: at least once, in spite of receivers, processes and databases that fail."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import suppress

from alerts import changed
from receivers import ALLOW, receiver

from ethostat.errors import StoreError
from ethostat.notifying import DEAD, QUEUED, SENT, Command, Courier, Delivered, MemoryOutbox, Retries, open_target

ALERT = changed().to_dict()
RETRIES = Retries(first=10, factor=2, longest=40, attempts=3, jitter=0)


class Clock:
    """Time that passes when the test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def _courier(outbox, clock, **targets):
    opened = {name: open_target(url, allow=ALLOW) if isinstance(url, str) else url for name, url in targets.items()}
    return Courier(
        outbox,
        opened,
        RETRIES,
        random.Random(1),  # noqa: S311 - jitter, not secrets
        clock,
        lambda one: f"https://ethostat.example/alerts/{one.delivery.alert}",
    )


def test_each_target_gets_each_alert_once_and_one_that_fails_gets_it_later():
    """One receiver takes it at the first attempt, the other at the third, 10 and 20 seconds later."""
    clock, outbox = Clock(), MemoryOutbox()
    outbox.add(ALERT, ["good", "bad"], stream="prod")
    with receiver() as good, receiver(lambda n: (500 if n < 2 else 200, {}, b"")) as bad:
        courier = _courier(outbox, clock, good=good.url, bad=bad.url)
        rounds = []
        for wait in (0, 9.9, 0.2, 19.9, 0.2, 1000):
            clock.now += wait
            rounds.append(asyncio.run(courier.deliver_due()))

    assert rounds == [Delivered(1, 1), Delivered(), Delivered(0, 1), Delivered(), Delivered(1), Delivered()]
    assert (len(good.got), len(bad.got)) == (1, 3)
    assert b"https://ethostat.example/alerts/1" in good.got[0].body
    assert {one.state for one in outbox.deliveries()} == {SENT}


def test_after_the_last_attempt_it_lies_with_the_dead_letters_and_can_be_revived():
    """The reason stays with it; revived, it goes out as soon as the receiver is well."""
    clock, outbox, well = Clock(), MemoryOutbox(), []
    outbox.add(ALERT, ["hook"])
    with receiver(lambda _: (200 if well else 502, {}, b"bad gateway")) as hook:
        courier = _courier(outbox, clock, hook=hook.url)
        for _ in range(5):
            asyncio.run(courier.deliver_due())
            clock.now += 100
        (dead,) = outbox.deliveries(DEAD)
        well.append(True)
        outbox.record(dead, dead.revived(clock.now))
        asyncio.run(courier.deliver_due())

    assert dead.error == "127.0.0.1 answered 502: bad gateway"
    assert dead.attempts == 3
    assert len(hook.got) == 4
    assert [one.state for one in outbox.deliveries()] == [SENT]


def test_a_courier_that_died_on_the_way_leaves_the_delivery_to_the_next():
    """The claim was written first: after its lease another courier delivers, under the same id."""
    clock, outbox = Clock(), MemoryOutbox()
    outbox.add(ALERT, ["hook"])
    with receiver() as hook:
        courier = _courier(outbox, clock, hook=hook.url)
        outbox.claim(clock.now, lease=courier.lease, most=1)  # and then the process was killed
        assert asyncio.run(courier.deliver_due()) == Delivered()
        clock.now += courier.lease
        assert asyncio.run(courier.deliver_due()) == Delivered(1)

    assert len(hook.got) == 1


def test_a_target_that_left_the_settings_is_a_dead_letter():
    """Nothing waits for ever for what nobody can deliver."""
    outbox = MemoryOutbox()
    outbox.add(ALERT, ["gone"])
    asyncio.run(_courier(outbox, Clock()).deliver_due())

    assert outbox.deliveries(DEAD)[0].error == "the target is not in the settings any more"


def test_a_slow_target_keeps_no_other_waiting():
    """While a command runs for long, a webhook that is queued after it arrives."""
    outbox = MemoryOutbox()
    slow = Command((sys.executable, "-c", "import time; time.sleep(30)"))
    with receiver() as hook:
        courier = _courier(outbox, time.time, slow=slow, hook=hook.url)

        async def work() -> None:
            running = asyncio.create_task(courier.run(every=0.02))
            outbox.add(ALERT, ["slow"])
            await asyncio.sleep(0.3)
            outbox.add(ALERT, ["hook"])
            await _until(lambda: outbox.deliveries(SENT))
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

        asyncio.run(work())

    assert {one.target: one.state for one in outbox.deliveries()} == {"slow": QUEUED, "hook": SENT}


class Flaky(MemoryOutbox):
    """An outbox whose database is gone for the first claims."""

    failures = 3

    def claim(self, now, *, lease, most):
        self.failures -= 1
        if self.failures >= 0:
            raise StoreError("the database cannot be reached")
        return super().claim(now, lease=lease, most=most)


def test_a_database_that_comes_back_finds_its_courier_still_there():
    """Errors of the outbox end no courier, and nothing is lost."""
    outbox = Flaky()
    outbox.add(ALERT, ["hook"])
    with receiver() as hook:
        courier = _courier(outbox, time.time, hook=hook.url)

        async def work() -> None:
            running = asyncio.create_task(courier.run(every=0.01))
            await _until(lambda: outbox.deliveries(SENT))
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

        asyncio.run(work())

    assert len(hook.got) == 1


async def _until(is_so) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.02)
