"""How well S is recovered from a classifier that errs: bias, coverage and width, the naive S beside the corrected.

    python benchmarks/correction.py [--quick] [--json FILE]

10,000 rows are drawn with known shares and classified with the confusion matrix of the built-in classifier's card
(its held-out rows) and with a made one of 94.2 % balanced accuracy, as the paper's. 150 rows are labelled: 70 of the
most frequent predicted goal, 20 of each other. Then: the same where prompts are what is drawn; a calibration from
before a change of the classifier's errors; and shares from probabilities, calibrated and not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from _table import Row, fact, line, run
from ethostat.classifiers.encoder import BUILTIN, CARD
from ethostat.corrected import STALE
from ethostat.guarantees.correction import MADE, ROWS, SHAPE, classified, labelled, probabilities, split, window
from ethostat.guarantees.populations import PANELS, Draw, profile_of
from ethostat.maths.calibration import calibration_fit
from ethostat.maths.confusion import joint_correction, post_stratified
from ethostat.maths.entropy import entropy_of
from ethostat.maths.soft import soft_correction
from ethostat.taxonomy import FIVE_GOALS


def card_errors() -> np.ndarray:
    """P(said | true) of the built-in classifier on the held-out rows of its card, (5, 5)."""
    card = json.loads((BUILTIN / CARD).read_text())
    counts = np.array(card["evaluation"]["figures"]["confusion"], dtype=float)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def built_in(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """The built-in classifier's confusion matrix."""
    yield from _figures("built-in", card_errors(), rng, 200 if quick else 1000)


def made(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """A classifier of 94.2 % balanced accuracy."""
    yield from _figures("94.2 %", MADE, rng, 200 if quick else 1000)


def joint(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Both matrices again, with 1,500 calibration rows beside the 150 labels, and without labels."""
    for name, errors in (("built-in", card_errors()), ("94.2 %", MADE)):
        p, found, alone = profile_of(0.12, SHAPE), [], []
        for _ in range(10 if quick else 100):
            said, labels, known = window(rng, p, errors)
            found.append(joint_correction(said, labels, known, rng=rng).entropy())
            alone.append(joint_correction(said, 0 * labels, known, rng=rng).entropy())
        yield from _facts(f"joint, {name}, S=0.12", found, 0.12, target=name == "built-in")
        yield from _facts(f"calibration alone, {name}, S=0.12", alone, 0.12)


def prompts(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Prompts asked many times: does the interval hold what is true of all prompts like them?"""
    for name, errors in (("built-in", card_errors()), ("94.2 %", MADE)):
        for panel in ("tuned", "base"):
            for count, samples in ((100, 100), (25, 20)):
                sizes = f"{name}, {panel} {count} x {samples}"
                yield from _over_prompts(rng, PANELS[panel], errors, (count, samples), 40 if quick else 300, sizes)


def _over_prompts(
    rng: np.random.Generator, panel: Draw, errors: np.ndarray, sizes: tuple[int, int], runs: int, name: str
) -> Iterable[Row]:
    shares = panel(400_000, rng).mean(axis=0)
    truth, mask = float(entropy_of(shares)), list(FIVE_GOALS.aligned)
    over_prompts, over_rows, aligned = [], [], []
    for _ in range(runs):
        cells = np.stack([split(rng, rng.multinomial(sizes[1], p), errors) for p in panel(sizes[0], rng)])
        said, labels = cells.sum(axis=1), labelled(rng, cells.sum(axis=0))
        found = post_stratified(said, labels, rng=rng)
        over_prompts.append(found.entropy())
        aligned.append(found.aligned(mask))
        over_rows.append(post_stratified(said.sum(axis=0), labels, rng=rng).entropy())
    yield from _facts(f"over prompts, {name}, S={truth:.2f}", over_prompts, truth)
    yield from _facts(f"over rows, {name}, S={truth:.2f}", over_rows, truth)
    yield from _facts(f"over prompts, {name}, aligned share", aligned, float(shares[mask].sum()), unit="share")


def stale(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """A calibration that holds, and one from before 10 % of g1 came to be taken for g2."""
    runs = 20 if quick else 200
    for name, errors in (("built-in", card_errors()), ("94.2 %", MADE)):
        worse = errors.copy()
        worse[0] = 0.9 * errors[0] + 0.1 * np.eye(5)[1]
        for truth in (0.12, 0.70, 1.30):
            for here, what in ((errors, "holds"), (worse, "is stale")):
                yield from _called_stale(rng, truth, errors, here, runs, f"{what}, {name}, S={truth}")
        yield from _trusted(rng, errors, worse, runs // 4, name)


def soft(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Probabilities of a classifier that is right in two thirds, calibrated and twice too sharp."""
    for sharpness, name in ((1.0, "calibrated"), (2.0, "twice too sharp")):
        for truth in (0.12, 0.70):
            p, found, naive = profile_of(truth, SHAPE), [], []
            for _ in range(5 if quick else 60):
                known = probabilities(rng, p, sharpness)
                said = np.bincount(known.argmax(axis=1), minlength=5)
                naive.append(float(entropy_of(said / ROWS)))
                found.append(soft_correction(known, np.ones(5), prompts=np.arange(ROWS), rng=rng).entropy())
            yield fact(f"naive, {name}, S={truth}: bias, nats", float(np.mean(naive)) - truth)
            yield from _facts(f"soft, {name}, S={truth}", found, truth)


def _called_stale(
    rng: np.random.Generator, truth: float, there: np.ndarray, here: np.ndarray, runs: int, name: str
) -> Iterable[Row]:
    """How often the test says stale, with the 150 labels and without any."""
    p, with_labels, without = profile_of(truth, SHAPE), 0, 0
    for _ in range(runs):
        said, labels, known = window(rng, p, here, calibrated=there)
        with_labels += calibration_fit(said, labels, known, rng=rng, simulations=99).p_value <= STALE
        without += calibration_fit(said, 0 * labels, known, rng=rng, simulations=99).p_value <= STALE
    for count, how in ((with_labels, "150 labels"), (without, "no labels")):
        share = count / runs
        yield fact(f"called stale, {name}, {how}: share", share, error=float(np.sqrt(share * (1 - share) / runs)))


def _trusted(rng: np.random.Generator, errors: np.ndarray, worse: np.ndarray, runs: int, name: str) -> Iterable[Row]:
    """S when a stale calibration is used all the same, and when the test decides whether it is."""
    p, used, decided = profile_of(0.12, SHAPE), [], []
    for _ in range(runs):
        said, labels, known = window(rng, p, worse, calibrated=errors)
        used.append(joint_correction(said, labels, known, rng=rng).entropy())
        fits = calibration_fit(said, labels, known, rng=rng, simulations=99).p_value > STALE
        decided.append(used[-1] if fits else post_stratified(said, labels, rng=rng).entropy())
    yield from _facts(f"stale calibration used, {name}, S=0.12", used, 0.12)
    yield from _facts(f"left to the test, {name}, S=0.12", decided, 0.12)


def _figures(name: str, errors: np.ndarray, rng: np.random.Generator, runs: int) -> Iterable[Row]:
    for truth in (0.12, 0.70, 1.30):
        p, naive, found = profile_of(truth, SHAPE), [], []
        for _ in range(runs):
            cells = classified(rng, p, errors)
            naive.append(float(entropy_of(cells.sum(axis=0) / ROWS)))
            found.append(post_stratified(cells.sum(axis=0), labelled(rng, cells), rng=rng).entropy())
        yield fact(f"naive, {name}, S={truth}: bias, nats", float(np.mean(naive)) - truth)
        yield from _facts(f"post-stratified, {name}, S={truth}", found, truth, target=truth == 0.12)


def _facts(name: str, found: list, truth: float, *, target: bool = False, unit: str = "nats") -> Iterable[Row]:
    errors = np.array([one.value - truth for one in found])
    held = np.mean([one.low <= truth <= one.high for one in found])
    wide, spread = np.mean([one.high - one.low for one in found]), float(errors.std() / np.sqrt(len(errors)))
    noise = float(np.sqrt(held * (1 - held) / len(found)))
    if target:
        met = abs(errors.mean()) <= 0.02 + 2 * spread
        yield line(f"{name}: bias, {unit}", errors.mean(), "|bias| <= 0.02", met=met, error=spread)
        met = 0.93 - 2 * noise <= held <= 0.97 + 2 * noise
        yield line(f"{name}: coverage", held, "0.93 to 0.97", met=met, error=noise)
    else:
        yield fact(f"{name}: bias, {unit}", errors.mean(), error=spread)
        yield fact(f"{name}: coverage", held, error=noise)
    yield fact(f"{name}: width, {unit}", wide)


if __name__ == "__main__":
    run(__doc__, built_in, made, joint, prompts, stale, soft, seed=3_141)
