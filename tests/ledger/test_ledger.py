"""The ledger: each event once and in order, each step whole or not at all, on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from ethostat.errors import InvalidInput, StoreError
from ethostat.ledger import Advance, Judgement, Ledger, Minute, NewEvent, Whose
from ethostat.response import Message, Prompt, Verdict
from ethostat.store import Store

HOSTILE = "NUL \x00, lone surrogate \ud800, escape \x1b[2J, mark \x01json:, <script>, 𝔘"
SURE = (1.0, 0.0, 0.0, 0.0, 0.0)


def told(*ids: str, stream: str = "chat", **more) -> list[NewEvent]:
    """Events with a verdict."""
    return [NewEvent(stream, id, goal="g1", **more) for id in ids]


def asked(*ids: str, stream: str = "chat") -> list[NewEvent]:
    """Events to classify."""
    return [NewEvent(stream, id, Prompt.from_text(f"question {id}"), f"answer {id}") for id in ids]


def followed(ledger: Ledger, owner: str = "me", stream: str = "chat"):
    """The position of a stream that this owner has claimed."""
    ledger.claim(owner, seconds=60)
    return ledger.find_stream("", stream)


def step_of(position, **changes) -> Advance:
    """A step to the newest event."""
    made = Advance(position.stream_key, position.version, position.last, {"step": position.last}, {"g1": 1}, 0)
    return replace(made, **changes)


def alert(number: int = 1, kind: str = "change") -> dict:
    """What of an alert the ledger looks at."""
    return {"id": f"chat/{number}", "tier": "page", "kind": kind, "message": HOSTILE.replace("\ud800", "")}


def test_an_event_comes_back_as_it_was(ledger):
    """Every field survives the disk, hostile text and all."""
    prompt = Prompt("x", (Message("system", HOSTILE), Message("user", "?")))
    event = NewEvent(
        HOSTILE,
        "id" + HOSTILE,
        prompt,
        HOSTILE,
        "g2",
        (0.1, 0.6, 0.1, 0.1, 0.1),
        "2026-01-01T00:00:00Z",
        HOSTILE,
        HOSTILE,
        {HOSTILE: HOSTILE},
        tenant="t" + HOSTILE,
    )
    ledger.append([event], now=5.0)

    (found,) = ledger.events(ledger.find_stream("t" + HOSTILE, HOSTILE).stream_key)
    assert found.prompt == Prompt(event.id, prompt.messages)
    assert (found.id, found.response, found.goal, found.probabilities) == (event.id, HOSTILE, "g2", event.probabilities)
    assert (found.time, found.session, found.model, found.labels) == (event.time, HOSTILE, HOSTILE, event.labels)
    assert (found.seq, found.received, found.erased) == (1, 5.0, False)


def test_an_event_counts_once(ledger):
    """Told again, in the same list or later, an id is a duplicate; the others of its list are taken, without a gap."""
    first = ledger.append(told("a", "b", "a"))
    again = ledger.append(told("b", "c", "a", "d"))
    elsewhere = ledger.append(told("a", stream="other"))
    of_another = ledger.append(told("a", tenant="t"))

    assert (first.duplicates, again.duplicates) == ({2}, {0, 2})
    assert elsewhere.duplicates == of_another.duplicates == frozenset()
    found = ledger.events(ledger.find_stream("", "chat").stream_key)
    assert [(event.seq, event.id) for event in found] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_writers_at_once_leave_no_gap_and_no_double(database):
    """Several writers that tell the same ids have each once, numbered without a gap."""
    ledgers = [Ledger(database) for _ in range(3)]

    def write(ledger: Ledger, turn: int) -> None:
        for start in range(0, 60, 5):
            ledger.append([e for n in range(start, start + 5) for e in told(f"{n}", stream=f"s{(n + turn) % 2}")])

    threads = [threading.Thread(target=write, args=(one, turn)) for turn, one in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name in ("s0", "s1"):
        events = ledgers[0].events(ledgers[0].find_stream("", name).stream_key)
        assert [event.seq for event in events] == list(range(1, 61))
        assert {event.id for event in events} == {str(n) for n in range(60)}
    for ledger in ledgers:
        ledger.close()


def test_nobody_reads_past_an_event_that_is_still_to_come(database):
    """A reader that follows the numbers while several write meets every number in order, none late."""
    writers, reader = [Ledger(database) for _ in range(3)], Ledger(database)
    writers[0].append(told("first"))
    key, seen = reader.find_stream("", "chat").stream_key, 1

    def write(ledger: Ledger, who: int) -> None:
        for n in range(25):
            ledger.append(told(*(f"{who}/{n}/{m}" for m in range(4))))

    threads = [threading.Thread(target=write, args=(one, who)) for who, one in enumerate(writers)]
    for thread in threads:
        thread.start()
    while seen < 301:
        for event in reader.events(key, after=seen):
            assert event.seq == seen + 1
            seen = event.seq
    for thread in threads:
        thread.join()

    assert seen == 301
    for ledger in (*writers, reader):
        ledger.close()


def test_streams_are_as_many_as_may_be(ledger):
    """A stream too many is refused by the event, and the others of the list are taken."""
    result = ledger.append([*told("a", stream="s1"), *told("a", stream="s2"), *told("b", stream="s1")], most_streams=1)

    assert list(result.refused) == [1]
    assert "1 streams already" in result.refused[1]
    assert [event.id for event in ledger.events(ledger.find_stream("", "s1").stream_key)] == ["a", "b"]


def test_texts_are_kept_until_they_are_judged(ledger):
    """What waits keeps its text; with the verdict it goes, unless it is to be kept; the first verdict stands."""
    ledger.append([*asked("a", "b", "c"), replace(told("d")[0], response="said")], keeps_text=lambda _: False)
    key = ledger.find_stream("", "chat").stream_key
    waiting = ledger.unjudged(key)
    verdict = Verdict("", "", "g1", SURE, 0.5)
    ledger.judge([Judgement(key, 1, verdict, "c"), Judgement(key, 2, verdict, "c", erase=False)])
    ledger.judge([Judgement(key, 3, None, "c", failure="it broke")])
    ledger.judge([Judgement(key, 1, replace(verdict, goal="g2"), "c"), Judgement(key, 3, verdict, "c")])

    assert [(event.id, event.response) for event in waiting] == [(x, f"answer {x}") for x in "abc"]
    a, b, c, d = ledger.events(key)
    assert (a.goal, a.probabilities, a.typicality, a.classifier) == ("g1", SURE, 0.5, "c")
    assert [(e.prompt is None, e.response, e.erased) for e in (a, b)] == [
        (True, None, True),
        (False, "answer b", False),
    ]
    assert (c.goal, c.failure, c.response) == (None, "it broke", None)
    assert (d.response, d.erased) == (None, True)
    assert ledger.unjudged(key) == []


def test_a_step_is_written_whole_or_not_at_all(ledger):
    """A step from an old version, or by another owner, leaves nothing: no place, no count, no alert."""
    ledger.append(told("a", "b"))
    position = followed(ledger)
    minute = Minute(60, {"g1": 2}, 1, 0.5, 9.0)
    good = step_of(position, alerts=(alert(),), deliveries=(("chat/1", "hook"),), minutes=(minute,))

    assert ledger.advance("other", [good]) == {position.stream_key}
    assert ledger.advance("me", [good]) == frozenset()
    assert ledger.advance("me", [replace(good, alerts=(alert(2),))]) == {position.stream_key}
    now = ledger.find_stream("", "chat")
    assert (now.version, now.cursor, now.monitor, now.counts) == (1, 2, {"step": 2}, {"g1": 1})
    assert ledger.minutes(position.stream_key) == [minute]
    assert [(one.id, one.stream, one.body) for one in ledger.alerts()] == [("chat/1", "chat", alert())]


def test_minutes_add_up(ledger):
    """Steps into the same minute add their counts; evidence is that of the last."""
    ledger.append(told("a", "b"))
    first = followed(ledger)
    ledger.advance(
        "me", [step_of(first, minutes=(Minute(0, {"g1": 1}, 0, 1.0, 9.0), Minute(60, {"g1": 1}, 0, 2.0, 9.0)))]
    )
    ledger.advance("me", [step_of(followed(ledger), minutes=(Minute(60, {"g1": 2, "g2": 1}, 3, 4.0, 9.0),))])

    assert ledger.minutes(first.stream_key) == [
        Minute(0, {"g1": 1}, 0, 1.0, 9.0),
        Minute(60, {"g1": 3, "g2": 1}, 3, 4.0, 9.0),
    ]


def test_an_intervention_overtakes_the_step_that_was_under_way(ledger):
    """A step that was made before somebody intervened is refused; what was done is written down with its place."""
    ledger.append(told("a", "b"))
    position = followed(ledger)
    ledger.advance("me", [step_of(position, cursor=1)])
    under_way = step_of(followed(ledger))
    ledger.intervene(
        position.stream_key, "snooze", {"responses": 5}, lambda old: {**old.monitor, "snoozed": 1}, by="ann"
    )

    assert ledger.advance("me", [under_way]) == {position.stream_key}
    assert ledger.find_stream("", "chat").monitor == {"step": 2, "snoozed": 1}
    (done,) = ledger.interventions(position.stream_key)
    assert (done.cursor, done.kind, done.body, done.by) == (1, "snooze", {"responses": 5}, "ann")
    with pytest.raises(InvalidInput, match="deleted"):
        ledger.intervene(999, "snooze", {}, lambda _: {})


def test_leases_share_streams_evenly(database):
    """Two processes over one PostgreSQL have half each; of a SQLite file the one that holds it has all."""
    one, two = Ledger(database), Ledger(database)
    one.append([event for n in range(4) for event in told("a", stream=f"s{n}")])
    all_of_it = one.claim("one", seconds=60)
    one.claim("two", seconds=60)
    mine, yours = one.claim("one", seconds=60), two.claim("two", seconds=60)

    assert len(all_of_it) == 4
    if one.is_file:
        assert (len(mine), len(yours)) == (4, 4)  # who asks proved with a lock on the file that it is alone
    else:
        assert (len(mine), len(yours), mine & yours) == (2, 2, frozenset())
        two.release("two")
        assert len(one.claim("one", seconds=60)) == 4
    one.close()
    two.close()


def test_a_lease_ends_with_its_process(database):
    """Streams of a process that is heard of no more are another's when the lease is over."""
    with Ledger(database) as ledger:
        ledger.append(told("a"))
        ledger.claim("dead", seconds=0.05)
        time.sleep(0.1)

        assert len(ledger.claim("alive", seconds=60)) == 1


def test_one_process_serves_a_file(tmp_path):
    """A file that is held is refused to another process, by name, until that one ends."""
    path = tmp_path / "serve.db"
    hold = (
        f"from ethostat.ledger import Ledger; l = Ledger({str(path)!r}); l.hold(); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with Ledger(path) as ledger:
            with pytest.raises(StoreError, match="is being served by another process"):
                ledger.hold()
            other.kill()
            other.wait()
            ledger.hold()


def test_alerts_are_looked_at_once(ledger):
    """The first who acknowledges an alert stands; expected is a mark beside it."""
    ledger.append(told("a"))
    position = followed(ledger)
    ledger.advance("me", [step_of(position, alerts=(alert(1), alert(2, "recovered")))])
    (newest, first) = ledger.alerts()
    ledger.mark(first.number, by="ann", now=7.0)
    ledger.mark(first.number, by="bob", expected=True)

    (kept,) = ledger.alerts(id="chat/1")
    assert (newest.kind, kept.acknowledged_by, kept.acknowledged_at, kept.expected) == ("recovered", "ann", 7.0, True)
    assert ledger.alerts(tenant="other") == []
    assert [one.id for one in ledger.alerts(before=newest.number)] == ["chat/1"]


def test_streams_are_seen_with_what_waits(ledger):
    """A stream says how much is not followed yet and since when; totals add up."""
    ledger.append(told("a"), now=10.0)
    position = followed(ledger)
    ledger.advance("me", [step_of(position)], now=11.0)
    ledger.append(told("b", "c"), now=12.0)
    (stream,) = ledger.streams(tenant="", name="chat")

    assert (stream.last, stream.cursor, stream.waiting, stream.waits_since, stream.updated) == (3, 1, 2, 12.0, 11.0)
    assert ledger.totals() == (1, 3, 2)
    assert ledger.lagging("me") == [position.stream_key]
    assert ledger.lagging("other") == []


def test_deployments_are_listed(ledger):
    """Declared versions, the latest first, of one tenant."""
    ledger.add_deployment("", "v1", ["chat"], note=HOSTILE, by="ann", time=1.0)
    ledger.add_deployment("", "v2", [], note=None, by=None, time=2.0)

    assert [(d.version, d.streams, d.note) for d in ledger.deployments(tenant="")] == [
        ("v2", (), None),
        ("v1", ("chat",), HOSTILE),
    ]
    assert ledger.deployments(tenant="other") == []


def test_what_is_to_be_forgotten_is(ledger):
    """Old events go once they were followed; a session's texts go at once; a deleted stream begins anew."""
    ledger.append(told("a"), now=1.0)
    position = followed(ledger)
    ledger.advance("me", [step_of(position)])
    waiting = [replace(event, session="s") for event in asked("b", "c")]
    ledger.append(waiting, now=2.0)

    assert ledger.forget(3.0) == 1
    assert ledger.erase("", Whose("s")).events == 2
    assert ledger.erase("other", Whose("s")).events == 0
    events = ledger.events(position.stream_key)
    assert [(e.seq, e.response, e.session, e.erased) for e in events] == [(2, None, None, True), (3, None, None, True)]
    assert all("erased" in event.failure for event in events)
    ledger.delete_stream(position.stream_key)
    assert ledger.find_stream("", "chat") is None
    assert ledger.append(told("a")).duplicates == frozenset()
    assert ledger.find_stream("", "chat").last == 1


def test_it_lies_beside_the_store(database):
    """The same database holds runs; either opens what the other made."""
    with Ledger(database) as ledger, Store(database) as store:
        ledger.append(told("a"))
        assert store.runs() == []
        assert ledger.totals() == (1, 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": ""}, "needs a stream and an id"),
        ({"id": "x" * 201}, "`id` must have at most 200 characters, got 201"),
        ({"goal": None}, "a `response` to classify, or its verdict"),
        ({"labels": {"": "x"}}, "a label's name"),
        ({"labels": {str(n): "x" for n in range(33)}}, "at most 32 labels, got 33"),
    ],
)
def test_events_that_cannot_be_are_refused(changes, message):
    """What breaks a rule is named."""
    with pytest.raises(InvalidInput, match=message):
        replace(told("a")[0], **changes)
