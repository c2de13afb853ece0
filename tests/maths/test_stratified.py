"""StratifiedDetector: a change of the mix is no evidence, a change within is, and the bets stay fair."""

import itertools
import json

import numpy as np
import pytest

from ethostat.maths.evidence import Known, Learned, Lifetime, ProfileDetector, RunLength, StratifiedDetector
from ethostat.maths.evidence.portfolio import portfolio_for

FLAGS = (False, True, False, True, True)
CHAT = (0.95, 0.02, 0.01, 0.01, 0.01)
GUARD = (0.40, 0.02, 0.56, 0.01, 0.01)


def two_strata(promise=None) -> StratifiedDetector:
    """Two strata that behave differently."""
    return StratifiedDetector(FLAGS, {"chat": Known(CHAT), "guard": Known(GUARD)}, promise)


@pytest.mark.parametrize("promise", [RunLength(1e6), Lifetime(0.01), Lifetime(0.01, horizon=50)])
@pytest.mark.parametrize("strata", [("chat",) * 3, ("chat", "guard", "chat"), ("guard", "guard", "chat")])
def test_whatever_the_order_of_strata_the_bets_are_fair(promise, strata):
    """Over all sequences of three goals, M has the mean that the promise adds to what it began with."""
    laws = {"chat": CHAT, "guard": GUARD}
    mean = 0.0
    for labels in itertools.product(range(5), repeat=3):
        detector = two_strata(promise)
        for label, stratum in zip(labels, strata, strict=True):
            detector.update(label, stratum)
        weight = np.prod([laws[stratum][label] for label, stratum in zip(labels, strata, strict=True)])
        mean += weight * detector.total

    assert mean == pytest.approx(3.0 if isinstance(promise, RunLength) else 1.0)


def test_one_stratum_is_the_plain_detector():
    """With a single stratum the evidence is that of a ProfileDetector, to the last bit."""
    counts = (90.0, 2.0, 5.0, 1.0, 2.0)
    plain = ProfileDetector(portfolio_for(counts, FLAGS), Learned(counts))
    stratified = StratifiedDetector(FLAGS, {"": Learned(counts)})
    for label in np.random.default_rng(2).choice(5, 200, p=CHAT).tolist():
        plain.update(label)
        stratified.update(label, "")

    assert stratified.reading == plain.reading


def test_a_change_of_the_mix_is_no_evidence_and_one_within_is():
    """When guarded traffic grows tenfold nothing alarms; when the guarded stratum alone changes, it does."""
    rng = np.random.default_rng(3)
    mix, within = two_strata(), two_strata()
    for _ in range(400):
        stratum = "guard" if rng.random() < 0.9 else "chat"
        mix.update(rng.choice(5, p=GUARD if stratum == "guard" else CHAT), stratum)
    for _ in range(400):
        stratum = "guard" if rng.random() < 0.5 else "chat"
        within.update(rng.choice(5, p=(0.6, 0.2, 0.18, 0.01, 0.01) if stratum == "guard" else CHAT), stratum)

    assert not mix.reading.alarm
    assert within.reading.alarm


def test_the_change_is_dated_and_a_restart_changes_nothing():
    """The interval of the time of change covers it; through JSON and back the evidence goes on to the last bit."""
    rng = np.random.default_rng(5)
    detector, labels, strata = StratifiedDetector(FLAGS, {"chat": Learned((95.0, 2, 1, 1, 1))}), [], []
    for place in range(90):
        labels.append(int(rng.choice(5, p=CHAT if place < 60 else (0.5, 0.3, 0.1, 0.05, 0.05))))
        strata.append("chat" if place % 3 else "new")
        detector.update(labels[-1], strata[-1])
        detector = StratifiedDetector.from_dict(json.loads(json.dumps(detector.to_dict())))
    unbroken = StratifiedDetector(FLAGS, {"chat": Learned((95.0, 2, 1, 1, 1))})
    for label, stratum in zip(labels, strata, strict=True):
        unbroken.update(label, stratum)

    since = detector.change_point(labels, strata)
    assert since.low <= 60 <= since.high
    assert detector.to_dict() == unbroken.to_dict()


def test_soft_certainty_is_a_label_and_a_label_must_exist():
    """A one-hot row is its label, to the last bit; another label is refused and changes nothing."""
    hard, soft = two_strata(), two_strata()
    hard.update(1, "chat")
    soft.update_soft(np.eye(5)[1], "chat")

    assert hard.to_dict() == soft.to_dict()
    with pytest.raises(ValueError, match="0 to 4"):
        hard.update(5, "chat")
    assert hard.responses == 1


def test_reset_forgets_evidence():
    """After a reset the evidence is that of a new detector."""
    detector = two_strata()
    for _ in range(5):
        detector.update(1, "guard")
    detector.reset()

    assert detector.to_dict() == two_strata().to_dict()
