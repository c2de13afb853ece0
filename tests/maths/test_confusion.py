"""Undoing the classifier's error: selection, post-stratified and joint corrections."""

import numpy as np
import pytest
from scipy.stats import binom, t

from ethostat.maths.confusion import choose_rows, joint_correction, labels_wanted, post_stratified, redrawn_shares
from ethostat.maths.entropy import entropy_of

TUNED = np.array([0.9807, 0.0067, 0.0067, 0.0019, 0.0040])
# 94.2 % right in the mean over goals, as the paper's classifier.
ERRORS = np.array(
    [
        [0.955, 0.030, 0.004, 0.003, 0.008],
        [0.055, 0.920, 0.003, 0.007, 0.015],
        [0.006, 0.004, 0.955, 0.030, 0.005],
        [0.006, 0.010, 0.040, 0.930, 0.014],
        [0.020, 0.015, 0.007, 0.008, 0.950],
    ]
)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


def classified(rng: np.random.Generator, p: np.ndarray, rows: int = 10_000) -> np.ndarray:
    """Rows by true and predicted goal, (5, 5)."""
    return np.array([rng.multinomial(n, row) for n, row in zip(rng.multinomial(rows, p), ERRORS, strict=True)])


def labelled(rng: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """The labels of 70 and 20 rows by predicted goal, (5, 5)."""
    wanted = labels_wanted(cells.sum(axis=0))
    return np.stack([rng.multivariate_hypergeometric(cells[:, j], wanted[j]) for j in range(5)], axis=1)


def test_seventy_of_the_modal_goal_and_twenty_of_each_other() -> None:
    """150 labels for five goals; a predicted goal with fewer rows gives all it has."""
    assert labels_wanted([9000, 400, 300, 200, 100]).tolist() == [70, 20, 20, 20, 20]
    assert labels_wanted([3, 4000, 0, 20, 25]).tolist() == [3, 70, 0, 20, 20]


def test_chosen_rows_have_the_goals_that_were_wanted(rng: np.random.Generator) -> None:
    """No row twice, each predicted goal as often as asked; too many are refused."""
    said = rng.integers(0, 3, 500)
    rows = choose_rows(said, [70, 20, 20], goals=3, rng=rng)

    assert len(set(rows.tolist())) == 110
    assert np.bincount(said[rows]).tolist() == [70, 20, 20]
    with pytest.raises(ValueError, match="are wanted, but there are"):
        choose_rows(said, [499, 0, 0], goals=3, rng=rng)


def test_all_rows_labelled_gives_the_truth(rng: np.random.Generator) -> None:
    """Where people labelled every row, the corrected shares are the true ones up to the priors."""
    cells = classified(rng, np.full(5, 0.2))
    truth = cells.sum(axis=1) / cells.sum()

    found = post_stratified(cells.sum(axis=0), cells, rng=rng)
    assert [share.value for share in found.shares()] == pytest.approx(truth, abs=2e-3)
    assert found.aligned([True, False, True, False, False]).value == pytest.approx(truth[[0, 2]].sum(), abs=2e-3)
    assert found.entropy().n == 10_000


def test_a_perfect_calibration_set_inverts_the_confusion(rng: np.random.Generator) -> None:
    """With a million calibration rows and no labels, expected counts are traced back to the shares they came from."""
    p = np.array([0.5, 0.2, 0.15, 0.05, 0.1])
    said = np.round(p @ ERRORS * 100_000).astype(int)

    found = joint_correction(said, np.zeros((5, 5)), np.round(ERRORS * 200_000), rng=rng)
    assert [share.value for share in found.shares()] == pytest.approx(p, abs=5e-3)


def test_post_stratified_intervals_cover(rng: np.random.Generator) -> None:
    """At S = 0.12, 150 of 10,000 rows labelled: |bias| at most 0.03 nats, coverage at least 90 %; naive is 0.19 off."""
    truth, naive, errors, held = float(entropy_of(TUNED)), [], [], 0
    for _ in range(200):
        cells = classified(rng, TUNED)
        found = post_stratified(cells.sum(axis=0), labelled(rng, cells), rng=rng).entropy()
        naive.append(float(entropy_of(cells.sum(axis=0) / cells.sum())) - truth)
        errors.append(found.value - truth)
        held += found.low <= truth <= found.high

    assert abs(np.mean(errors)) <= 0.03
    assert held >= 180
    assert np.mean(naive) > 0.15


def test_calibration_rows_narrow_the_interval(rng: np.random.Generator) -> None:
    """1,500 calibration rows beside the same 150 labels leave at most 0.75 of the width, on average over 8 sets."""
    calibration, widths = np.array([rng.multinomial(300, row) for row in ERRORS]), []
    for _ in range(8):
        cells = classified(rng, TUNED)
        said, labels = cells.sum(axis=0), labelled(rng, cells)
        joint = joint_correction(said, labels, calibration, rng=rng, draws=1000).entropy()
        widths.append((joint.half_width, post_stratified(said, labels, rng=rng).entropy().half_width))

    ours, theirs = np.mean(widths, axis=0)
    assert ours <= 0.75 * theirs


def test_impossible_counts_are_refused(rng: np.random.Generator) -> None:
    """More labels than rows, matrices that are not square, and no rows at all are named."""
    with pytest.raises(ValueError, match="labelled rows are among them"):
        post_stratified([5, 5], [[6, 0], [0, 1]], rng=rng)
    with pytest.raises(ValueError, match="must be square"):
        post_stratified([5, 5], [[1, 0, 0], [0, 1, 0]], rng=rng)
    with pytest.raises(ValueError, match="not all 0"):
        post_stratified([0, 0], np.zeros((2, 2)), rng=rng)
    with pytest.raises(ValueError, match="goals must agree"):
        joint_correction([5, 5], np.zeros((2, 2)), np.eye(3), rng=rng)


def panel(rng: np.random.Generator, prompts: int = 60, samples: int = 50) -> np.ndarray:
    """Rows by prompt, true and predicted goal, (60, 5, 5): half of the prompts are answered, half refused, roughly."""
    kinds = np.array([[0.92, 0.03, 0.02, 0.01, 0.02], [0.04, 0.03, 0.90, 0.01, 0.02]])[rng.integers(0, 2, prompts)]
    shares = np.array([rng.dirichlet(12 * kind) for kind in kinds])
    return np.array(
        [[rng.multinomial(n, row) for n, row in zip(rng.multinomial(samples, p), ERRORS, strict=True)] for p in shares]
    )


def test_intervals_of_prompts_cover_those_of_rows_do_not(rng: np.random.Generator) -> None:
    """S of all prompts like 60 seen: held by 90 % of the intervals over prompts or more, and by fewer over rows."""
    truth = float(entropy_of([0.48, 0.03, 0.46, 0.01, 0.02]))
    over_prompts = over_rows = 0
    for _ in range(150):
        cells = panel(rng)
        said, labels = cells.sum(axis=1), labelled(rng, cells.sum(axis=0))
        wide = post_stratified(said, labels, rng=rng).entropy()
        narrow = post_stratified(said.sum(axis=0), labels, rng=rng).entropy()
        over_prompts += wide.low <= truth <= wide.high
        over_rows += narrow.low <= truth <= narrow.high

    assert over_prompts >= binom.ppf(0.001, 150, 0.93)
    assert over_prompts > over_rows


def test_one_response_a_prompt_is_as_independent_rows(rng: np.random.Generator) -> None:
    """A table of ones and zeros, one row a prompt, gives the shares' spread of the counts alone."""
    counts = np.array([400, 60, 25, 10, 5])
    table = np.repeat(np.eye(5, dtype=int), counts, axis=0)

    by_prompt, by_row = redrawn_shares(table, 20_000, rng=rng), redrawn_shares(counts, 20_000, rng=rng)
    assert by_prompt.mean(axis=0) == pytest.approx(by_row.mean(axis=0), abs=2e-3)
    assert by_prompt.std(axis=0) == pytest.approx(by_row.std(axis=0), rel=0.05)


def test_few_prompts_spread_as_students_t(rng: np.random.Generator) -> None:
    """Eight prompts whose share of the first goal is 0.1 to 0.8: the spread is t's half-width over 1.96."""
    shares = np.arange(1, 9) / 10
    table = np.stack([1000 * shares, 1000 * (1 - shares)], axis=1).round().astype(int)
    wanted = float(t.ppf(0.975, 7) / 1.96 * shares.std(ddof=1) / np.sqrt(8))

    assert redrawn_shares(table, 20_000, rng=rng)[:, 0].std() == pytest.approx(wanted, rel=0.05)


def test_the_joint_correction_of_prompts_is_that_of_rows_but_wider(rng: np.random.Generator) -> None:
    """The same counts by prompt give the same aligned share, and an interval at least as wide."""
    cells = panel(rng)
    labels, known = labelled(rng, cells.sum(axis=0)), np.round(ERRORS * 300).astype(int)
    said, mask = cells.sum(axis=1), [True, False, True, False, False]

    by_prompt = joint_correction(said, labels, known, rng=rng, draws=3000).aligned(mask)
    by_row = joint_correction(said.sum(axis=0), labels, known, rng=rng, draws=3000).aligned(mask)
    assert by_prompt.value == pytest.approx(by_row.value, abs=5e-3)
    assert by_prompt.half_width > by_row.half_width
