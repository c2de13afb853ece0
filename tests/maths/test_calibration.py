"""Whether a confusion matrix still holds for other rows: size, power, and what it must not mistake for a change."""

import numpy as np
import pytest
from scipy.stats import binom, chi2_contingency

from ethostat.maths.calibration import calibration_fit
from ethostat.maths.confusion import labels_wanted

# Three goals, 90 % right.
ERRORS = np.array([[0.90, 0.06, 0.04], [0.05, 0.90, 0.05], [0.03, 0.07, 0.90]])
SHARES = np.array([0.7, 0.2, 0.1])


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


def p_value(rng: np.random.Generator, *, here: np.ndarray, shares: np.ndarray, labelled: bool = True) -> float:
    """The test's, for 5,000 rows with these shares and errors, and 900 calibration rows with ERRORS."""
    cells = np.array([rng.multinomial(n, row) for n, row in zip(rng.multinomial(5000, shares), here, strict=True)])
    said, labels = cells.sum(axis=0), np.zeros((3, 3))
    if labelled:
        wanted = labels_wanted(said)
        labels = np.stack([rng.multivariate_hypergeometric(cells[:, j], wanted[j]) for j in range(3)], axis=1)
    known = np.array([rng.multinomial(300, row) for row in ERRORS])
    return calibration_fit(said, labels, known, rng=rng, simulations=99).p_value


def test_all_rows_labelled_is_the_test_of_equal_rows(rng: np.random.Generator) -> None:
    """With every row labelled the statistic is the G of two matrices, each true goal apart, as scipy has it."""
    here, there = np.array([[80, 12, 8], [10, 70, 20], [5, 5, 90]]), np.array([[85, 9, 6], [5, 90, 5], [8, 12, 80]])
    by_hand = sum(
        chi2_contingency([one, other], correction=False, lambda_="log-likelihood").statistic
        for one, other in zip(here, there, strict=True)
    )

    found = calibration_fit(here.sum(axis=0), here, there, rng=rng, simulations=19)
    assert found.statistic == pytest.approx(by_hand, abs=1e-4)
    assert 1 / 20 <= found.p_value <= 1


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("shares", [SHARES, np.array([0.2, 0.3, 0.5])])
def test_a_matrix_that_holds_is_seldom_called_stale(
    rng: np.random.Generator, shares: np.ndarray, labelled: bool
) -> None:
    """Whatever the shares, p <= 0.05 in no more of 60 windows than a size of 0.05 gives (0.999 quantile)."""
    stale = sum(p_value(rng, here=ERRORS, shares=shares, labelled=labelled) <= 0.05 for _ in range(60))

    assert stale <= binom.ppf(0.999, 60, 0.05)


def test_labels_show_that_the_errors_changed(rng: np.random.Generator) -> None:
    """A classifier that now takes 25 % of the first goal for the second is found out in 19 of 20 windows or more."""
    worse = np.array([[0.71, 0.25, 0.04], *ERRORS[1:]])
    stale = sum(p_value(rng, here=worse, shares=SHARES) <= 0.05 for _ in range(20))

    assert stale >= 19


def test_verdicts_that_no_shares_can_give_show_it_without_labels(rng: np.random.Generator) -> None:
    """A goal that is hardly ever said cannot come from a matrix that says it in 3 % of the rows of every goal."""
    known = np.round(ERRORS * 300)

    assert calibration_fit([5000, 5000, 5], np.zeros((3, 3)), known, rng=rng, simulations=199).p_value == 1 / 200
    assert calibration_fit([4000, 4000, 2000], np.zeros((3, 3)), known, rng=rng, simulations=199).p_value == 1
