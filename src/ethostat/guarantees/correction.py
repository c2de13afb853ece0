"""Correction: S from a classifier that errs, with its errors undone from 150 labels; counting verdicts beside it."""

from __future__ import annotations

import numpy as np

from ethostat.guarantees.check import Bounds, Check, Checks, Floats, Generator, holds, mean_of, share_of
from ethostat.guarantees.populations import profile_of
from ethostat.maths.confusion import joint_correction, labels_wanted, post_stratified
from ethostat.maths.entropy import entropy_of
from ethostat.maths.soft import soft_correction

FAMILY = "A classifier's errors undone"
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
"""P(said | true) of a made classifier that is right in 94.2 % of rows of equal shares."""
CONFUSED = np.array(
    [
        [0.80, 0.11, 0.02, 0.01, 0.06],
        [0.14, 0.73, 0.02, 0.03, 0.08],
        [0.04, 0.02, 0.85, 0.07, 0.02],
        [0.05, 0.04, 0.14, 0.73, 0.04],
        [0.10, 0.09, 0.03, 0.03, 0.75],
    ]
)
"""The same of one that is right in 77 %."""


def shares_of(entropy: float) -> Floats:
    """The profile of this S."""
    p = profile_of(entropy, SHAPE)
    assert p is not None  # noqa: S101 - every S that is asked for can be reached
    return p


def split(rng: Generator, truth: np.ndarray, errors: Floats) -> np.ndarray:
    """Rows of each true goal (5,) by predicted goal, (5, 5)."""
    return np.array([rng.multinomial(n, row) for n, row in zip(truth, errors, strict=True)])


def classified(rng: Generator, p: Floats, errors: Floats) -> np.ndarray:
    """10,000 rows by true and predicted goal."""
    return split(rng, rng.multinomial(ROWS, p), errors)


def labelled(rng: Generator, cells: np.ndarray) -> np.ndarray:
    """Labels of 150 of the rows by true and predicted goal: 70 of the most frequent predicted one, 20 of each other."""
    wanted = labels_wanted(cells.sum(axis=0))
    return np.stack([rng.multivariate_hypergeometric(cells[:, j], wanted[j]) for j in range(len(wanted))], axis=1)


def window(
    rng: Generator, p: Floats, errors: Floats, *, calibrated: Floats | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts by predicted goal, labels of 150 rows, and 1,500 calibration rows, classified with `calibrated`."""
    cells = classified(rng, p, errors)
    there = errors if calibrated is None else calibrated
    known = np.array([rng.multinomial(CALIBRATION // 5, row) for row in there])
    return cells.sum(axis=0), labelled(rng, cells), known


def probabilities(rng: Generator, p: Floats, sharpness: float, rows: int = ROWS) -> Floats:
    """P(g | x), (rows, 5), under equal shares, of x ~ N(e_g, 0.62) in five dimensions."""
    x = np.eye(5)[rng.choice(5, rows, p=p)] + 0.62 * rng.standard_normal((rows, 5))
    logits = sharpness * x / 0.62**2
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def naive(said: np.ndarray) -> float:
    """Plug-in S of verdicts by predicted goal, nats."""
    return float(entropy_of(said / said.sum()))


def post_stratification(rng: Generator, full: bool) -> Checks:
    """Bias and coverage of S at 0.12 nats with 150 labels, for two classifiers."""
    runs, truth = 3000 if full else 600, 0.12
    for name, errors in (("94.2 % right", MADE), ("77 % right", CONFUSED)):
        found, counted = [], []
        for _ in range(runs):
            cells = classified(rng, shares_of(truth), errors)
            counted.append(naive(cells.sum(axis=0)) - truth)
            found.append(post_stratified(cells.sum(axis=0), labelled(rng, cells), rng=rng).entropy())
        of = "windows of 10,000 rows, 150 labelled"
        bias = mean_of([one.value - truth for one in found], unit="nats", of=of)
        beside = {"verdicts counted": mean_of(counted, unit="nats", of=of)}
        yield Check(FAMILY, f"bias of S = .12, 150 labels, {name}", Bounds(-0.02, 0.02, 0.003), bias, beside)
        kept = share_of(sum(holds(one, truth) for one in found), runs, of="windows whose interval holds S")
        yield Check(FAMILY, f"interval of S = .12, the same, {name}", Bounds(0.93, 0.97, 0.02), kept)


def joint(rng: Generator, full: bool) -> Checks:
    """The same with 1,500 calibration rows beside the labels."""
    runs, truth = 300 if full else 12, 0.12
    found = []
    for _ in range(runs):
        said, labels, known = window(rng, shares_of(truth), MADE)
        found.append(joint_correction(said, labels, known, rng=rng).entropy())
    bias = mean_of([one.value - truth for one in found], unit="nats", of="windows of 10,000 rows")
    name = "bias of S = .12, 150 labels and 1,500 calibration rows, 94.2 % right"
    yield Check(FAMILY, name, Bounds(-0.02, 0.02, 0.005 if full else 0.02), bias)


def soft(rng: Generator, full: bool) -> Checks:
    """From probabilities alone, where they are calibrated."""
    runs, truth = 100 if full else 5, 0.12
    found, counted = [], []
    for _ in range(runs):
        known = probabilities(rng, shares_of(truth), 1.0)
        counted.append(naive(np.bincount(known.argmax(axis=1), minlength=5)) - truth)
        found.append(soft_correction(known, np.ones(5), prompts=np.arange(ROWS), rng=rng).entropy().value - truth)
    of = "windows of 10,000 rows"
    name = "bias of S = .12 from calibrated probabilities, no label, 68 % right"
    beside = {"verdicts counted": mean_of(counted, unit="nats", of=of)}
    yield Check(FAMILY, name, Bounds(-0.02, 0.02, 0.01), mean_of(found, unit="nats", of=of), beside)
