"""Agreement of a classifier with people and of people with each other."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from ethostat.maths.agreement import (
    accuracy,
    calibration_error,
    cohen_kappa,
    collapse,
    confusion_tables,
    fleiss_kappa,
    goal_agreement,
    krippendorff_alpha,
    macro_f1,
    mistaken,
    pair_agreement,
    precision,
    rank_correlation,
    recall,
    reliability,
)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


def rows_of(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Truth and verdict of every row of a confusion matrix."""
    places = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return np.array(places)[:, 0], np.array(places)[:, 1]


def test_cohen_kappa_of_a_published_table(rng: np.random.Generator) -> None:
    """[[20, 20], [10, 50]] gives 0.348 (Artstein and Poesio 2008, Inter-coder agreement, table 1)."""
    kappa = cohen_kappa(confusion_tables(*rows_of([[20, 20], [10, 50]]), goals=2), rng=rng)

    assert kappa.value == pytest.approx(0.348, abs=5e-4)
    assert kappa.low < kappa.value < kappa.high
    assert kappa.n == 100


def test_fleiss_kappa_of_a_published_table(rng: np.random.Generator) -> None:
    """Ten subjects and fourteen raters give 0.210 (the worked example of Wikipedia's page on Fleiss' kappa)."""
    ratings = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip

    assert fleiss_kappa(ratings, rng=rng).value == pytest.approx(0.210, abs=5e-4)


def test_krippendorff_alpha_of_a_published_table(rng: np.random.Generator) -> None:
    """Four observers, twelve units, gaps: 0.743 (Krippendorff 2011, Computing alpha-reliability, section C)."""
    said = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
    ratings = np.array([[column.count(value) for value in range(1, 6)] for column in zip(*map(list, said))])  # noqa: B905
    alpha = krippendorff_alpha(ratings, rng=rng)

    assert alpha.value == pytest.approx(0.743, abs=5e-4)
    assert alpha.n == 11


def test_two_raters_of_many_rows_agree_on_all_three_coefficients(rng: np.random.Generator) -> None:
    """With equal margins and 20,000 rows, Cohen's, Fleiss' and Krippendorff's differ by less than 0.002."""
    truth, said = rows_of([[8_000, 2_000], [2_000, 8_000]])
    ratings = np.eye(2)[truth] + np.eye(2)[said]
    groups = np.arange(20_000) % 50

    kappa = cohen_kappa(confusion_tables(truth, said, goals=2, groups=groups), rng=rng).value
    assert kappa == pytest.approx(0.6)
    assert fleiss_kappa(ratings, groups=groups, rng=rng).value == pytest.approx(kappa, abs=2e-3)
    assert krippendorff_alpha(ratings, groups=groups, rng=rng).value == pytest.approx(kappa, abs=2e-3)


def test_rank_correlation_is_scipys(rng: np.random.Generator) -> None:
    """Equal to scipy's spearmanr, ties included; the interval holds the value."""
    x = rng.integers(0, 8, 60)
    y = x + rng.integers(-3, 4, 60)
    rho = rank_correlation(x, y, rng=rng)

    assert rho.value == pytest.approx(spearmanr(x, y).statistic)
    assert rho.low < rho.value < rho.high


def test_precision_recall_and_f1_by_hand(rng: np.random.Generator) -> None:
    """[[3, 1], [2, 4]]: recall 3/4 and 4/6, precision 3/5 and 4/5, F1 2/3 and 8/11, accuracy 7/10, kappa 0.4."""
    tables = confusion_tables(*rows_of([[3, 1], [2, 4]]), goals=2)

    assert [share.value for share in recall(tables)] == pytest.approx([3 / 4, 4 / 6])
    assert [share.value for share in precision(tables)] == pytest.approx([3 / 5, 4 / 5])
    assert [share.n for share in precision(tables)] == [5, 5]
    assert macro_f1(tables, rng=rng).value == pytest.approx((2 / 3 + 8 / 11) / 2)
    assert accuracy(tables).value == pytest.approx(0.7)
    assert cohen_kappa(tables, rng=rng).value == pytest.approx(0.4)


def test_a_goal_that_never_occurs_is_left_out(rng: np.random.Generator) -> None:
    """An empty third goal changes no macro-F1, and its own recall is undefined, not 0."""
    truth, said = rows_of([[3, 1], [2, 4]])
    with_empty = confusion_tables(truth, said, goals=3)

    assert macro_f1(with_empty, rng=rng).value == pytest.approx((2 / 3 + 8 / 11) / 2)
    assert not recall(with_empty)[2].is_defined


def test_mistaken_counts_both_directions() -> None:
    """Of 10 rows of the first goal and 30 of the second, 1 + 2 are taken for the other: 3 of 40."""
    tables = confusion_tables(*rows_of([[8, 1, 1], [2, 27, 1], [0, 0, 5]]), goals=3)
    found = mistaken(tables, 0, 1)

    assert (found.value, found.n) == (pytest.approx(3 / 40), 40)


def test_collapsing_forgets_confusions_inside_a_goal() -> None:
    """With g1 and g2 as one goal, their mutual errors are none."""
    tables = collapse(confusion_tables(*rows_of([[3, 2, 0], [1, 4, 1], [0, 0, 5]]), goals=3), [0, 0, 1])

    assert tables.sum(axis=0).tolist() == [[10, 1], [0, 5]]


def test_calibration_error_by_hand(rng: np.random.Generator) -> None:
    """Ten rows at 0.9 with 7 right and ten at 0.5 with 5 right: (0.2 + 0) / 2 = 0.1."""
    confidence, right = [0.9] * 10 + [0.5] * 10, [1] * 7 + [0] * 3 + [1] * 5 + [0] * 5
    found = calibration_error(confidence, right, rng=rng)
    bins = reliability(confidence, right)

    assert found.value == pytest.approx(0.1)
    assert [(round(bar.confidence, 3), bar.accuracy.value, bar.accuracy.n) for bar in bins] == [
        (0.5, 0.5, 10),
        (0.9, 0.7, 10),
    ]


def test_perfect_agreement_is_not_certain(rng: np.random.Generator) -> None:
    """Twenty rows without an error have kappa, F1 and accuracy 1 with a lower end below 1."""
    tables = confusion_tables(*rows_of([[10, 0], [0, 10]]), goals=2)

    for found in (cohen_kappa(tables, rng=rng), macro_f1(tables, rng=rng), accuracy(tables)):
        assert (found.value, found.high) == (1, 1)
        assert 0.5 < found.low < 0.9


def test_what_is_not_determined_is_undefined(rng: np.random.Generator) -> None:
    """One goal throughout leaves kappa undefined; no rows leave everything so; none is a plausible 0."""
    one_goal = confusion_tables([0] * 10, [0] * 10, goals=2)
    nothing = confusion_tables([], [], goals=2)

    assert not cohen_kappa(one_goal, rng=rng).is_defined
    assert not macro_f1(nothing, rng=rng).is_defined
    assert not accuracy(nothing).is_defined
    assert not calibration_error([], [], rng=rng).is_defined
    assert not rank_correlation([1, 1, 1, 1], [1, 2, 3, 4], rng=rng).is_defined


def test_ratings_of_different_number_are_refused(rng: np.random.Generator) -> None:
    """Fleiss' kappa is not defined for them, and says so."""
    with pytest.raises(ValueError, match="same number of ratings"):
        fleiss_kappa([[2, 0], [1, 2]], rng=rng)


def test_groups_widen_the_interval(rng: np.random.Generator) -> None:
    """Ten copies of every row under one group are worth one row: the interval is that of the single rows."""
    truth = rng.integers(0, 3, 60)
    said = np.where(rng.random(60) < 0.7, truth, rng.integers(0, 3, 60))
    single = macro_f1(confusion_tables(truth, said, goals=3), rng=rng)
    copies = confusion_tables(np.repeat(truth, 10), np.repeat(said, 10), goals=3, groups=np.repeat(np.arange(60), 10))

    assert macro_f1(copies, rng=rng).half_width == pytest.approx(single.half_width, rel=0.1)


def test_kappa_intervals_cover() -> None:
    """The 95 % interval of Cohen's kappa over 60 groups of 3 dependent rows holds the truth in 90 to 99 % of 150."""
    rng, held = np.random.default_rng(11), 0
    truth_kappa = 0.55  # the verdict is copied from the truth with this probability, else drawn by chance
    for _ in range(150):
        truth = rng.integers(0, 3, 60)
        said = np.where(rng.random(60) < truth_kappa, truth, rng.integers(0, 3, 60))
        tables = confusion_tables(np.repeat(truth, 3), np.repeat(said, 3), goals=3, groups=np.repeat(np.arange(60), 3))
        found = cohen_kappa(tables, rng=rng)
        held += found.low <= truth_kappa <= found.high

    assert 0.90 <= held / 150 <= 0.99


def test_calibration_error_intervals_cover() -> None:
    """The interval holds an error of 0.1, and one of 0, in 90 % or more of 60 sets of 300 rows."""
    rng, held = np.random.default_rng(12), {0.0: 0, 0.1: 0}
    for shift in held:
        for _ in range(60):
            confidence = rng.uniform(0.5, 0.95, 300)
            found = calibration_error(confidence, rng.random(300) < confidence - shift, rng=rng)
            held[shift] += found.low <= shift <= found.high

    assert min(held.values()) >= 0.9 * 60


def test_agreement_by_goal_is_what_pairs_of_raters_say(rng: np.random.Generator) -> None:
    """With as many raters everywhere: of the ordered pairs whose first rating is the goal, the share with it twice."""
    ratings = rng.multinomial(4, [0.5, 0.3, 0.2], 60)
    said = [np.repeat(np.arange(3), row) for row in ratings]
    pairs = [(row[i], row[j]) for row in said for i in range(4) for j in range(4) if i != j]

    by_goal = goal_agreement(ratings, rng=rng)

    for goal, estimate in enumerate(by_goal):
        others = [other for one, other in pairs if one == goal]
        assert estimate.value == pytest.approx(np.mean([other == goal for other in others]))
        assert estimate.low <= estimate.value <= estimate.high
    assert pair_agreement(ratings, rng=rng).value == pytest.approx(np.mean([one == other for one, other in pairs]))


def test_agreement_by_goal_covers_its_truth(rng: np.random.Generator) -> None:
    """The 95 % interval over rows holds the true chance in 90 to 99 % of 100 panels of 80 rows and two raters."""
    truth, right, panels = np.array([0.6, 0.4]), 0.85, 100
    # A rater says the row's goal with 0.85: P(both say goal 0) / P(one says goal 0).
    said = truth[0] * right + truth[1] * (1 - right)
    both = truth[0] * right**2 + truth[1] * (1 - right) ** 2
    held = 0
    for _ in range(panels):
        goal = rng.random(80) < truth[1]
        ratings = np.zeros((80, 2))
        for _rater in range(2):
            ratings[np.arange(80), (goal ^ (rng.random(80) > right)).astype(int)] += 1
        estimate = goal_agreement(ratings, rng=rng)[0]
        held += estimate.low <= both / said <= estimate.high

    assert 0.90 <= held / panels <= 0.99
