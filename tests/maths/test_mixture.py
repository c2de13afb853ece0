"""The empirical-Bayes mixture over prompts."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import digamma

from ethostat.maths.entropy import entropy_of, nsb, plug_in, varentropy
from ethostat.maths.mixture import Mixture, dirichlet_entropy, dirichlet_varentropy, fit_mixture


@pytest.mark.parametrize("parameters", [(0.3, 2.0, 5.0, 0.1), (0.5, 0.5), (60.0, 1.0, 2.0, 3.0, 0.2)])
def test_dirichlet_moments_agree_with_draws(parameters: tuple[float, ...]) -> None:
    """Closed-form means of S and V equal averages over 200,000 draws to 0.005."""
    p = np.random.default_rng(0).dirichlet(parameters, 200_000)

    assert float(dirichlet_entropy(np.array(parameters))) == pytest.approx(entropy_of(p).mean(), abs=0.005)
    assert float(dirichlet_varentropy(np.array(parameters))) == pytest.approx(varentropy(p).mean(), abs=0.005)


def test_one_component_is_the_textbook_posterior_mean() -> None:
    """With a single Dirichlet law, the mean of S is psi(A + 1) - sum a_i psi(a_i + 1) / A."""
    law, counts = np.array([[1.0, 1.0, 1.0]]), np.array([[4, 1, 0]])
    a = np.array([5.0, 2.0, 1.0])
    by_hand = digamma(9) - (a * digamma(a + 1)).sum() / 8

    assert Mixture(np.array([1.0]), law).expected_entropy(counts)[0] == pytest.approx(by_hand)


def test_the_fit_recovers_a_known_mixture() -> None:
    """From 600 prompts of two kinds, the mean profile and the weight of each kind come back within 0.03."""
    rng = np.random.default_rng(1)
    kind = rng.random(600) < 0.7
    laws = np.where(kind[:, None], [19.0, 0.5, 0.5], [0.5, 1.0, 8.5])
    counts = rng.multinomial(30, [rng.dirichlet(law) for law in laws])
    fitted = fit_mixture(counts)
    first = int(fitted.concentrations[:, 0].argmax())
    means = fitted.concentrations / fitted.concentrations.sum(axis=1, keepdims=True)

    assert fitted.weights.sum() == pytest.approx(1)
    assert fitted.weights[first] == pytest.approx(0.7, abs=0.05)
    np.testing.assert_allclose(means[first], [0.95, 0.025, 0.025], atol=0.03)


def test_one_law_is_where_an_optimiser_finds_it() -> None:
    """With one kind of prompt the law is that of the largest likelihood x product of a^0.1, to 1 %."""
    rng = np.random.default_rng(3)
    counts = rng.multinomial(30, rng.dirichlet([6, 4, 3, 0.2], 60))

    def loss(logs: np.ndarray) -> float:
        law = Mixture(np.array([1.0]), np.exp(logs)[None])
        return -float(law.log_likelihood(counts).sum() + 0.1 * logs.sum())

    best = np.exp(minimize(loss, np.zeros(4)).x)

    np.testing.assert_allclose(fit_mixture(counts).concentrations, best[None], rtol=0.01)


def test_a_goal_that_nobody_shows_keeps_a_small_share() -> None:
    """Over 40 prompts x 20 the weak prior leaves an unseen goal more than 0 and less than 1 in 800."""
    counts = np.random.default_rng(4).multinomial(20, [0.6, 0.4, 0], 40)
    law = fit_mixture(counts).concentrations[0]

    assert 0 < law[2] / law.sum() < 1 / 800


def test_learning_from_all_prompts_beats_each_alone() -> None:
    """On tuned-like panels of 100 x 10 the mixture's RMSE is less than half of the plug-in's and of NSB's."""
    rng, errors = np.random.default_rng(2), {"mixture": [], "plug-in": [], "nsb": []}
    for _ in range(15):
        law = np.where(rng.random(100)[:, None] < 0.6, [60.0, 0.6, 0.4, 0.2], [0.5, 0.4, 30.0, 0.5])
        p = np.array([rng.dirichlet(row) for row in law])
        counts, truth = rng.multinomial(10, p), entropy_of(p).mean()
        errors["mixture"].append(fit_mixture(counts).expected_entropy(counts).mean() - truth)
        errors["plug-in"].append(plug_in(counts).mean() - truth)
        errors["nsb"].append(nsb(counts).mean() - truth)
    rmse = {name: np.sqrt(np.mean(np.square(found))) for name, found in errors.items()}

    assert rmse["mixture"] < 0.5 * min(rmse["plug-in"], rmse["nsb"])


@pytest.mark.parametrize(
    "counts",
    [
        np.tile([20, 0, 0, 0, 0], (50, 1)),
        np.tile([3, 2, 1], (40, 1)),
        np.eye(5, dtype=int),
        np.array([[7, 0]]),
        np.array([[1000, 3, 0], [0, 1, 0], [0, 0, 0], [2, 2, 2]]),
    ],
    ids=["agreeing", "identical", "one-each", "one-prompt", "uneven"],
)
def test_odd_panels_give_finite_numbers(counts: np.ndarray) -> None:
    """Agreeing, identical, single-response, single-prompt and uneven panels give S within 0 and ln K."""
    filled = counts[counts.sum(axis=1) > 0]
    fitted = fit_mixture(counts)
    found = fitted.expected_entropy(filled)

    assert (found >= 0).all()
    assert (found <= np.log(counts.shape[1]) + 1e-9).all()
    assert np.isfinite(fitted.expected_varentropy(filled)).all()


def test_no_response_cannot_be_fitted() -> None:
    """A panel without a response is refused with the reason."""
    with pytest.raises(ValueError, match="at least one prompt with a response"):
        fit_mixture(np.zeros((3, 5)))
