"""Scores of detectors: worked by hand, and against detectors whose run length is known."""

import numpy as np
import pytest
from scipy.stats import binom

from ethostat.maths.detection import alarms_on, average_run_length, detection, threshold_for
from ethostat.maths.detectors import PageHinkley, ProfileCusum, ProfileGlr
from ethostat.maths.evidence import Known, ProfileDetector, RunLength, portfolio_for

SHARES = (0.9, 0.04, 0.06)
CHANGED = (0.5, 0.4, 0.1)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(3)


def test_run_lengths_by_hand() -> None:
    """Alarms at the 10th and the 20th of 100 responses, and none in a third stream: 130 responses, 2 alarms, 65."""
    found = average_run_length([9, 19, 100], horizon=100)

    assert (found.value, found.unit, found.n) == (65, "responses", 3)
    assert found.low < 65 < found.high


def test_no_alarm_is_a_lower_bound_in_words() -> None:
    """Without an alarm nothing is estimated, and the method says how much is ruled out."""
    found = average_run_length([50, 50], horizon=50)

    assert not found.is_defined
    assert "no alarm in 100 responses, so at least 27" in found.method


def test_intervals_of_run_lengths_cover(rng: np.random.Generator) -> None:
    """Geometric run lengths of mean 50, censored at 80: at least 93 % of 400 intervals hold 50."""
    held = 0
    for _ in range(400):
        places = np.minimum(rng.geometric(1 / 50, 40) - 1, 80)
        found = average_run_length(places, horizon=80)
        held += found.low <= 50 <= found.high

    assert held >= binom.ppf(0.001, 400, 0.95)


def test_delays_by_hand() -> None:
    """A change at 10 of 50: a false alarm, delays 1 and 11, and one never found, which counts as 40."""
    found = detection([5, 10, 20, 50], change=10, horizon=50)

    assert found.false_alarms == 1
    assert found.delay.value == pytest.approx((1 + 11 + 40) / 3)
    assert found.detected.value == pytest.approx(2 / 3)
    assert found.detected.low < 2 / 3 < found.detected.high
    assert not detection([1, 2], change=10, horizon=50).delay.is_defined


def test_alarms_of_many_streams_are_those_of_one(rng: np.random.Generator) -> None:
    """Each row gets a fresh copy, whichever detector it is."""
    labels = np.concatenate([rng.choice(3, size=(8, 30), p=SHARES), rng.choice(3, size=(8, 40), p=CHANGED)], axis=1)
    evidence = ProfileDetector(portfolio_for(SHARES, (False, True, True)), Known(SHARES), RunLength(100))
    for detector in (evidence, ProfileCusum(SHARES, CHANGED), PageHinkley((False, True, True), threshold=4)):
        alone = [detector.copy().first_alarm(row) for row in labels]

        assert alarms_on(detector, labels).tolist() == [70 if place is None else place for place in alone]
    assert detector.responses == 0


def test_thresholds_give_the_run_length(rng: np.random.Generator) -> None:
    """Tuned to 100 on 60 streams, the run length on 100 others is 100 within a third."""
    for make in (lambda h: ProfileCusum(SHARES, CHANGED, threshold=h), lambda h: ProfileGlr(SHARES, threshold=h)):
        tuned = make(threshold_for(make(1e9), SHARES, 100, rng, runs=60))
        found = average_run_length(alarms_on(tuned, rng.choice(3, size=(100, 400), p=SHARES)), horizon=400)

        assert 67 <= found.value <= 150


def test_the_cusum_keeps_its_theorem(rng: np.random.Generator) -> None:
    """At threshold ln 50 the run length is at least 50."""
    cusum = ProfileCusum(SHARES, CHANGED, threshold=np.log(50))

    assert average_run_length(alarms_on(cusum, rng.choice(3, size=(100, 600), p=SHARES)), horizon=600).value >= 50
