"""Sessions: responses that depend on each other count once, when their session is over."""

from __future__ import annotations

import numpy as np
import pytest

import ethostat as es
from ethostat.errors import InvalidInput
from ethostat.maths.evidence import Learned, ProfileDetector, RunLength, portfolio_for
from ethostat.monitor.sessions import OpenSessions

NORMAL = np.array((0.90, 0.03, 0.04, 0.01, 0.02))
CHANGED = np.array((0.60, 0.30, 0.06, 0.02, 0.02))
PROFILE = es.Profile((900, 30, 40, 10, 20))
FLAGS = tuple(not aligned for aligned in es.FIVE_GOALS.aligned)
KEYS = es.FIVE_GOALS.keys


def conversations(rng: np.random.Generator, law: np.ndarray, n: int, *, icc: float = 0.3) -> np.ndarray:
    """Labels (n, 10) of conversations, each with a profile of its own about the law."""
    own = rng.dirichlet(law * (1 - icc) / icc + 1e-9, n)
    return np.minimum((rng.random((n, 10, 1)) > own.cumsum(axis=1)[:, None]).sum(axis=2), 4)


def interleaved(labels: np.ndarray, *, at_once: int = 5, name: str = "s") -> list[tuple[str, str]]:
    """Goals and names of sessions, so many of which are under way at a time."""
    return [
        (KEYS[labels[session, turn]], f"{name}{session}")
        for first in range(0, len(labels), at_once)
        for turn in range(labels.shape[1])
        for session in range(first, min(first + at_once, len(labels)))
    ]


def watching(run_length: float = 10_000, **more) -> es.Monitor:
    """A monitor of sessions that are ten responses long."""
    more = {"sessions": es.SessionEnd(longest=10), "policy": es.Policy(warn=False), **more}
    return es.Monitor(PROFILE, run_length=run_length, **more)


def test_a_session_is_one_bet_when_it_is_over():
    """The page comes with the session at which the detector of whole sessions alarms, however they are interleaved."""
    labels = conversations(np.random.default_rng(1), CHANGED, 60)
    detector = ProfileDetector(portfolio_for(PROFILE.counts, FLAGS), Learned(PROFILE.counts), RunLength(10_000))
    at = next(n for n, row in enumerate(labels) if detector.update_session(np.bincount(row, minlength=5)).alarm)
    monitor = watching()
    found = [alert for goal, name in interleaved(labels) if (alert := monitor.update(goal, session=name))]

    assert found[0].kind == "change"
    assert found[0].step == at // 5 * 50 + 45 + at % 5 + 1


def test_an_alert_of_sessions_counts_sessions_and_dates_the_change():
    """The window holds sessions, not responses; `since` is the first response of a session; the words say so."""
    rng = np.random.default_rng(2)
    before, after = conversations(rng, NORMAL, 60), conversations(rng, CHANGED, 80)
    monitor = watching()
    rows = [*interleaved(before), *interleaved(after, name="t")]
    found = [
        alert for n, (goal, name) in enumerate(rows) if (alert := monitor.update(goal, session=name, id=f"r{n + 1}"))
    ]

    (alert,) = found
    assert alert.since is not None
    assert alert.since.low <= 601 <= alert.since.high + 50
    assert alert.finding is not None
    assert 3 <= sum(alert.finding.window.values()) <= 80
    assert alert.finding.unit == "sessions"
    assert " sessions; " in alert.message
    assert "for sessions that do not depend on each other" in alert.promise
    assert {one.goal for one in alert.finding.moved} >= {"g1", "g2"}
    assert es.Alert.from_dict(alert.to_dict()).to_dict() == alert.to_dict()


def test_sessions_keep_the_promise_that_responses_break():
    """Nothing changes, conversations are alike within: by response pages pile up, by session they are rare."""
    rng = np.random.default_rng(3)
    rows = interleaved(conversations(rng, NORMAL, 400))
    found = {}
    for name, monitor in (
        ("sessions", watching(1000)),
        ("responses", es.Monitor(PROFILE, run_length=1000, policy=es.Policy(warn=False))),
    ):
        alerts = [alert for goal, session in rows if (alert := monitor.update(goal, session=session))]
        found[name] = sum(alert.kind == "change" for alert in alerts)

    assert found["responses"] >= 8
    assert found["sessions"] <= 4


def test_the_first_sessions_teach_and_recovery_is_seen():
    """A baseline is learned from whole sessions, which count once; a change that ends is over."""
    rng = np.random.default_rng(4)
    parts = [conversations(rng, law, n) for law, n in ((NORMAL, 100), (CHANGED, 80), (NORMAL, 150))]
    monitor = es.Monitor(
        es.Baseline.of_first(800), sessions=es.SessionEnd(longest=10), policy=es.Policy(warn=False), run_length=5000
    )
    rows = [row for n, part in enumerate(parts) for row in interleaved(part, name=str(n))]
    kinds = [alert.kind for goal, name in rows if (alert := monitor.update(goal, session=name))]

    assert kinds == ["change", "recovered"]


def test_when_a_session_is_over():
    """So many responses long, silent for so many of the stream or so many seconds, or without a name."""
    row, sessions = np.eye(5)[0], OpenSessions(es.SessionEnd(longest=3, idle=4, silence=60))

    assert [one.size for one in sessions.take(None, row, step=1)] == [1]
    assert [sessions.take("a", row, step=step) for step in (2, 3)] == [[], []]
    assert [one.size for one in sessions.take("a", row, step=4)] == [3]
    assert sessions.take("b", row, step=5) == []
    assert sessions.take("c", row, step=9, seconds=0.0) == []
    assert [(one.began, one.size) for one in sessions.take("d", row, step=10, seconds=10.0)] == [(5, 1)]
    assert [one.began for one in sessions.take("e", row, step=11, seconds=61.0)] == [9]
    assert [one.began for one in sessions.close()] == [10, 11]
    assert sessions.close() == []


def test_sessions_that_are_open_at_the_end_are_taken_as_over():
    """`close_sessions` counts what would otherwise wait."""
    monitor = watching(100)
    for n in range(9):
        assert monitor.update("g2", session=str(n)) is None
    found = monitor.close_sessions()

    assert found is not None
    assert found.kind == "change"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: watching(stratified=True), "no strata"),
        (lambda: watching(detector=es.KINDS["page-hinkley"]), "knows no sessions"),
        (lambda: es.SessionEnd(idle=0), "idle of a session must be above 0"),
    ],
)
def test_what_does_not_go_with_sessions_is_refused(call, message):
    """Strata, detectors of single responses, sessions that never begin."""
    with pytest.raises(InvalidInput, match=message):
        call()
