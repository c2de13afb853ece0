"""The three entropies of a panel, its shares, and where the variance comes from."""

import numpy as np
import pytest

from ethostat.maths import panel
from ethostat.maths.entropy import Estimator, entropy, entropy_of, jackknife, nsb, plug_in
from ethostat.maths.estimate import Estimate

ALIGNED = [True, False, True, False, False]


def profiles_of_three_kinds(rng: np.random.Generator, prompts: int) -> np.ndarray:
    """Profiles (J, 5): most answered, some refused, some undecided."""
    laws = np.array([[50, 1, 1, 0.2, 1], [1, 0.5, 25, 0.5, 1], [3, 1, 2, 0.3, 0.5]])
    return np.array([rng.dirichlet(laws[kind]) for kind in rng.choice(3, prompts, p=[0.55, 0.3, 0.15])])


def holds(found: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return found.low <= truth <= found.high


def every_estimate(counts: np.ndarray) -> list[Estimate]:
    """All estimates of a panel."""
    return [
        panel.within_entropy(counts),
        panel.within_entropy_population(counts),
        panel.pooled_entropy(counts),
        panel.between_prompts(counts),
        panel.aligned_share(counts, ALIGNED[: counts.shape[1]]),
        *panel.goal_shares(counts),
    ]


def test_a_deterministic_model_is_all_between() -> None:
    """Half of the prompts always answered and half always refused: within 0, pooled and between about ln 2."""
    counts = np.array([[50, 0, 0], [0, 0, 50]] * 20)

    assert panel.within_entropy(counts).value == pytest.approx(0, abs=1e-3)
    assert panel.pooled_entropy(counts).value == pytest.approx(np.log(2), abs=0.03)
    assert panel.between_prompts(counts).value == pytest.approx(np.log(2), abs=0.03)


def test_prompts_that_behave_alike_are_all_within() -> None:
    """Forty prompts with the same profile: pooled equals within, and between is near 0 with an interval from 0."""
    counts = np.tile([60, 30, 10], (40, 1))
    between = panel.between_prompts(counts)

    assert panel.within_entropy(counts).value == pytest.approx(float(entropy_of([0.6, 0.3, 0.1])), abs=0.01)
    assert between.value < 0.01
    assert between.low == 0 < between.high


@pytest.mark.parametrize("estimator", [None, nsb, plug_in])
@pytest.mark.parametrize("prompts", [12, 60])
def test_the_three_numbers_add_up(prompts: int, estimator: Estimator | None) -> None:
    """Pooled = within + between, exactly, when each prompt has as many responses, whatever estimator is named."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(40, profiles_of_three_kinds(rng, prompts))
    within, between = (f(counts, estimator=estimator) for f in (panel.within_entropy, panel.between_prompts))
    total = within.value + between.value

    assert total == pytest.approx(panel.pooled_entropy(counts).value, abs=1e-9)


def test_small_panels_average_the_jackknife() -> None:
    """Below 30 prompts, and whenever an estimator is named, the headline is that estimator's mean over prompts."""
    counts = np.random.default_rng(1).multinomial(20, [0.7, 0.2, 0.1], 10)

    assert panel.within_entropy(counts).value == pytest.approx(float(jackknife(counts).mean()))
    assert panel.within_entropy(counts, estimator=nsb).value == pytest.approx(float(nsb(counts).mean()))
    assert panel.within_entropy(counts, estimator=plug_in).method.startswith("mean of plug-in")


def test_one_response_a_prompt_leaves_within_undefined() -> None:
    """Within and between are undefined and say why; pooled S is that of independent responses."""
    counts = np.eye(3, dtype=int)[[0, 0, 1, 0, 2, 0]]
    pooled, alone = panel.pooled_entropy(counts), entropy(counts.sum(axis=0))

    assert "only one response a prompt" in panel.within_entropy(counts).method
    assert "only one response a prompt" in panel.between_prompts(counts).method
    assert (pooled.value, pooled.low, pooled.high) == (alone.value, alone.low, alone.high)


def test_one_prompt_says_nothing_about_others() -> None:
    """With one prompt the population estimate is undefined and pooled S is that prompt's."""
    counts = np.array([[15, 4, 1]])

    assert "one prompt" in panel.within_entropy_population(counts).method
    assert panel.pooled_entropy(counts) == entropy(counts[0])


def test_no_response_is_undefined_everywhere() -> None:
    """A panel of empty rows gives undefined estimates, never a 0."""
    assert not any(found.is_defined for found in every_estimate(np.zeros((4, 5), dtype=int)))


def test_empty_rows_change_nothing() -> None:
    """Prompts without responses are left out of every number."""
    rng = np.random.default_rng(2)
    counts = rng.multinomial(15, profiles_of_three_kinds(rng, 40))
    padded = np.vstack([counts[:20], np.zeros((3, 5), dtype=int), counts[20:]])

    assert every_estimate(padded) == every_estimate(counts)


@pytest.mark.parametrize("prompts", [3, 50])
def test_agreement_never_has_zero_width(prompts: int) -> None:
    """When all responses agree, every interval keeps a width and lies within its bounds."""
    counts = np.tile([20, 0, 0, 0, 0], (prompts, 1))

    for found in every_estimate(counts):
        assert 0 <= found.low <= found.value <= found.high
        assert found.high > found.low, found


def test_values_lie_in_their_intervals() -> None:
    """On 25 random panels, uneven ones too, low <= value <= high for every estimate."""
    rng = np.random.default_rng(3)
    for _ in range(25):
        sizes = rng.integers(0, 30, rng.integers(2, 45))
        counts = rng.multinomial(sizes, profiles_of_three_kinds(rng, len(sizes)))
        for found in every_estimate(counts):
            assert not found.is_defined or found.low <= found.value <= found.high


def test_a_higher_level_is_wider() -> None:
    """99 % intervals hold the 80 % ones."""
    rng = np.random.default_rng(4)
    counts = rng.multinomial(15, profiles_of_three_kinds(rng, 40))
    functions = (panel.within_entropy, panel.within_entropy_population, panel.pooled_entropy, panel.between_prompts)

    for estimate in functions:
        wide, narrow = estimate(counts, level=0.99), estimate(counts, level=0.8)
        assert wide.low <= narrow.low < narrow.high <= wide.high


def test_shares_sum_to_one_and_weigh_responses_equally() -> None:
    """Goal shares are the pooled proportions, also where prompts differ in size."""
    counts = np.array([[90, 10, 0], [1, 0, 9]])
    shares = [found.value for found in panel.goal_shares(counts)]

    np.testing.assert_allclose(shares, [91 / 110, 10 / 110, 9 / 110])
    assert panel.aligned_share(counts, [True, False, True]).value == pytest.approx(100 / 110)


def test_a_share_of_independent_responses_is_wilsons() -> None:
    """With one response a prompt, 30 of 100 gives Wilson's [0.219, 0.396] (Agresti and Coull 1998's formula)."""
    counts = np.repeat([[1, 0], [0, 1]], [30, 70], axis=0)
    z2, found = 1.959964**2, panel.goal_shares(counts)[0]
    centre, margin = (0.3 + z2 / 200) / (1 + z2 / 100), np.sqrt(z2 * 0.21 / 100 + (z2 / 200) ** 2) / (1 + z2 / 100)

    assert (found.low, found.high) == pytest.approx((centre - margin, centre + margin), abs=1e-6)


def test_a_share_that_one_prompt_decides_counts_as_few_responses() -> None:
    """One prompt of four erring once in ten: 39 effective responses fall to 20, by hand, with 3 degrees of freedom.

    The parts are -3/4 and three times 1/4: as much as m = 12/7 prompts apart from the rest, which 0.2 prompts that
    are all or nothing (4 responses) join.
    """
    found = panel.goal_shares(np.array([[9, 1], [10, 0], [10, 0], [10, 0]]))[0]
    effective, z2 = (12 / 7 + 0.2) / (12 / 7 / 39 + 0.2 / 4), 3.182446**2
    centre = (0.975 + z2 / (2 * effective)) / (1 + z2 / effective)
    root = np.sqrt(z2 * 0.975 * 0.025 / effective + (z2 / (2 * effective)) ** 2)

    assert effective == pytest.approx(20.4, abs=0.05)
    assert found.low == pytest.approx(centre - root / (1 + z2 / effective), abs=1e-6)


def test_few_responses_a_prompt_count_as_fewer() -> None:
    """Four prompts with one response on each of two goals: V is 0, its second order 1/4, over n - 1 = 1 and J = 4."""
    assert panel.sampling_variance(np.full((4, 2), 1)) == pytest.approx(1 / 16)


def test_repeating_a_prompt_adds_no_knowledge_of_other_prompts() -> None:
    """Deterministic prompts asked 5 or 500 times give the same interval for the share of a goal."""
    few, many = np.array([[5, 0], [0, 5]] * 20), np.array([[500, 0], [0, 500]] * 20)
    short, long = panel.goal_shares(few)[0], panel.goal_shares(many)[0]

    assert (short.low, short.high) == pytest.approx((long.low, long.high), abs=1e-9)


@pytest.mark.parametrize(("prompts", "runs"), [(25, 120), (40, 60)])
def test_panel_intervals_cover_in_simulation(prompts: int, runs: int) -> None:
    """Each 95 % interval holds its truth in at least 90 % of panels less 3 standard errors."""
    rng = np.random.default_rng(5)
    many = profiles_of_three_kinds(rng, 20_000)
    pooled, within = float(entropy_of(many.mean(axis=0))), float(entropy_of(many).mean())
    aligned = float(many.mean(axis=0)[ALIGNED].sum())
    kept = np.zeros(5)
    for _ in range(runs):
        p = profiles_of_three_kinds(rng, prompts)
        truths = (float(entropy_of(p).mean()), within, pooled, pooled - within, aligned)
        found = every_estimate(rng.multinomial(15, p))[:5]
        kept += [holds(one, truth) for one, truth in zip(found, truths, strict=True)]

    assert (kept / runs >= 0.90 - 3 * np.sqrt(0.09 / runs)).all(), kept / runs


def test_even_prompts_keep_a_width() -> None:
    """Where every prompt is exactly even, V is 0, and the interval still has a width."""
    found = panel.within_entropy(np.full((40, 4), 5))

    assert found.low < found.high <= np.log(4)


def test_variance_shares_sum_to_one() -> None:
    """Sure verdicts leave no variance to the classifier; unsure ones do; the shares always sum to 1."""
    rng = np.random.default_rng(6)
    counts = rng.multinomial(20, profiles_of_three_kinds(rng, 40))
    prompts = np.repeat(np.arange(40), 20)
    labels = np.concatenate([np.repeat(np.arange(5), row) for row in counts])
    sure = panel.variance_shares(counts, prompts, np.eye(5)[labels], rng=rng)
    unsure = panel.variance_shares(counts, prompts, 0.8 * np.eye(5)[labels] + 0.04, rng=rng)

    assert sure.classifier == 0
    assert unsure.classifier > 0
    for parts in (sure, unsure):
        assert parts.sampling + parts.prompts + parts.classifier == pytest.approx(1)


def test_identical_prompts_leave_the_variance_to_sampling() -> None:
    """Where all prompts share one profile, sampling explains nearly all; where each is certain of itself, little."""
    rng = np.random.default_rng(7)
    alike = rng.multinomial(200, [0.6, 0.3, 0.1], 50)
    apart = np.vstack([rng.multinomial(200, [0.98, 0.01, 0.01], 25), rng.multinomial(200, [0.4, 0.3, 0.3], 25)])

    def sampling(counts: np.ndarray) -> float:
        labels = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
        return panel.variance_shares(counts, np.repeat(np.arange(50), 200), np.eye(3)[labels], rng=rng).sampling

    assert sampling(alike) > 0.6
    assert sampling(apart) < 0.1


def test_even_prompts_leave_a_variance_to_divide() -> None:
    """Where every prompt is exactly even, V is 0, and the decomposition still has parts that sum to 1."""
    counts, prompts = np.full((40, 4), 5), np.repeat(np.arange(40), 20)
    labels = np.tile(np.repeat(np.arange(4), 5), 40)
    parts = panel.variance_shares(counts, prompts, np.eye(4)[labels], rng=np.random.default_rng(8))

    assert parts.total > 0
    assert (parts.sampling, parts.prompts, parts.classifier) == (1, 0, 0)


def test_a_decomposition_needs_repeated_prompts() -> None:
    """With one response a prompt there is no spread to divide, and the error says so."""
    with pytest.raises(ValueError, match="two prompts with two responses each, got 0"):
        panel.variance_shares(np.eye(3), np.arange(3), np.eye(3), rng=np.random.default_rng(0))
