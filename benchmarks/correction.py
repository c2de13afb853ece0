"""How well S is recovered from a classifier that errs: bias, coverage and width, the naive S beside the corrected.

    python benchmarks/correction.py [--quick] [--json FILE]

10,000 rows are drawn with known shares and classified with the confusion matrix of the built-in classifier's card
(its held-out rows) and with a made one of 94.2 % balanced accuracy, as the paper's. 150 rows are labelled: 70 of the
most frequent predicted goal, 20 of each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from _populations import profile_of
from _table import Row, fact, line, run
from ethostat.classifiers.encoder import BUILTIN, CARD
from ethostat.maths.confusion import joint_correction, labels_wanted, post_stratified
from ethostat.maths.entropy import entropy_of

ROWS, CALIBRATION = 10_000, 1_500
SHAPE = (0.35, 0.35, 0.10, 0.20)
MADE = np.array(
    [
        [0.955, 0.030, 0.004, 0.003, 0.008],
        [0.055, 0.920, 0.003, 0.007, 0.015],
        [0.006, 0.004, 0.955, 0.030, 0.005],
        [0.006, 0.010, 0.040, 0.930, 0.014],
        [0.020, 0.015, 0.007, 0.008, 0.950],
    ]
)


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
    """Both matrices again, with 1,500 calibration rows beside the 150 labels; fewer runs, as they take longer."""
    for name, errors in (("built-in", card_errors()), ("94.2 %", MADE)):
        p, found = profile_of(0.12, SHAPE), []
        for _ in range(10 if quick else 100):
            cells = _classified(rng, p, errors)
            known = np.array([rng.multinomial(CALIBRATION // 5, row) for row in errors])
            said, labels = cells.sum(axis=0), _labelled(rng, cells)
            found.append(joint_correction(said, labels, known, rng=rng).entropy())
        yield from _facts(f"joint, {name}, S=0.12", found, 0.12)


def _figures(name: str, errors: np.ndarray, rng: np.random.Generator, runs: int) -> Iterable[Row]:
    for truth in (0.12, 0.70, 1.30):
        p, naive, found = profile_of(truth, SHAPE), [], []
        for _ in range(runs):
            cells = _classified(rng, p, errors)
            naive.append(float(entropy_of(cells.sum(axis=0) / ROWS)))
            found.append(post_stratified(cells.sum(axis=0), _labelled(rng, cells), rng=rng).entropy())
        yield fact(f"naive, {name}, S={truth}: bias, nats", float(np.mean(naive)) - truth)
        yield from _facts(f"post-stratified, {name}, S={truth}", found, truth, target=truth == 0.12)


def _facts(name: str, found: list, truth: float, *, target: bool = False) -> Iterable[Row]:
    errors = np.array([one.value - truth for one in found])
    held = np.mean([one.low <= truth <= one.high for one in found])
    wide, spread = np.mean([one.high - one.low for one in found]), float(errors.std() / np.sqrt(len(errors)))
    noise = float(np.sqrt(held * (1 - held) / len(found)))
    if target:
        met = abs(errors.mean()) <= 0.02 + 2 * spread
        yield line(f"{name}: bias, nats", errors.mean(), "|bias| <= 0.02", met=met, error=spread)
        met = 0.93 - 2 * noise <= held <= 0.97 + 2 * noise
        yield line(f"{name}: coverage", held, "0.93 to 0.97", met=met, error=noise)
    else:
        yield fact(f"{name}: bias, nats", errors.mean(), error=spread)
        yield fact(f"{name}: coverage", held, error=noise)
    yield fact(f"{name}: width, nats", wide)


def _classified(rng: np.random.Generator, p: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Rows by true and predicted goal."""
    return np.array([rng.multinomial(n, row) for n, row in zip(rng.multinomial(ROWS, p), errors, strict=True)])


def _labelled(rng: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    wanted = labels_wanted(cells.sum(axis=0))
    return np.stack([rng.multivariate_hypergeometric(cells[:, j], wanted[j]) for j in range(len(wanted))], axis=1)


if __name__ == "__main__":
    run(__doc__, built_in, made, joint, seed=3_141)
