"""Evidence, whatever the baseline, the taxonomy and the stream: properties that hold for all of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethostat.maths.evidence import (
    Known,
    Learned,
    Lifetime,
    ProfileDetector,
    RunLength,
    Streams,
    change_point,
    e_benjamini_hochberg,
    portfolio_for,
)

PROMISES = st.one_of(
    st.floats(1, 1e12).map(RunLength),
    st.builds(Lifetime, st.floats(1e-9, 0.5), st.one_of(st.none(), st.integers(1, 50))),
)


@st.composite
def detectors(draw) -> ProfileDetector:
    """Any default detector: two to seven goals, shares down to one in ten million, or counts down to none."""
    goals = draw(st.integers(2, 7))
    flags = draw(st.lists(st.booleans(), min_size=goals, max_size=goals))
    if draw(st.booleans()):
        weights = np.array(draw(st.lists(st.floats(1e-7, 1), min_size=goals, max_size=goals)))
        shares = tuple((weights / weights.sum()).tolist())
        return ProfileDetector(portfolio_for(shares, flags), Known(shares), draw(PROMISES))
    counts = tuple(draw(st.lists(st.integers(0, 10**6), min_size=goals, max_size=goals)))
    return ProfileDetector(portfolio_for(counts, flags), Learned(counts, draw(st.integers(0, 10**7))), draw(PROMISES))


@st.composite
def streams(draw) -> tuple[ProfileDetector, list[int]]:
    """A detector and labels for it."""
    detector = draw(detectors())
    return detector, draw(st.lists(st.integers(0, detector.goals - 1), min_size=1, max_size=60))


@given(detectors())
@settings(max_examples=60, deadline=None)
def test_every_alternative_is_a_fair_bet(detector: ProfileDetector) -> None:
    """Factors are above 0 and 1 on average under the baseline; stakes sum to 1."""
    table = detector.portfolio.table(detector.shares)

    assert (table > 0).all()
    np.testing.assert_allclose(detector.shares @ table, 1, rtol=1e-9)
    assert detector.stakes.sum() == pytest.approx(1)


@given(streams())
@settings(max_examples=60, deadline=None)
def test_one_step_ahead_the_evidence_is_fair(case: tuple[ProfileDetector, list[int]]) -> None:
    """Wherever a stream stands, the mean of M after the next label is M plus what the promise adds."""
    detector, labels = case
    detector.run(labels)
    shares, ahead = detector.shares, []
    for goal in range(detector.goals):
        one = detector.copy()
        one.update(goal)
        ahead.append(one.total)

    added = 1 if isinstance(detector.promise, RunLength) else 0
    assert shares @ ahead == pytest.approx(detector.total + added, rel=1e-8)


@given(streams(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_restart_changes_nothing(case: tuple[ProfileDetector, list[int]], data: st.DataObject) -> None:
    """Cut anywhere, through JSON and back: the same to the end, and the same as one of many streams."""
    detector, labels = case
    many = Streams(detector, 2)
    cut = data.draw(st.integers(0, len(labels)))
    other = detector.copy()
    detector.run(labels)
    other.run(labels[:cut])
    other = ProfileDetector.from_dict(json.loads(json.dumps(other.to_dict())))
    other.run(labels[cut:])
    many.update([1] * len(labels), labels)

    assert other.to_dict() == detector.to_dict() == many.detector(1).to_dict()
    assert math.isfinite(detector.evidence)


@given(streams())
@settings(max_examples=40, deadline=None)
def test_since_when_is_in_the_stream(case: tuple[ProfileDetector, list[int]]) -> None:
    """The time of change and its interval lie within the labels, in order."""
    detector, labels = case
    detector.run(labels)
    found = change_point(detector, labels)

    assert 0 <= found.low <= found.value <= found.high <= len(labels) - 1


@given(st.lists(st.floats(-50, 50), max_size=30), st.floats(0.01, 0.99))
def test_more_evidence_never_loses_a_discovery(logs: list[float], rate: float) -> None:
    """What is rejected stays rejected where its e-value, or any other, grows."""
    before = e_benjamini_hochberg(logs, rate=rate)
    after = e_benjamini_hochberg([value + 1 for value in logs], rate=rate)

    assert (after | ~before).all()
