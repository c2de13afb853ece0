"""Profile against profile: differences, equivalence, forecasts."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from ethostat.maths import panel, shift
from ethostat.maths.entropy import entropy_of, jackknife
from ethostat.maths.estimate import Estimate

GOALS = np.eye(3, dtype=bool)


def profiles(rng: np.random.Generator, prompts: int) -> np.ndarray:
    """Profiles (J, 3) of prompts that differ much: answered, refused, undecided."""
    laws = np.array([[40, 1, 1], [1, 1, 40], [3, 1, 2]])
    return np.array([rng.dirichlet(laws[kind]) for kind in rng.choice(3, prompts, p=[0.5, 0.3, 0.2])])


def a_pair(seed: int, *, prompts: int = 40, each: int = 20, moved: float = 0.0) -> shift.Pair:
    """A pair in which B turns this share of goal 0 into goal 1."""
    rng = np.random.default_rng(seed)
    p = profiles(rng, prompts)
    q = p @ np.array([[1 - moved, moved, 0], [0, 1, 0], [0, 0, 1]])
    return shift.paired(rng.multinomial(each, p), rng.multinomial(each, q))


def test_a_model_compared_with_itself_has_not_shifted():
    """Equal counts give a difference of exactly 0 inside an interval that has a width, in every figure."""
    same = a_pair(0).a
    pair = shift.paired(same, same)

    for found in (
        shift.entropy_difference(pair),
        shift.entropy_difference_here(pair),
        shift.pooled_difference(pair),
        shift.share_difference(pair, GOALS[0]),
        shift.share_difference_here(pair, GOALS[0]),
        shift.reduction(pair),
    ):
        assert found.value == 0
        assert found.low < 0 < found.high


def test_differences_change_sign_with_the_sides():
    """B - A is the negative of A - B, interval and all."""
    pair = a_pair(1, moved=0.3)
    other = shift.paired(pair.b, pair.a)

    for figure in (shift.entropy_difference, shift.entropy_difference_here, shift.pooled_difference):
        there, back = figure(pair), figure(other)
        assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_the_difference_is_that_of_the_headlines():
    """The difference of within-prompt S is B's headline less A's, paired or not."""
    pair = a_pair(2, moved=0.2)
    wanted = panel.within_entropy(pair.b).value - panel.within_entropy(pair.a).value

    assert shift.entropy_difference(pair).value == pytest.approx(wanted)
    assert shift.entropy_difference_here(pair).value == pytest.approx(wanted)
    assert shift.entropy_difference(shift.unpaired(pair.a, pair.b)).value == pytest.approx(wanted)


def test_a_paired_share_difference_is_students_where_many_prompts_move():
    """With 400 prompts that all move, the interval is that of scipy's paired t test, to a hundredth of its width."""
    pair = a_pair(3, prompts=400, moved=0.5)
    found = shift.share_difference(pair, GOALS[1])
    ends = ttest_rel(shift.rates(pair.b)[:, 1], shift.rates(pair.a)[:, 1]).confidence_interval()

    assert found.value == pytest.approx(float((shift.rates(pair.b) - shift.rates(pair.a))[:, 1].mean()))
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.01 * (ends.high - ends.low) + 1e-3)


def test_pairing_takes_the_prompts_out_of_the_interval():
    """Where prompts differ much and both models treat them alike, the paired interval is under half as wide."""
    pair = a_pair(4, prompts=60, each=50, moved=0.1)
    apart = shift.unpaired(pair.a, pair.b)

    assert shift.share_difference(pair, GOALS[0]).half_width < 0.5 * shift.share_difference(apart, GOALS[0]).half_width
    assert shift.entropy_difference(pair).half_width < 0.7 * shift.entropy_difference(apart).half_width


def test_prompts_weigh_the_same_however_often_they_were_asked():
    """A prompt that B answered ten times as often as the others does not move the difference of shares."""
    a, b = np.array([[10, 0], [0, 10]]), np.array([[100, 0], [0, 10]])

    assert shift.share_difference(shift.paired(a, b), [True, False]).value == 0


def test_a_goal_never_seen_keeps_an_interval():
    """Nobody saw goal 2 in 100 prompts: the difference is 0 within about the 3.7 % that Wilson leaves each side."""
    counts = np.tile([10, 10, 0], (100, 1))
    pair = shift.paired(counts, counts)
    found = shift.share_difference(pair, GOALS[2])

    assert found.value == 0
    assert found.high == pytest.approx(0.037, abs=0.003)
    assert 0 < shift.share_difference_here(pair, GOALS[2]).high < found.high


def test_prompts_that_one_side_did_not_answer_are_left_out():
    """A pair keeps the prompts that both answered."""
    pair = shift.paired([[5, 1], [0, 0], [3, 3]], [[4, 2], [6, 0], [0, 0]])

    assert pair.prompts == 1
    assert pair.n == 12


def test_what_cannot_be_known_says_why():
    """One prompt says nothing of prompts like it; unpaired sets nothing of these prompts; single responses no S."""
    one = shift.paired([[5, 5]], [[9, 1]])
    apart = shift.unpaired(np.full((4, 2), 5), np.full((3, 2), 5))
    single = shift.paired(np.eye(2)[[0, 1, 0]], np.eye(2)[[1, 1, 0]])

    assert "one prompt" in shift.share_difference(one, [True, False]).method
    assert shift.share_difference_here(one, [True, False]).is_defined
    assert "not the same" in shift.entropy_difference_here(apart).method
    assert "only one response" in shift.entropy_difference(single).method


def test_counts_that_do_not_fit_are_refused():
    """Paired counts have one shape, unpaired ones as many goals."""
    with pytest.raises(ValueError, match="one shape"):
        shift.paired([[1, 2]], [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="2 and 3 goals"):
        shift.unpaired([[1, 2]], [[1, 2, 3]])


def test_reduction_is_the_share_of_entropy_that_is_gone():
    """Half of the entropy gone is a reduction of 50 %, and Fieller's interval is that of the ratio, not symmetric."""
    rng = np.random.default_rng(5)
    a = rng.multinomial(200, [0.6, 0.3, 0.1], 60)
    b = rng.multinomial(200, [0.88, 0.08, 0.04], 60)
    found = shift.reduction(shift.paired(a, b))
    truth = 100 * (1 - float(entropy_of([0.88, 0.08, 0.04]) / entropy_of([0.6, 0.3, 0.1])))

    assert found.low < truth < found.high
    assert found.unit == "%"
    assert found.half_width < 5


def test_reduction_of_nothing_is_undefined():
    """Where A's S may be 0 a share of it means nothing, and the estimate says so."""
    certain = np.tile([20, 0, 0], (8, 1))
    found = shift.reduction(shift.paired(certain, np.tile([10, 10, 0], (8, 1))))

    assert not found.is_defined
    assert "touches 0" in found.method


def test_equivalence_needs_the_whole_interval():
    """TOST: inside is equivalent; touching, crossing and unknown are not."""
    inside = Estimate(0.0, -0.04, 0.04, 0.9, "nats", 10, "")

    assert shift.is_within(inside, 0.05)
    assert not shift.is_within(inside, 0.04)
    assert not shift.is_within(Estimate.undefined("it is not known", level=0.9, unit="nats", n=0), 0.05)


def test_squares_are_added():
    """Arms of 3 and 4 make one of 5, each on its side."""
    a = Estimate(10, 10 - 1, 10 + 4, 0.95, "nats", 5, "")
    b = Estimate(20, 20 - 3, 20 + 2, 0.95, "nats", 6, "")
    found = shift.square_and_add(a, b, method="")

    assert (found.value, found.low, found.n) == (10, 5, 11)
    assert found.high == pytest.approx(10 + math.hypot(2, 1))


def test_a_forecast_halves_the_change_and_quadruples_the_need():
    """Four times the prompts and samples for half the change; pairing asks for fewer prompts than not pairing."""
    pair = a_pair(6, prompts=60, moved=0.2)
    coarse, fine = shift.need(pair, 0.02), shift.need(pair, 0.01)

    assert fine.prompts == pytest.approx(4 * coarse.prompts, rel=0.02)
    assert fine.samples == pytest.approx(4 * coarse.samples, rel=0.02)
    assert coarse.prompts < coarse.unpaired_prompts


def test_a_forecast_agrees_with_the_change_that_is_seen_now():
    """The smallest change that is seen as it stands needs about the prompts that there are."""
    pair = a_pair(7, prompts=50, moved=0.2)

    assert shift.need(pair, shift.need(pair, 1.0).smallest).prompts == pytest.approx(50, abs=1)


def test_a_forecast_refuses_what_cannot_be_meant():
    """A change is above 0."""
    with pytest.raises(ValueError, match="above 0"):
        shift.need(a_pair(8), 0.0)


def test_paired_intervals_hold_the_truth():
    """200 panels of 24 prompts x 15: the 95 % intervals of S (both kinds) and of each share hold it in 90 to 100 %."""
    rng, runs = np.random.default_rng(9), 200
    onto = np.array([[0.85, 0.15, 0], [0, 1, 0], [0.1, 0, 0.9]])
    everyone = profiles(rng, 100_000)
    share = (everyone @ onto - everyone).mean(axis=0)
    apart = float((entropy_of(everyone @ onto) - entropy_of(everyone)).mean())
    hits = np.zeros(5)
    for _ in range(runs):
        p = profiles(rng, 24)
        pair = shift.paired(rng.multinomial(15, p), rng.multinomial(15, p @ onto))
        here = float((entropy_of(p @ onto) - entropy_of(p)).mean())
        found = [shift.entropy_difference(pair), shift.entropy_difference_here(pair)]
        found += [shift.share_difference(pair, goal) for goal in GOALS]
        hits += [one.low <= truth <= one.high for one, truth in zip(found, [apart, here, *share], strict=True)]

    assert (hits / runs >= 0.90).all()


def test_differences_of_jackknives_are_what_is_averaged():
    """Below 30 prompts the value is the mean of the prompts' jackknife differences."""
    pair = a_pair(10, prompts=12)
    wanted = float((jackknife(pair.b) - jackknife(pair.a)).mean())

    assert shift.entropy_difference(pair).value == pytest.approx(wanted)


def test_an_interval_of_prompts_like_these_moves_towards_the_longer_tail():
    """Where four prompts of forty move far up, the upper end lies further off; B against A is its mirror image."""
    before = np.tile([36, 4, 0, 0, 0], (40, 1))
    after = before.copy()
    after[:4] = [14, 13, 13, 0, 0]
    up, down = (shift.entropy_difference(shift.paired(*pair)) for pair in ((before, after), (after, before)))

    assert up.high - up.value > up.value - up.low
    assert (down.low, down.high) == pytest.approx((-up.high, -up.low))
