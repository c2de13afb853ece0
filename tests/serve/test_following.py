"""Monitors through the log: in order, each event once, interventions between them, exact on replay."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager

import pytest

import ethostat as es
from ethostat.errors import StoreError
from ethostat.ledger import Judgement, Ledger, NewEvent
from ethostat.response import Verdict
from ethostat.server.classifying import Classifying
from ethostat.server.following import Following, monitor_of
from ethostat.server.intake import Bounds, Full, Intake
from ethostat.server.intervening import apply
from servers import connecting
from serving import GOALS, TEMPLATE, assert_replays, settle, told, wait_until


def events(count: int, **more) -> list[NewEvent]:
    """Events with verdicts."""
    return [NewEvent(one["stream"], one["id"], goal=one["goal"]) for one in told(count, **more)]


@contextmanager
def following(ledger: Ledger, template=TEMPLATE):
    """A thread that follows the streams of a ledger."""
    one = Following(ledger, template)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def ledger(database):
    """A ledger in an empty database."""
    with Ledger(database) as opened:
        yield opened


def test_a_followed_stream_is_that_of_the_monitor_command(ledger):
    """A stream's alerts and monitor are those of es.Monitor given the same responses, one after the other."""
    rows = events(300) + events(100, start=300, shares=(0.2, 0.6, 0.1, 0.05, 0.05))
    monitor = es.Monitor(es.Baseline.of_first(100), run_length=1000, name="chat")
    said = [alert for row in rows if (alert := monitor.update(row.goal, id=row.id))]
    with following(ledger) as one:
        for start in range(0, len(rows), 70):
            ledger.append(rows[start : start + 70])
            one.wake(claim=True)
        settle(ledger, one)

    assert any(alert.tier == "page" for alert in said)
    assert [alert.to_dict() for alert in said] == [kept.body for kept in reversed(ledger.alerts())]
    assert json.loads(json.dumps(monitor.to_dict())) == ledger.find_stream("", "chat").monitor
    assert_replays(ledger)


def test_what_people_do_falls_between_two_events(ledger):
    """Interventions while a stream is followed are kept, and the log with them gives the same monitor again."""
    steps = [
        ("snooze", {"responses": 30}),
        ("deployment", {"version": "v2"}),
        ("baseline", {"baseline": es.Baseline.of_first(50).to_dict()}),
        ("acknowledge", {}),
        ("expected", {}),
    ]
    with following(ledger) as one:
        ledger.append(events(150))
        settle(ledger, one)
        key = ledger.find_stream("", "chat").stream_key
        for turn, (kind, body) in enumerate(steps):
            changed = (0.1, 0.8, 0.1, 0, 0) if turn > 2 else None
            ledger.append(events(90, start=1000 * (turn + 1), seed=turn, shares=changed))
            one.wake()
            if turn % 2 or kind == "expected":
                settle(ledger, one)
            intervene(ledger, key, kind, body)
        ledger.append(events(20, start=9000))
        settle(ledger, one)

    monitor = assert_replays(ledger)
    assert (monitor.epoch.version, monitor.epoch.number) == ("v2", 3)
    assert "what came since" in monitor.baseline.name
    assert [done.kind for done in ledger.interventions(key)] == [kind for kind, _ in steps]


def intervene(ledger: Ledger, key: int, kind: str, body: dict) -> None:
    """Do to a stream's monitor what people do."""

    def change(position):
        monitor = monitor_of(position, TEMPLATE)
        apply(monitor, kind, body)
        return monitor.to_dict()

    ledger.intervene(key, kind, body, change)


def test_order_waits_for_what_is_to_be_classified(ledger):
    """Events behind one without a verdict are not followed before it; a failure counts as one and holds up nobody."""
    waiting = [NewEvent("chat", f"w{n}", response="said") for n in range(2)]
    with following(ledger) as one:
        ledger.append([*events(3), waiting[0], *events(3, start=10), waiting[1], *events(1, start=20)])
        one.wake(claim=True)
        wait_until(lambda: ledger.totals()[2] == 6)
        key = ledger.find_stream("", "chat").stream_key
        ledger.judge([Judgement(key, 8, None, "c", "it broke")])
        one.wake()
        time.sleep(0.4)
        before = ledger.find_stream("", "chat").cursor
        ledger.judge([Judgement(key, 4, Verdict("", "", "g5", (0, 0, 0, 0, 1.0)), "c")])
        settle(ledger, one)

    position = ledger.find_stream("", "chat")
    assert (before, position.cursor, position.failures, sum(position.counts.values())) == (3, 9, 1, 8)
    assert position.counts["g5"] >= 1
    assert_replays(ledger)


def test_silence_is_noticed_and_replayed(ledger):
    """A stream that falls silent says so once, and once when it is back; the log knows when it was asked."""
    template = es.Monitor(es.Baseline.of_first(5), run_length=1000, policy=es.Policy(silence=1.0))
    rows = [NewEvent("chat", f"{n}", goal="g1", time="2026-01-01T00:00:00Z") for n in range(20)]
    with following(ledger, template) as one:
        ledger.append(rows[:10])
        one.wake(claim=True)
        wait_until(lambda: [kept.kind for kept in ledger.alerts()] == ["no-data"])
        ledger.append(rows[10:])
        settle(ledger, one)
        wait_until(lambda: len(ledger.alerts()) >= 2)

    kinds = [kept.kind for kept in reversed(ledger.alerts())]
    assert kinds[:2] == ["no-data", "data-back"]
    assert next(done.kind for done in ledger.interventions(1)) == "tick"
    assert_replays(ledger, template=template)


def test_two_processes_over_one_database_count_each_event_once(postgres_database):
    """Streams are shared between two that follow; when one goes, the other has all, and nothing counts twice."""
    one, two = Ledger(postgres_database), Ledger(postgres_database)
    names = [f"s{n}" for n in range(6)]
    one.append([event for name in names for event in events(50, stream=name)])
    with following(one) as first:
        with following(two) as second:
            wait_until(lambda: len(first.streams) == len(second.streams) == 3)
            one.append([event for name in names for event in events(50, stream=name, start=100)])
            wait_until(lambda: one.totals()[2] == 0)
        two.append([event for name in names for event in events(50, stream=name, start=200)])
        first.wake(claim=True)
        wait_until(lambda: one.totals()[2] == 0)

    for name in names:
        assert sum(one.find_stream("", name).counts.values()) == 150
        assert_replays(one, name)
    one.close()
    two.close()


# Intake


def test_what_waits_is_bounded(ledger):
    """More than may wait is refused with when to come back; what an observer cannot leave is counted."""
    intake = Intake(ledger, keeps_text=lambda _: True, bounds=Bounds(events=5))
    taken = intake.offer(events(4))
    with pytest.raises(Full, match="send this again") as full:
        intake.offer(events(2, start=10))
    for event in events(3, start=20):
        intake.observe(event)
    intake.start()
    done = taken.result(timeout=30)
    intake.stop()

    assert full.value.retry_after >= 1
    assert (done.accepted, intake.counted.dropped, ledger.totals()[1]) == (4, 2, 5)


def test_what_is_offered_together_is_written_together(ledger):
    """Many who wait share a commit; each is told its own counts."""
    intake = Intake(ledger, keeps_text=lambda _: True)
    futures = [intake.offer(events(10, start=start)) for start in (0, 5, 100)]
    intake.start()
    done = [future.result(timeout=30) for future in futures]
    intake.stop()

    assert [(one.accepted, one.duplicates) for one in done] == [(10, 0), (5, 5), (10, 0)]
    assert intake.counted.commits == 1


def test_what_cannot_be_written_is_said_and_what_was_observed_waits(postgres_database, postgres_server):
    """While the database takes no connections an offer fails and says why; what was observed is written later."""
    with Ledger(postgres_database) as ledger:
        intake = Intake(ledger, keeps_text=lambda _: True)
        intake.start()
        intake.offer(events(1)).result(timeout=30)
        with connecting(postgres_server, postgres_database, allowed=False):
            with pytest.raises(StoreError, match="check that the database can be reached"):
                intake.offer(events(1, start=10)).result(timeout=60)
            intake.observe(events(1, start=20)[0])
            wait_until(lambda: intake.error)
        intake.offer(events(1, start=10)).result(timeout=30)
        wait_until(lambda: ledger.totals()[1] == 3)
        intake.stop()

        assert intake.error is None


# Classifying

DYING = """
import os, sys
import ethostat.server.worker as worker
from ethostat.classifiers.stated import StatedGoals

class Dying(StatedGoals):
    def attempt(self, responses):
        if any("poison" in one.text for one in responses):
            os.kill(os.getpid(), 9)
        return super().attempt(responses)

worker._opened = lambda spec, taxonomy: Dying(taxonomy)
worker.main(*sys.argv[1:])
"""


@contextmanager
def classifying(ledger: Ledger, one: Following, *, program=None, keep=False, workers: int = 1):
    """Worker processes over a ledger."""
    two = Classifying(
        ledger,
        one,
        classifier="goals-in-text",
        taxonomy=es.FIVE_GOALS,
        workers=workers,
        keeps_text=lambda _: keep,
        on_judged=lambda _: one.wake(),
        **({} if program is None else {"program": program}),
    )
    two.start()
    try:
        yield two
    finally:
        two.stop()


def asked(*texts: str, stream: str = "chat") -> list[NewEvent]:
    """Events to classify."""
    return [NewEvent(stream, f"{stream}{n}", es.Prompt.from_text("?"), text) for n, text in enumerate(texts)]


def test_every_stream_is_classified_in_order(ledger):
    """What waits in several streams gets its verdicts and is followed; the texts go."""
    texts = [f"{GOALS[n % 5]} lone \ud800 surrogate" for n in range(40)]
    with following(ledger) as one, classifying(ledger, one, workers=2) as two:
        ledger.append([event for name in ("a", "b") for event in asked(*texts, stream=name)])
        one.wake(claim=True)
        wait_until(lambda: ledger.totals()[1:] == (80, 0), seconds=90)

        assert (two.tally.verdicts, two.tally.failures, two.tally.deaths) == (80, 0, 0)
    for name in ("a", "b"):
        position = ledger.find_stream("", name)
        assert position.counts == dict.fromkeys(GOALS, 8)
        log = ledger.events(position.stream_key)
        assert [event.goal for event in log] == [GOALS[n % 5] for n in range(40)]
        assert {(event.response, event.erased) for event in log} == {(None, True)}
        assert_replays(ledger, name)


def test_what_kills_the_classifier_is_a_failure_and_holds_up_nobody(ledger):
    """An event that a worker dies of three times is a failure; its neighbours have their verdicts."""
    texts = [f"{GOALS[n % 5]} said" for n in range(20)]
    texts[7] = "g1 poison"
    with following(ledger) as one, classifying(ledger, one, program=(sys.executable, "-c", DYING)) as two:
        ledger.append(asked(*texts, "states no goal"))
        one.wake(claim=True)
        wait_until(lambda: ledger.totals()[1:] == (21, 0), seconds=120)

        assert (two.tally.verdicts, two.tally.failures) == (19, 2)
        assert two.tally.deaths == 3
    log = ledger.events(ledger.find_stream("", "chat").stream_key)
    assert "died 3 times" in log[7].failure
    assert log[20].failure == "the classifier finds no verdict"
    assert [event.goal for event in log if event.failure is None] == [GOALS[n % 5] for n in range(20) if n != 7]


def test_a_classifier_that_cannot_be_opened_is_named(ledger):
    """Nothing is lost while no worker starts: the events wait, and the state says why."""
    with (
        following(ledger) as one,
        classifying(ledger, one, program=(sys.executable, "-c", "raise SystemExit(3)")) as two,
    ):
        ledger.append(asked("g1 said"))
        one.wake(claim=True)
        wait_until(lambda: two.error)

        assert "no worker can be started (exit code 3)" in two.error
        assert ledger.totals()[2] == 1
