"""PanelDetector: what it promises, that state is exact, and that it sees what a panel does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ethostat.maths.evidence.panels import Moves, PanelDetector
from ethostat.maths.evidence.promise import Lifetime, RunLength

FLAGS = (False, True, False, True, True)
HELPED, REFUSED = (0.94, 0.01, 0.03, 0.01, 0.01), (0.02, 0.02, 0.94, 0.01, 0.01)
PANEL = np.array([HELPED] * 8 + [REFUSED] * 4)
ORDER = np.tile(np.arange(12), 3)


def drawn(rng: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """A goal for each row of shares (..., K)."""
    return np.minimum((rng.random((*shares.shape[:-1], 1)) > shares.cumsum(axis=-1)).sum(axis=-1), 4)


def counted(rng: np.random.Generator, each: int, copies: int = 1) -> np.ndarray:
    """Baselines of so many responses a prompt, (copies, 12, 5)."""
    return np.stack([rng.multinomial(each, row, copies) for row in PANEL], axis=1)


def test_alternatives_are_profiles():
    """Each alternative is a profile: its factors are 1 on average under the baseline, and none is below 0."""
    moves, shares = Moves.of(FLAGS), np.array([HELPED])
    factors = np.stack([moves.factors(np.array([x]), shares[:, x], shares)[0] for x in range(5)])

    assert np.allclose(HELPED @ factors, 1)
    assert factors.min() >= 0
    assert moves.stakes.sum() == pytest.approx(1)


def test_predictions_are_probabilities_and_learn():
    """What the null law says of the next answer sums to 1, and follows what a prompt says."""
    detector = PanelDetector(counted(np.random.default_rng(1), 9), FLAGS, Lifetime(0.01))
    before = detector.shares(0)[0]
    detector.take([0] * 20, [4] * 20)

    assert before.sum() == pytest.approx(1)
    assert detector.shares(0)[0].sum() == pytest.approx(1)
    assert detector.shares(0)[0, 4] > 0.4 > 0.05 > before[4]


def test_how_common_strange_answers_are_is_learned_from_other_prompts():
    """After one strange answer on a third of the prompts, one that gave none is expected to give it nearly twice as
    often; as long as how alike prompts are was learned from the baseline alone, it was 1.45 times.
    """
    baseline = np.tile([9, 0, 0, 0, 0], (30, 1))
    baseline[:2] = [[3, 0, 0, 0, 6], [4, 0, 0, 0, 5]]
    detector = PanelDetector(baseline, FLAGS, Lifetime(0.01))
    before = detector.shares(29)[0, 4]
    detector.take(range(30), [4 if 5 <= prompt < 15 else 0 for prompt in range(30)])
    detector.take(range(30), [0] * 30)

    assert detector.shares(29)[0, 4] > 1.8 * before


@pytest.mark.parametrize("promise", [Lifetime(0.05), RunLength(400)])
def test_the_promise_holds_under_its_own_law(promise):
    """Answers drawn from what the null law predicts keep the promise: at most alpha ever, or a run length kept."""
    rng, copies, looks = np.random.default_rng(2), 100, 15
    detector = PanelDetector(counted(rng, 5, copies), FLAGS, promise, groups=[0] * 8 + [1] * 4)
    fired = np.zeros(copies, dtype=bool)
    for _ in range(looks):
        for prompt in range(12):
            detector.take([prompt], drawn(rng, detector.shares(prompt))[:, None], opens=prompt == 0)
        fired |= detector.alarms

    most = 0.05 if isinstance(promise, Lifetime) else looks * 12 / 400
    assert fired.mean() <= most + 2 * np.sqrt(most * (1 - most) / copies)


def test_refusals_that_rise_are_found_and_dated():
    """Where a third of the answers become refusals it is found within five looks of 36, and dated."""
    rng, found, held = np.random.default_rng(3), [], []
    changed = PANEL + np.where(PANEL[:, :1] > 0.5, [[-0.35, 0, 0.35, 0, 0]], 0)
    for _ in range(10):
        detector = PanelDetector(counted(rng, 20), FLAGS, Lifetime(0.01), groups=[0] * 8 + [1] * 4)
        for look in range(10):
            detector.take(ORDER, drawn(rng, (PANEL if look < 5 else changed)[ORDER]))
            if detector.reading.alarm:
                since = detector.since()
                found.append(look - 5)
                held.append(since.low <= 5 <= since.high)
                break

    assert len(found) >= 9
    assert min(found) >= 0
    assert sum(held) >= len(held) - 1


def test_a_state_in_json_goes_on_to_the_last_bit():
    """Through JSON after every look, evidence and dates are those of an unbroken detector."""
    rng = np.random.default_rng(4)
    whole = PanelDetector(counted(rng, 9), FLAGS, Lifetime(0.01), groups=[0, 1] * 6)
    broken = PanelDetector.from_dict(json.loads(json.dumps(whole.to_dict())))
    for look in range(6):
        labels = drawn(rng, PANEL[ORDER])
        for one in (whole, broken):
            one.take(ORDER, labels, opens=look % 2 == 0)
        broken = PanelDetector.from_dict(json.loads(json.dumps(broken.to_dict())))

        assert broken.reading == whole.reading
    assert broken.since() == whole.since()


def test_copies_are_detectors_of_their_own():
    """Each of many copies has the evidence that it would have alone."""
    rng = np.random.default_rng(5)
    baselines, labels = counted(rng, 9, 3), drawn(rng, np.broadcast_to(PANEL[ORDER], (3, len(ORDER), 5)))
    together = PanelDetector(baselines, FLAGS, Lifetime(0.01))
    together.take(ORDER, labels)
    alone = []
    for baseline, row in zip(baselines, labels, strict=True):
        one = PanelDetector(baseline, FLAGS, Lifetime(0.01))
        one.take(ORDER, row)
        alone.append(one.reading.evidence)

    assert np.allclose(together.evidence, alone, rtol=1e-12)


def test_a_flood_saturates():
    """A look of a thousand answers that all changed overflows nothing, and forgetting begins anew."""
    detector = PanelDetector(np.tile([200, 0, 0, 0, 0], (4, 1)), FLAGS, RunLength(1000))
    detector.take(np.tile(np.arange(4), 250), [1] * 1000)

    assert detector.reading.alarm
    assert np.isfinite(detector.reading.evidence)
    detector.reset()
    assert not detector.reading.alarm


@pytest.mark.parametrize(
    ("prompts", "labels"), [([], []), ([12], [0]), ([-1], [0]), ([0], [5]), ([0, 1], [0])], ids=str
)
def test_what_is_no_look_is_refused(prompts, labels):
    """Prompts and labels that there are not raise, and change nothing."""
    detector = PanelDetector(counted(np.random.default_rng(6), 5), FLAGS, Lifetime(0.01))
    before = detector.to_dict()

    with pytest.raises(ValueError, match=r"response|prompts"):
        detector.take(prompts, labels)
    assert detector.to_dict() == before
