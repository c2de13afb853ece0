"""What pages are made of: courses in buckets, figures as paths, events as they happen, text that is inert."""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from itertools import count
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ethostat as es
from ethostat.ledger import Advance, Ledger, Minute, NewEvent
from ethostat.ledger.courses import (
    Bucket,
    bucket_width,
    buckets,
    event_before,
    event_since,
    goals_between,
    interventions_since,
    judged_after,
    keys_of,
    latest_alerts,
    marks,
)
from ethostat.maths.entropy import entropy
from ethostat.server.dashboard import course, live
from ethostat.server.dashboard.drawing import Scale, band, line, stacks, ticks
from ethostat.server.dashboard.frame import asset, asset_bytes, duration, goal_classes, link
from ethostat.server.dashboard.glance import state_of
from ethostat.server.dashboard.live import Name, Pulse
from ethostat.server.dashboard.looking import View, window_of
from ethostat.server.dashboard.tracing import retraced
from ethostat.server.following import Following, monitor_of
from ethostat.server.intervening import apply
from ethostat.server.policy import CSP

GOALS = es.FIVE_GOALS
TEMPLATE = es.Monitor(es.Baseline.of_first(100))


@pytest.fixture
def ledger(database):
    """A ledger in an empty database, SQLite and PostgreSQL."""
    with Ledger(database) as opened:
        yield opened


def told(ledger, goals, *, stream="chat", tenant=""):
    """A stream with these goals in order, followed to its end; gives its key."""
    numbers = count(1)
    ledger.append([NewEvent(stream, str(next(numbers)), goal=goal, tenant=tenant) for goal in goals], now=100.0)
    position = ledger.find_stream(tenant, stream)
    monitor = es.Monitor(es.Baseline.of_first(10), name=stream)
    ledger.claim("me", seconds=60)
    alerts = [alert.to_dict() for goal in goals if (alert := monitor.update(goal))]
    step = Advance(position.stream_key, position.version, len(goals), monitor.to_dict(), {}, 0, tuple(alerts))
    assert not ledger.advance("me", [step])
    return position.stream_key


def test_buckets_hold_every_event_once(ledger):
    """The counts of all buckets are those of the stream, in order, each bucket as wide as the last but the ends."""
    rng = np.random.default_rng(1)
    goals = [GOALS.keys[label] for label in rng.integers(0, 5, 333)]
    key = told(ledger, goals)

    found = buckets(ledger, key, cursor=333, last=10_000)
    assert [(one.first, one.last) for one in found[:2]] == [(1, 25), (26, 50)]
    assert found[-1].last == 333
    for one in found:
        mine = goals[one.first - 1 : one.last]
        assert one.counts == {goal: mine.count(goal) for goal in set(mine)}
    assert sum(one.judged for one in found) == 333


def test_a_full_bucket_stays_as_it_is(ledger):
    """Looking at more or fewer of the last events changes only which buckets there are."""
    key = told(ledger, ["g1", "g2", "g3"] * 100)

    longer, shorter = (buckets(ledger, key, cursor=300, last=last) for last in (300, 110))
    assert shorter == longer[-len(shorter) :]
    assert shorter[0].first == 176
    assert buckets(ledger, key, cursor=0, last=100) == []


def test_events_are_found_by_verdicts_behind_them_and_by_time(ledger):
    """Counted over events with and without a verdict, as a list of them says; a window ends where its response came."""
    goals = ["g1", "g2", "g3"] * 40
    key = told(ledger, goals)
    for back in (0, 1, 7, 119, 120, 500):
        assert event_before(ledger, key, cursor=120, judged=back) == max(120 - back, 0)
    assert judged_after(ledger, key, after=100, cursor=120) == 20
    assert goals_between(ledger, key, after=0, last=6) == {"g1": 2, "g2": 2, "g3": 2}
    ledger.append([NewEvent("chat", f"later {n}", goal="g5") for n in range(10)], now=200.0)
    assert [event_since(ledger, key, cursor=130, time=time) for time in (50.0, 150.0, 250.0)] == [1, 121, 131]

    position = ledger.find_stream("", "chat")
    latest = window_of(ledger, position, View(1_000), step=120, now=0.0)
    around = window_of(ledger, position, View(1_000, None, -425), step=120, now=0.0)
    assert (latest.step, latest.is_latest) == (120, True)
    assert (around.step, around.cursor, around.is_latest) == (75, 75, False)


def test_a_view_is_what_the_query_says_and_else_the_default():
    """Unknown spans, hours and numbers are as if they had not been asked for."""
    assert View.of({"last": "1000"}) == View(1_000)
    assert View.of({"last": "7", "hours": "3", "at": "-1"}) == View()
    assert View.of({"hours": "24"}) == View(hours=24)
    assert View.of({"last": "1000", "hours": "24", "at": "77"}).query() == {"last": 1_000, "hours": None, "at": 77}


@given(st.integers(1, 10**9), st.integers(1, 500))
def test_there_are_never_more_buckets_than_asked_for(events, most):
    """Whatever the length of a stream, its buckets and the one that begins before them are few."""
    width = bucket_width(events, most=most)

    assert width >= 25
    assert -(-events // width) <= most
    assert width == 25 or float(f"{width:e}".split("e")[0]) in (1.0, 2.0, 5.0)


def test_streams_of_other_tenants_are_not_found(ledger):
    """Keys, marks and alerts say whose they are."""
    key = told(ledger, ["g1"] * 20 + ["g2"] * 200, tenant="a")
    other = told(ledger, ["g1"] * 20, stream="quiet", tenant="b")

    assert keys_of(ledger, "a", ["chat", "quiet", "none"]) == {"chat": key}
    assert {(one.tenant, one.stream, one.last) for one in marks(ledger)} == {("a", "chat", 220), ("b", "quiet", 20)}
    alerts = latest_alerts(ledger, [key, other])
    assert set(alerts) == {"chat"}
    assert alerts["chat"].number == ledger.alerts(tenant="a", most=1)[0].number


def test_interventions_are_found_from_a_place_on(ledger):
    """Those after an event's number, in order."""
    key = told(ledger, ["g1"] * 20)
    for kind in ("snooze", "acknowledge"):
        ledger.intervene(key, kind, {}, lambda now: now.monitor)

    assert [one.kind for one in interventions_since(ledger, key, after=20)] == ["snooze", "acknowledge"]
    assert interventions_since(ledger, key, after=21) == []


def test_entropies_are_those_of_one_profile_at_a_time():
    """S of many profiles at once is `entropy` of each, to the last digits; an empty one is undefined."""
    rows = [[5, 0, 0, 0, 0], [3, 1, 4, 1, 5], [0, 0, 0, 0, 0], [100, 1, 0, 0, 20]]

    for found, row in zip(course.entropies(rows), rows, strict=True):
        alone = entropy(row)
        assert found.is_defined == alone.is_defined
        assert found.n == alone.n
        if alone.is_defined:
            assert [found.value, found.low, found.high] == pytest.approx([alone.value, alone.low, alone.high], abs=1e-9)


def test_rows_are_placed_by_responses_with_a_verdict():
    """The last row ends with the monitor's step; an event's number finds its place between them."""
    found = [Bucket(1, 50, 0, 1, {"g1": 40}, 10), Bucket(51, 100, 1, 2, {"g1": 30, "g2": 20}, 0)]
    rows = course.rows_of(found, GOALS, step=1090)

    assert [(row.start, row.end, row.failures) for row in rows] == [(1000, 1040, 10), (1040, 1090, 0)]
    assert course.step_at(found, rows, 75) == 1065
    assert course.step_at(found, rows, 100) == 1090
    assert course.step_at(found, rows, 0) == 1000
    assert course.step_at([Bucket(60, 70, 0, 1)], rows[:1], 3) is None


def test_evidence_is_placed_backwards_from_the_last_minute():
    """A minute's evidence stands where its last response does; minutes that noted none give no point."""
    first, last = Minute(0, {"g1": 10}, 0, 1.0, 9.0), Minute(120, {"g2": 20}, 0, 3.0, 9.0)
    minutes = [first, Minute(60, {"g1": 5}, 2, None, None), last]

    assert course.signals_of(minutes, step=135) == [course.Signal(110.0, 1.0, 9.0), course.Signal(135.0, 3.0, 9.0)]


def test_what_was_not_noted_is_not_drawn():
    """The line of evidence is broken where a tenth of it is not known, or it began anew; the threshold is not."""
    found = [Bucket(at * 100 + 1, at * 100 + 100, at, at, {"g1": 100}) for at in range(10)]
    rows = course.rows_of(found, GOALS, step=1000)
    signals = [course.Signal(step, value, 9.0) for step, value in ((100, 1.0), (150, 2.0), (900, 3.0), (990, 4.0))]
    drawn = course.draw(rows, signals, [], GOALS)
    begun = course.draw(rows, signals, [course.Sign(120, "deployment", "deployment v2", 0.0)], GOALS)

    assert drawn.evidence.paths["line"].count("M") == 2
    assert begun.evidence.paths["line"].count("M") == 3
    assert drawn.evidence.paths["threshold"].startswith("M0 ")
    assert "L1000 " in drawn.evidence.paths["threshold"]
    assert len(drawn.evidence.dots) == 4


def test_states_are_told_from_what_lies_on_disk():
    """The state read from a monitor's dict is the one the monitor has: learning, ok, alert, no data."""
    monitor = es.Monitor(es.Baseline.of_first(50), policy=es.Policy(silence=10))
    seen = set()
    for goal in ["g1"] * 50 + ["g1"] * 20 + ["g2"] * 60:
        monitor.update(goal, time="2026-03-01T12:00:00Z")
        assert state_of(monitor.to_dict()) == monitor.state
        seen.add(monitor.state)
    monitor.tick("2026-03-01T13:00:00Z")

    assert state_of(monitor.to_dict()) == monitor.state == "no-data"
    assert seen == {"learning", "ok", "alert"}


def test_paths_say_where_things_are():
    """A line, a band and a stack that a reader can check by hand."""
    x, y = Scale(0, 10, 1000), Scale(0, 1, 100, turned=True)

    assert line([(0, 0.0), (5, 1.0), (6, None), (10, 0.5)], x, y) == "M0 100L500 0M990 50h10"
    assert band([(0, 0.0, 0.5), (10, 0.5, 1.0)], x, y) == "M0 50L1000 0L1000 50L0 100Z"
    assert band([(5, 0.25, 0.5)], x, y) == "M495 50h10V75h-10Z"
    assert stacks([(0, 10, [3, 0, 1])], x, y) == ["M0 100V25H1000V100Z", "", "M0 25V0H1000V25Z"]
    assert [tick.text for tick in ticks(Scale(0, 1.609, 100), about=4)] == ["0.0", "0.5", "1.0", "1.5"]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 9))
def test_ticks_lie_on_their_axis(low, span, about):
    """Every axis has round values within it, in order, and not many more than asked for."""
    scale = Scale(low, low + span, 100)
    found = ticks(scale, about=about)

    assert len(found) <= about + 1
    assert [tick.place for tick in found] == sorted(tick.place for tick in found)
    assert all(0 <= tick.place <= 100 for tick in found)


def test_links_take_any_name():
    """Names that hold markup, separators or lone surrogates come back as they went."""
    for name in ("a/b?c=d&e#f", "<script>", "..", "\ud800 x", "日本"):
        address = link("/stream", name=name, last=5, none=None)
        back = dict(parse_qsl(urlsplit(address).query, errors="surrogatepass"))
        assert back == {"name": name, "last": "5"}
        assert address.isascii()
        assert not set('<>"') & set(address)


def test_nothing_of_a_page_is_inline():
    """The policy allows the service's own files alone; no template holds a script, a style or a handler of events."""
    assert "unsafe" not in CSP
    assert CSP.startswith("default-src 'none'")
    for page in files("ethostat.server.dashboard").joinpath("templates").iterdir():
        text = page.read_text(encoding="utf-8")
        assert "<style" not in text
        assert "style=" not in text
        assert "| safe" not in text
        assert "autoescape" not in text
        assert not re.search(r"<[^>]* on[a-z]+=", text)
        assert all(" src=" in tag or "application/json" in tag for tag in text.split("<script")[1:])


def test_assets_are_named_for_their_content():
    """An address changes with the content; the style sheet holds the goals' colours of reports, and loads nothing."""
    sheet = asset_bytes("dashboard.css").decode()

    assert asset("live.js").startswith("/static/live.js?v=")
    assert goal_classes((True, False, True)) == ["cool-0", "warm-0", "cool-1"]
    assert ".cool-0{" in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet
    with pytest.raises(KeyError):
        asset_bytes("../board.py")


def test_durations_are_short():
    """The largest unit says enough."""
    assert [duration(value) for value in (0, 9.94, 59, 3600, 200_000)] == ["0.0 s", "9.9 s", "59 s", "1 h", "2 d"]


async def _heard(pulse, tenant, stream, seconds):
    found = []

    async def listen():
        async for part in pulse.listen(tenant, stream):
            found.append(part.decode())  # noqa: PERF401 - what was heard before it is cancelled counts

    task = asyncio.create_task(listen())
    await asyncio.sleep(seconds)
    task.cancel()
    return "".join(found)


def test_listeners_hear_of_their_own_streams_alone(monkeypatch):
    """A change is told to those who listen to the stream or to all of its tenant, and to nobody else."""
    monkeypatch.setattr(live, "EVERY", 0.02)
    turn = count()

    def look():
        now = next(turn)
        return {Name("", "still"): (1, 1), Name("", "moving"): (now, now), Name("b", "secret"): (now, now)}

    async def everybody():
        pulse = Pulse(look)
        return await asyncio.gather(*(_heard(pulse, "", stream, 0.4) for stream in (None, "still", "moving")))

    everything, still, moving = asyncio.run(everybody())
    assert '{"streams": ["moving"]}' in everything
    assert "moving" in moving
    assert "event: moved" not in still
    assert "secret" not in everything + still + moving


def test_listening_ends_with_the_service(monkeypatch):
    """Once the service is being ended nobody is kept."""
    monkeypatch.setattr(live, "EVERY", 0.02)
    ending = []

    async def listen():
        pulse = Pulse(dict, is_ending=lambda: bool(ending))
        asyncio.get_running_loop().call_later(0.1, ending.append, True)
        async for _ in pulse.listen("", None):
            pass
        return len(pulse._listeners)

    assert asyncio.run(asyncio.wait_for(listen(), 5)) == 0


def followed(ledger, goals, *, deployed=None):
    """A stream that a service follows to its end, with a deployment after so many events; its position."""
    follower = Following(ledger, TEMPLATE)
    ledger.append([NewEvent("chat", str(n), goal=goal) for n, goal in enumerate(goals[:deployed])], now=100.0)
    follower._turn()
    if deployed is not None:
        key = ledger.find_stream("", "chat").stream_key

        def change(now):
            monitor = monitor_of(now, TEMPLATE)
            apply(monitor, "deployment", {"version": "v2"})
            return monitor.to_dict()

        ledger.intervene(key, "deployment", {"version": "v2"}, change)
        rest = [NewEvent("chat", f"more {n}", goal=goal) for n, goal in enumerate(goals[deployed:])]
        ledger.append(rest, now=200.0)
        follower._turn()
        follower._turn()
    return ledger.find_stream("", "chat")


@pytest.mark.parametrize("deployed", [None, 150])
def test_the_log_of_a_young_stream_says_all_its_evidence(ledger, deployed):
    """Read again, it gives the evidence after every few responses, the last that which lies on disk."""
    rng = np.random.default_rng(3)
    goals = [GOALS.keys[label] for label in rng.choice(5, 400, p=[0.7, 0.05, 0.15, 0.05, 0.05])]
    position = followed(ledger, goals, deployed=deployed)
    found = retraced(ledger, position, TEMPLATE)

    assert position.cursor == 400
    assert [one.step for one in found][-2:] == [398, 400]
    assert found[-1] == course.reading_of(monitor_of(position, TEMPLATE))
    assert all(one.step % 2 == 0 for one in found)


def test_evidence_that_cannot_be_traced_is_not_told(ledger):
    """Where the log is not whole, or the stream began with other settings, there is no trace."""
    position = followed(ledger, ["g1", "g3", "g2", "g1"] * 60)
    other = es.Monitor(es.Baseline.of_first(50), run_length=77)

    assert retraced(ledger, position, TEMPLATE)
    assert retraced(ledger, position, other) == []
    ledger.forget(1e12)
    assert retraced(ledger, position, TEMPLATE) == []
