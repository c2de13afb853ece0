"""Detectors: one contract that each of them keeps, and each against its definition."""

import json
import math

import numpy as np
import pytest

from ethostat.maths.detector import Detector
from ethostat.maths.detectors import (
    NAMED,
    EntropyEwma,
    PageHinkley,
    PaperThreshold,
    ProfileCusum,
    ProfileGlr,
    detector_from_dict,
    entropy_of_row,
    mean_plug_in,
)
from ethostat.maths.evidence import DirectedDetector, Known, Learned, ProfileDetector, RunLength, portfolio_for

SHARES = (0.90, 0.02, 0.05, 0.01, 0.02)
CHANGED = (0.40, 0.30, 0.10, 0.10, 0.10)
FLAGS = (False, True, False, True, True)
PORTFOLIO = portfolio_for(SHARES, FLAGS)

MAKERS = {
    "profile": lambda: ProfileDetector(PORTFOLIO, Known(SHARES), RunLength(500)),
    "profile, learning": lambda: ProfileDetector(PORTFOLIO, Learned((90, 2, 5, 1, 2), 140), RunLength(500)),
    "directed": lambda: DirectedDetector(FLAGS, 0.06, RunLength(500)),
    "paper-threshold": lambda: PaperThreshold(5, step=20),
    "paper-threshold, sliding": lambda: PaperThreshold(5, step=20, sliding=True),
    "ewma-entropy": lambda: EntropyEwma(SHARES, threshold=0.3, step=10),
    "profile-cusum": lambda: ProfileCusum(SHARES, CHANGED),
    "page-hinkley": lambda: PageHinkley(FLAGS, threshold=5),
    "profile-glr": lambda: ProfileGlr(SHARES, threshold=9, longest=64),
}
every_detector = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(5)


def test_every_named_detector_is_under_the_contract() -> None:
    """No detector stands in the list of names without standing in these tests."""
    assert {make().name for make in MAKERS.values()} == set(NAMED)


@every_detector
def test_a_change_is_found(make, rng: np.random.Generator) -> None:
    """60 quiet responses, then 300 of another profile: evidence is above its threshold some time after the change."""
    detector = make()
    labels = np.r_[rng.choice(5, size=60, p=SHARES), rng.choice(5, size=300, p=CHANGED)]

    assert (detector.run(labels)[60:] >= detector.reading.threshold).any()


@every_detector
def test_first_alarm_is_the_first_reading_in_alarm(make, rng: np.random.Generator) -> None:
    """Its place is where `update` first says so."""
    labels = np.r_[rng.choice(5, size=60, p=SHARES), rng.choice(5, size=200, p=CHANGED)]
    other = make()
    alarms = [other.update(label).alarm for label in labels.tolist()]

    assert make().first_alarm(labels) == alarms.index(True)
    assert make().first_alarm([]) is None


@every_detector
def test_a_restart_at_any_event_changes_nothing(make, rng: np.random.Generator) -> None:
    """Through JSON and back at each of 100 events: the same readings, the same state."""
    whole, restarted = make(), make()
    for label in rng.choice(5, size=100, p=CHANGED).tolist():
        restarted = detector_from_dict(json.loads(json.dumps(restarted.to_dict())))
        assert restarted.update(label) == whole.update(label)
    assert restarted.to_dict() == whole.to_dict()


@every_detector
def test_copies_go_their_own_way(make, rng: np.random.Generator) -> None:
    """What one copy sees does not reach the other."""
    one = make()
    one.run(rng.choice(5, size=50, p=CHANGED))
    before = one.to_dict()
    one.copy().run(rng.choice(5, size=50, p=SHARES))

    assert one.to_dict() == before


@every_detector
def test_a_one_hot_verdict_is_a_label(make, rng: np.random.Generator) -> None:
    """To the last bit."""
    hard, soft = make(), make()
    for label in rng.choice(5, size=100, p=CHANGED).tolist():
        assert hard.update(label) == soft.update_soft(np.eye(5)[label])
    assert hard.to_dict() == soft.to_dict()


@every_detector
def test_unsure_verdicts_are_taken(make, rng: np.random.Generator) -> None:
    """Probabilities of any shape leave a finite reading."""
    detector = make()
    for row in rng.dirichlet(np.full(5, 0.2), size=100):
        assert math.isfinite(detector.update_soft(row).evidence)


@every_detector
def test_counts_are_as_many_responses(make) -> None:
    """A step of 25 counts is 25 responses, in an order that a restart repeats; the order may matter, the number not."""
    one, other = make(), make()
    assert one.update_counts((15, 5, 2, 2, 1)) == other.update_counts([15, 5, 2, 2, 1])
    assert one.responses == 25


@every_detector
def test_a_reset_makes_it_new(make, rng: np.random.Generator) -> None:
    """As though it had seen nothing (a baseline that has stopped learning stays)."""
    detector = make()
    detector.run(rng.choice(5, size=30, p=CHANGED))
    detector.reset()

    assert detector.to_dict() == make().to_dict()
    assert not detector.reading.alarm


@every_detector
def test_labels_that_are_none_are_refused(make) -> None:
    """A goal that there is not, probabilities that do not add up."""
    for broken in (lambda d: d.update(5), lambda d: d.update(-1), lambda d: d.update_soft([0.5] * 5)):
        with pytest.raises(ValueError, match="must be"):
            broken(make())


def test_the_papers_rule_by_hand() -> None:
    """Steps of four: S is 0, then ln 2, then ln 2 again: the second step alarms and the third does not."""
    rule = PaperThreshold(3, step=4)
    readings = [rule.update(label) for label in (0, 0, 0, 0, 0, 1, 1, 0, 2, 2, 1, 1)]

    assert [readings[place].evidence for place in (3, 7, 11)] == pytest.approx([0, math.log(2), 0])
    assert [readings[place].alarm for place in (3, 7, 11)] == [False, True, False]


def test_a_sliding_step_is_one_response(rng: np.random.Generator) -> None:
    """The statistic is the difference of the plug-in S of the last ten and of the ten before the newest."""
    labels = rng.choice(5, size=60, p=CHANGED)
    path = PaperThreshold(5, step=10, sliding=True).run(labels)

    for place in range(10, 60):
        now, before = (
            entropy_of_row(np.bincount(labels[place - 9 - lag : place + 1 - lag]).tolist()) for lag in (0, 1)
        )
        assert path[place] == pytest.approx(abs(now - before), abs=1e-12)


def test_the_papers_rule_fires_while_nothing_changes(rng: np.random.Generator) -> None:
    """As published, with 100 labels a step: at least 90 % of 400 quiet steps alarm."""
    path = PaperThreshold(5).run(rng.choice(5, size=40_000, p=SHARES))[199::100]

    assert (path > 0.001).mean() >= 0.9


def test_the_ewma_is_centred_where_plug_in_entropy_is(rng: np.random.Generator) -> None:
    """The mean of the plug-in S of ten labels by adding up binomials agrees with 20,000 simulations within 4 errors."""
    simulated = np.array([entropy_of_row(row) for row in rng.multinomial(10, SHARES, 20_000).tolist()])

    assert abs(simulated.mean() - mean_plug_in(np.array(SHARES), 10)) <= 4 * simulated.std() / np.sqrt(20_000)
    assert EntropyEwma(SHARES, threshold=1, step=10).centre == mean_plug_in(np.array(SHARES), 10)


def test_the_cusum_is_the_largest_log_ratio(rng: np.random.Generator) -> None:
    """At each label: the largest sum of ln q / p over the labels since any time, or 0."""
    labels = rng.choice(5, size=80, p=SHARES)
    gains = np.log(np.array(CHANGED) / SHARES)[labels]
    path = ProfileCusum(SHARES, CHANGED).run(labels)

    for place in range(80):
        assert path[place] == pytest.approx(max(0, *(gains[since : place + 1].sum() for since in range(place + 1))))


def test_page_hinkley_by_hand() -> None:
    """Nothing flagged, then flagged throughout: means 0, 0, 1/3, 1/2; exceedances 2/3 and 1/2, less 0.005 each."""
    path = PageHinkley((False, True), forgetting=1.0).run([0, 0, 1, 1])

    assert path == pytest.approx([0, 0, 2 / 3 - 0.005, 2 / 3 + 1 / 2 - 0.01])


def test_the_glr_is_the_largest_over_its_windows(rng: np.random.Generator) -> None:
    """Blocks have lengths 1, 1 or 2, 2 ... and tile the last responses; the statistic is n KL of the best window."""
    labels = rng.choice(5, size=200, p=CHANGED)
    detector = ProfileGlr(SHARES, threshold=9, longest=128)
    for place, label in enumerate(labels.tolist()):
        found = detector.update(label).evidence
        ends = np.cumsum(detector.sizes)
        best = 0.0
        for n in ends:
            seen = np.bincount(labels[place + 1 - n : place + 1], minlength=5)
            best = max(best, sum(c * math.log(c / n / p) for c, p in zip(seen, SHARES, strict=True) if c))
        assert found == pytest.approx(best)
    assert len(detector.sizes) <= 16
    assert max(detector.sizes.count(size) for size in detector.sizes) <= 2
    assert 64 <= sum(detector.sizes) <= 128


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda: PaperThreshold(5, step=0), "at least 1"),
        (lambda: PaperThreshold(5, threshold=0), "above 0"),
        (lambda: EntropyEwma(SHARES, threshold=1, weight=0), "weight"),
        (lambda: ProfileCusum(SHARES, (0.5, 0.5)), "one share for each of 5"),
        (lambda: ProfileCusum(SHARES, (0.5, 0.5, 0, 0, 0)), "above 1e-9"),
        (lambda: detector_from_dict({"name": "adwin"}), "'adwin' is unknown; there are profile"),
    ],
)
def test_what_breaks_a_rule_is_named(broken, words: str) -> None:
    """Errors say which rule, and the value."""
    with pytest.raises(ValueError, match=words):
        broken()


def test_detectors_share_the_protocol() -> None:
    """Whoever holds a detector need not know which."""
    assert all(issubclass(kind, Detector) for kind in NAMED.values())
