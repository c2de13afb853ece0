"""Deliveries in the ledger's database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from alerts import changed
from receivers import ALLOW, TAKEN, Answer, receiver

from ethostat.ledger import Advance, Ledger, NewEvent
from ethostat.notifying import DEAD, QUEUED, SENT, Courier, Delivered, Retries, open_target
from ethostat.notifying.kept import LedgerOutbox

ALERT = changed().to_dict()
RNG = random.Random(1)  # noqa: S311 - jitter, not secrets
RETRIES = Retries(first=10, factor=2, longest=40, attempts=2, jitter=0)


@pytest.fixture
def outbox(database):
    """The outbox of an empty ledger."""
    with Ledger(database), LedgerOutbox(database) as opened:
        yield opened


def _say(database, targets, *, alerts=1, tenant="a"):
    """A stream whose monitor gave so many alerts, each for these targets."""
    with Ledger(database) as ledger:
        labels = [{"team": "safety", "route": "a"}, {"team": "safety", "route": "b"}]
        ledger.append([NewEvent("prod", f"{n}", goal="g1", tenant=tenant, labels=one) for n, one in enumerate(labels)])
        ledger.claim("me", seconds=60)
        position = ledger.find_stream(tenant, "prod")
        bodies = tuple(ALERT | {"id": f"prod/{n}", "exemplars": ["0", "1"]} for n in range(alerts))
        pairs = tuple((body["id"], target) for body in bodies for target in targets)
        step = Advance(position.stream_key, position.version, 1, {}, {"g1": 1}, 0, bodies, pairs)
        assert not ledger.advance("me", [step], now=100.0)


def test_a_claim_carries_the_alert_its_stream_and_tenant(database, outbox):
    """What was written with the alert comes back to be delivered, once per lease."""
    _say(database, ["chat", "hook"])
    claims = outbox.claim(100.0, lease=60.0, most=10)

    assert [(one.delivery.target, one.stream, one.tenant, one.body["id"]) for one in claims] == [
        ("chat", "prod", "a", "prod/0"), ("hook", "prod", "a", "prod/0")
    ]  # fmt: skip
    assert claims[0].labels == {"team": "safety"}  # what the responses behind it share
    assert outbox.claim(159.0, lease=60.0, most=10) == ()
    assert [one.delivery.attempts for one in outbox.claim(160.0, lease=60.0, most=10)] == [2, 2]


def test_a_delivery_is_sent_or_ends_with_the_dead_letters(database, outbox):
    """A real receiver takes one, another refuses it twice; then it lies in the list and can be revived."""
    _say(database, ["good", "bad"])
    time = [100.0]
    with receiver() as good, receiver(lambda _: (500, {}, b"")) as bad:
        targets = {"good": open_target(good.url, allow=ALLOW), "bad": open_target(bad.url, allow=ALLOW)}
        courier = Courier(outbox, targets, RETRIES, RNG, lambda: time[0])
        first = asyncio.run(courier.deliver_due())
        time[0] += 10
        second = asyncio.run(courier.deliver_due())

    (dead,) = outbox.find(tenant="a", state=DEAD)
    assert (first, second) == (Delivered(1, 1), Delivered(0, 0, 1))
    assert (len(good.got), len(bad.got)) == (1, 2)
    assert dead.delivery.error == "127.0.0.1 answered 500"
    assert outbox.find(tenant="b") == []
    found = outbox.find(alert=dead.delivery.alert)
    assert {one.delivery.target: one.delivery.state for one in found} == {"good": SENT, "bad": DEAD}
    assert outbox.record(dead.delivery, dead.delivery.revived(time[0]))
    assert [one.delivery.state for one in outbox.claim(time[0], lease=60, most=9)] == [QUEUED]


def test_the_late_word_of_a_claim_that_ran_out_is_refused(database, outbox):
    """Who comes after the lease does not overwrite what the next one found."""
    _say(database, ["chat"])
    (slow,) = outbox.claim(100.0, lease=60, most=9)
    (quick,) = outbox.claim(160.0, lease=60, most=9)

    assert outbox.record(quick.delivery, quick.delivery.delivered())
    assert not outbox.record(slow.delivery, slow.delivery.failed("late", 161.0, retries=RETRIES, rng=RNG))
    assert [one.delivery.state for one in outbox.find(alert=quick.delivery.alert)] == [SENT]


def test_several_processes_share_the_queue_without_overlap(database, outbox):
    """Four that claim at once never get the same delivery, and together get all."""
    _say(database, ["a", "b", "c"], alerts=20)

    def drain(_) -> list[tuple[int, str]]:
        with LedgerOutbox(database) as mine:
            found = []
            while claims := mine.claim(100.0, lease=600, most=7):
                found += [(one.delivery.alert, one.delivery.target) for one in claims]
            return found

    with ThreadPoolExecutor(4) as pool:
        got = [pair for pairs in pool.map(drain, range(4)) for pair in pairs]

    assert len(got) == len(set(got)) <= 60
    rest = outbox.claim(100.0, lease=600, most=60)
    assert len(got) + len(rest) == 60


_COURIER = """
import asyncio, sys
from ethostat.notifying import Courier, open_target
from ethostat.notifying.kept import LedgerOutbox
target = open_target(sys.argv[2], allow=("127.0.0.0/8",))
asyncio.run(Courier(LedgerOutbox(sys.argv[1]), {"hook": target}).run(every=0.02))
"""


def test_a_process_that_is_killed_while_it_sends_leaves_nothing_unsent(database, outbox):
    """kill -9 while it delivers: the next process sends it again when the claim is over, under the same id."""
    _say(database, ["hook"])
    over = threading.Event()

    def hang_first(number: int) -> Answer:
        if number == 0:
            over.wait(300)
        return TAKEN

    with receiver(hang_first) as hook:
        first = subprocess.Popen([sys.executable, "-c", _COURIER, database, hook.url])
        end = time.monotonic() + 300
        while not hook.got and time.monotonic() < end:
            time.sleep(0.02)
        first.kill()
        first.wait()
        target = open_target(hook.url, allow=ALLOW)
        courier = Courier(outbox, {"hook": target}, RETRIES, RNG, lambda: time.time() + ahead)
        ahead = 0.0
        before = asyncio.run(courier.deliver_due())
        ahead = courier.lease
        after = asyncio.run(courier.deliver_due())
        over.set()

    assert (before, after) == (Delivered(), Delivered(1))
    assert len(hook.got) == 2
    assert len({got.headers["webhook-id"] for got in hook.got}) == 1
