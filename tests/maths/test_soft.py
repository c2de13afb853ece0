"""Shares from calibrated probabilities: exact where they are, wrong where they are not."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from ethostat.maths.entropy import entropy_of
from ethostat.maths.soft import soft_correction


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


def probabilities(rng: np.random.Generator, shares: np.ndarray, rows: int, *, sharpness: float = 1.0) -> np.ndarray:
    """P(g | x), (N, 3), of rows x ~ N(mean of the goal, 1) in the plane, as calibrated under equal shares."""
    means = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5]])
    goal = rng.choice(3, rows, p=shares)
    x = means[goal] + rng.standard_normal((rows, 2))
    logits = -0.5 * sharpness * ((x[:, None] - means) ** 2).sum(axis=2)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_two_goals_are_the_maximum_that_scipy_finds(rng: np.random.Generator) -> None:
    """The mean over draws is near the share that maximises sum ln(p P1 / prior1 + (1 - p) P2 / prior2)."""
    p = rng.beta(0.5, 1.5, 400)
    prior = np.array([0.3, 0.7])
    loss = lambda share: -np.log(share * p / prior[0] + (1 - share) * (1 - p) / prior[1]).sum()  # noqa: E731
    best = minimize_scalar(loss, bounds=(0, 1), method="bounded").x

    found = soft_correction(np.stack([p, 1 - p], axis=1), prior, prompts=np.arange(400), rng=rng)
    assert found.shares()[0].value == pytest.approx(best, abs=0.01)


def test_calibrated_probabilities_recover_shifted_shares(rng: np.random.Generator) -> None:
    """Calibrated at equal shares, rows at (.9, .07, .03): S within its 95 % interval in 40 windows, as a binomial."""
    shares, held, errors, naive = np.array([0.90, 0.07, 0.03]), 0, [], []
    truth = float(entropy_of(shares))
    for _ in range(40):
        known = probabilities(rng, shares, 1500)
        found = soft_correction(known, np.ones(3), prompts=np.arange(1500), rng=rng, draws=200).entropy()
        held += found.low <= truth <= found.high
        errors.append(found.value - truth)
        naive.append(float(entropy_of(np.bincount(known.argmax(axis=1), minlength=3) / 1500)) - truth)

    assert held >= binom.ppf(0.001, 40, 0.95)
    assert abs(np.mean(errors)) <= 0.02
    assert np.mean(naive) > 0.1


def test_over_confident_probabilities_mislead(rng: np.random.Generator) -> None:
    """Four times too sharp, the same rows give an S that is 0.1 nats off: hence the gate before this is used."""
    shares = np.array([0.90, 0.07, 0.03])
    known = probabilities(rng, shares, 5000, sharpness=4.0)

    found = soft_correction(known, np.ones(3), prompts=np.arange(5000), rng=rng, draws=50).entropy()
    assert found.value - float(entropy_of(shares)) > 0.1


def test_rows_of_one_prompt_widen_the_interval(rng: np.random.Generator) -> None:
    """Fifty copies of each of 40 rows know no more than the 40: the interval over prompts is as wide."""
    once = probabilities(rng, np.full(3, 1 / 3), 40)
    alone = soft_correction(once, np.ones(3), prompts=np.arange(40), rng=rng).shares()[0]
    copied = soft_correction(
        np.repeat(once, 50, axis=0), np.ones(3), prompts=np.repeat(np.arange(40), 50), rng=rng
    ).shares()[0]

    assert copied.half_width == pytest.approx(alone.half_width, rel=0.2)
    assert copied.n == 2000


def test_a_goal_without_prior_is_refused(rng: np.random.Generator) -> None:
    """P(g | x) / prior(g) has no meaning where prior(g) is 0."""
    with pytest.raises(ValueError, match="prior above 0"):
        soft_correction(np.full((3, 2), 0.5), [1, 0], prompts=np.arange(3), rng=rng)
