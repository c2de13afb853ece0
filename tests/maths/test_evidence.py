"""Evidence: martingales checked by adding up every short sequence, forms that agree, promises that hold."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.stats import binom

from ethostat.maths.evidence import (
    DirectedDetector,
    Known,
    Learned,
    Lifetime,
    Portfolio,
    ProfileDetector,
    RunLength,
    Streams,
    change_point,
    e_benjamini_hochberg,
    first_alarms,
    merge_any,
    merge_independent,
    portfolio_for,
    same_profile_p_value,
    session_bound,
    soft_at,
    upper_bound,
)
from ethostat.maths.evidence.edetector import MOST_WEALTH

FLAGS = (False, True, False, True, True)
SHARES = (0.90, 0.02, 0.05, 0.01, 0.02)
CHANGED = (0.70, 0.10, 0.10, 0.05, 0.05)
FIVE = portfolio_for(SHARES, FLAGS)
THREE = Portfolio((False, True, False))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(11)


def known(shares=SHARES, promise=None, portfolio=FIVE) -> ProfileDetector:
    """The default detector with a known baseline."""
    return ProfileDetector(portfolio, Known(tuple(shares)), promise)


def learning(counts=(90, 2, 5, 1, 2), freeze_at=10_000, promise=None) -> ProfileDetector:
    """The default detector with a baseline of 100 labels."""
    return ProfileDetector(FIVE, Learned(counts, freeze_at), promise)


def directed(bound=0.06, promise=None) -> DirectedDetector:
    """Misaligned mass rises above 6 %."""
    return DirectedDetector(FLAGS, bound, promise)


MAKERS = {
    "known": known,
    "learning": learning,
    "soon frozen": lambda promise=None: learning(freeze_at=150, promise=promise),
    "never frozen": lambda promise=None: learning(freeze_at=None, promise=promise),
    "directed": directed,
}
PROMISES = [RunLength(1000), Lifetime(0.05), Lifetime(0.05, horizon=40)]
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
every_promise = pytest.mark.parametrize("promise", PROMISES, ids=["run-length", "lifetime", "horizon"])


def mean_total(detector, chances, steps: int) -> float:
    """The mean of M after so many labels: every sequence, weighted by chances(counts so far) -> (K,)."""
    mean = 0.0
    for sequence in itertools.product(range(detector.goals), repeat=steps):
        probability, seen, one = 1.0, np.zeros(detector.goals), detector.copy()
        for label in sequence:
            probability *= chances(seen)[label]
            seen[label] += 1
            one.update(label)
        mean += probability * one.total
    return mean


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_evidence_is_t_on_average_while_nothing_changed(steps: int) -> None:
    """Added up over every sequence of five goals, M after t labels has mean t under the known baseline."""
    assert mean_total(known(), lambda _: SHARES, steps) == pytest.approx(steps, rel=1e-12)


def test_evidence_is_t_on_average_over_longer_sequences() -> None:
    """The same over every sequence of five labels of three goals."""
    shares = (0.7, 0.1, 0.2)

    assert mean_total(known(shares, portfolio=THREE), lambda _: shares, 5) == pytest.approx(5, rel=1e-12)


@pytest.mark.parametrize("counts", [(0, 0, 0), (7, 0, 1)])
def test_self_starting_evidence_is_t_on_average_over_the_posterior(counts) -> None:
    """Where shares are drawn from the Dirichlet posterior of the baseline's counts, M after t labels has mean t."""
    detector = ProfileDetector(THREE, Learned(counts))
    prior = np.array(counts) + 0.5

    found = mean_total(detector, lambda seen: (prior + seen) / (prior + seen).sum(), 4)
    assert found == pytest.approx(4, rel=1e-12)


@pytest.mark.parametrize("promise", PROMISES[1:], ids=["lifetime", "horizon"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_lifetime_evidence_is_one_on_average(promise: Lifetime, steps: int) -> None:
    """Weights and what is unspent of them: a martingale that starts at 1."""
    assert known(promise=promise).total == 1
    assert mean_total(known(promise=promise), lambda _: SHARES, steps) == pytest.approx(1, rel=1e-12)


def test_a_horizon_that_has_passed_keeps_the_mean() -> None:
    """After the last weight is spent the mean stays 1."""
    detector = known((0.7, 0.1, 0.2), Lifetime(0.01, horizon=3), THREE)

    assert mean_total(detector, lambda _: (0.7, 0.1, 0.2), 5) == pytest.approx(1, rel=1e-12)


def test_directed_evidence_needs_only_the_bound() -> None:
    """At the bound M has mean t; below it less, also where each response depends on those before."""

    def clustered(seen: np.ndarray) -> tuple[float, ...]:
        """Flagged with 6 % after a flagged response, else with 1 %."""
        flagged = 0.06 if seen[[1, 3, 4]].any() else 0.01
        return (1 - flagged, flagged, 0, 0, 0)

    assert mean_total(directed(), lambda _: (0.90, 0.06, 0.04, 0, 0), 4) == pytest.approx(4, rel=1e-12)
    assert mean_total(directed(), clustered, 4) < 4


def test_sessions_may_depend_within() -> None:
    """Two sessions of 7 and 3 responses, each of one goal throughout: M has mean 10, the responses."""
    for detector in (known(), directed(bound=0.05)):
        mean = 0.0
        for first, second in itertools.product(range(5), repeat=2):
            one = detector.copy()
            one.update_session(7 * np.eye(5)[first])
            one.update_session(3 * np.eye(5)[second])
            mean += SHARES[first] * SHARES[second] * one.total

        assert mean == pytest.approx(10, rel=1e-12)


def test_sessions_are_wagered_once() -> None:
    """A session of ten responses on one goal multiplies the stakes once, and counts as ten responses."""
    detector = known()
    detector.update_session((0, 10, 0, 0, 0))

    single = known()
    single.update(1)
    np.testing.assert_allclose(detector.wealth, 10 * single.wealth, rtol=1e-14)
    assert (detector.steps, detector.responses) == (1, 10)


def test_soft_verdicts_keep_the_mean() -> None:
    """Features drawn through an error matrix, verdicts as Bayes' rule gives them: M has mean t."""
    errors = np.full((5, 5), 0.02) + 0.9 * np.eye(5)
    joint = np.array(SHARES)[:, None] * errors
    says, verdicts = joint.sum(axis=0), (joint / joint.sum(axis=0)).T
    mean = 0.0
    for first, second in itertools.product(range(5), repeat=2):
        one = known()
        one.update_soft(verdicts[first])
        one.update_soft(verdicts[second])
        mean += says[first] * says[second] * one.total

    assert mean == pytest.approx(2, rel=1e-12)


def test_verdicts_move_to_another_baseline_by_bayes_rule() -> None:
    """A verdict of 0.5 where goals are even is 0.9 where the baseline says 0.9 : 0.1; soft_at undoes itself."""
    even = np.full(2, 0.5)

    assert soft_at(even, prior=even, baseline=(0.9, 0.1)) == pytest.approx([0.9, 0.1])
    row = np.array([0.3, 0.7])
    there = soft_at(row, prior=even, baseline=(0.9, 0.1))
    assert soft_at(there, prior=(0.9, 0.1), baseline=even) == pytest.approx(row)


def test_merged_parts_speak_for_the_whole() -> None:
    """M of two parts adds up, the mean is the number of responses of both, and what follows is as in one detector."""
    parts = [known(), known()]
    for label in (0, 1, 0, 4):
        parts[0].update(label)
    for label in (2, 2, 0):
        parts[1].update(label)
    whole = parts[0].merged(parts[1])

    assert whole.total == pytest.approx(parts[0].total + parts[1].total)
    assert whole.responses == 7
    assert whole.update(1).evidence > whole.update(0).evidence
    for first, second in ((known(promise=Lifetime()), known(promise=Lifetime())), (learning(), learning())):
        with pytest.raises(ValueError, match="merge"):
            first.merged(second)
    with pytest.raises(ValueError, match="same settings"):
        known().merged(known(CHANGED))


@every_promise
@every_kind
def test_many_streams_are_as_many_detectors(make, promise, rng: np.random.Generator) -> None:
    """Events of 30 streams in four batches: wealth, totals and alarms are those of 30 detectors, to the last bit."""
    streams, singles = Streams(make(promise=promise), 30), [make(promise=promise) for _ in range(30)]
    for size in (1, 700, 40, 2000):
        which = np.minimum(rng.integers(0, 30, size), rng.integers(0, 30, size))
        labels = rng.choice(5, size=size, p=CHANGED)
        readings = streams.update(which, labels)
        alone = [singles[stream].update(label) for stream, label in zip(which, labels.tolist(), strict=True)]

        assert readings.alarm.tolist() == [reading.alarm for reading in alone]
        np.testing.assert_allclose(readings.evidence, [reading.evidence for reading in alone], rtol=1e-14)
    for stream, single in enumerate(singles):
        assert np.array_equal(streams.wealth[stream], single.wealth)
        assert streams.totals[stream] == single.total
        assert streams.detector(stream).to_dict() == single.to_dict()


@every_promise
@every_kind
def test_many_soft_streams_are_as_many_detectors(make, promise, rng: np.random.Generator) -> None:
    """The same for probabilities, sure and unsure, after labels: to the last bit."""
    streams, singles = Streams(make(promise=promise), 8), [make(promise=promise) for _ in range(8)]
    first = rng.choice(5, size=50, p=CHANGED)
    streams.update(np.arange(50) % 8, first)
    for event, label in enumerate(first.tolist()):
        singles[event % 8].update(label)
    which, rows = rng.integers(0, 8, 600), rng.dirichlet(np.full(5, 0.1), size=600)
    rows[::7] = np.eye(5)[rng.integers(0, 5, len(rows[::7]))]
    readings = streams.update_soft(which, rows)
    alone = [singles[stream].update_soft(row) for stream, row in zip(which, rows, strict=True)]

    assert readings.alarm.tolist() == [reading.alarm for reading in alone]
    for stream, single in enumerate(singles):
        assert streams.detector(stream).to_dict() == single.to_dict()


@every_kind
def test_streams_reset_one_by_one(make, rng: np.random.Generator) -> None:
    """After a reset of one stream it is as new, and its neighbour goes on."""
    streams = Streams(make(), 2)
    streams.update(rng.integers(0, 2, 40), rng.choice(5, size=40, p=SHARES))
    kept = streams.detector(1)
    streams.reset([0])

    assert streams.detector(0).to_dict() == make().to_dict()
    assert streams.detector(1).to_dict() == kept.to_dict()
    assert streams.log_e_values.tolist() == pytest.approx([0, kept.log_e_value])


@every_kind
def test_runs_are_updates(make, rng: np.random.Generator) -> None:
    """`run` and `first_alarm` over a sequence agree with updates and with many streams, to the last bit."""
    labels = np.r_[rng.choice(5, size=100, p=SHARES), rng.choice(5, size=200, p=CHANGED)]
    one, other = make(), make()
    path = one.run(labels)

    assert path.tolist() == [other.update(label).evidence for label in labels.tolist()]
    crossed = np.nonzero(path >= one.reading.threshold)[0]
    place = make().first_alarm(labels)
    assert place == (crossed[0] if crossed.size else None)
    assert first_alarms(make(), labels[None])[0] == (len(labels) if place is None else place)


@every_kind
def test_one_hot_verdicts_are_labels(make, rng: np.random.Generator) -> None:
    """A verdict that is sure is the label itself, to the last bit."""
    hard, soft = make(), make()
    for label in rng.choice(5, size=120, p=CHANGED).tolist():
        assert hard.update(label) == soft.update_soft(np.eye(5)[label])
    assert hard.to_dict() == soft.to_dict()


def test_learning_stops_and_the_reference_stays(rng: np.random.Generator) -> None:
    """At 150 labels in all the baseline stands still; what it began from and what it took in are both there."""
    detector = learning(freeze_at=150)
    detector.run(rng.choice(5, size=49, p=SHARES))
    assert detector.is_learning
    detector.run(rng.choice(5, size=500, p=CHANGED))

    assert not detector.is_learning
    assert detector.learned.sum() == 50
    assert detector.baseline == Learned((90, 2, 5, 1, 2), 150)
    assert detector.shares == pytest.approx((np.array([90, 2, 5, 1, 2]) + detector.learned + 0.5) / 152.5)
    before = detector.shares
    detector.reset()
    assert np.array_equal(detector.shares, before)


def test_a_reset_takes_back_what_was_learned() -> None:
    """Labels before an alarm are suspect: while it learns, a detector begins again from its reference."""
    detector = learning()
    detector.run([1] * 20)
    detector.reset()

    assert detector.to_dict() == learning().to_dict()


def reference_path(portfolio: Portfolio, shares, labels) -> list[float]:
    """log M by logaddexp throughout, from alternatives written out as profiles."""
    p, rows, eye = np.array(shares), [], np.eye(5)

    def raised(goals: list[int], odds: float) -> np.ndarray:
        q = p * np.where(np.isin(np.arange(5), goals), odds, 1)
        return q / q.sum()

    rows += [(raised([1, 2, 3, 4], odds), 0.46 / 3) for odds in (2, 4, 10)]
    rows += [(raised([1, 3, 4], odds), 0.05 / 2) for odds in (3, 10)]
    rows += [(raised([0], odds), 0.04 / 3) for odds in (1.5, 5)] + [(0.94 * p + 0.06 * eye[0], 0.04 / 3)]
    rows += [
        ((1 - m) * p + m * eye[goal], 0.20 / 21 * (1 + FLAGS[goal])) for goal in range(1, 5) for m in (0.01, 0.03, 0.1)
    ]
    for i, j in itertools.permutations(range(5), 2):
        for moved in (min(0.02, p[0] / 2), min(0.1, p[0] / 2)) if i == 0 else (0.25 * p[i],):
            rows.append((p + moved * (eye[j] - eye[i]), 0.09 / 24))
    for i, j in itertools.combinations(range(5), 2):
        rare, common = (i, j) if p[i] <= p[j] else (j, i)
        q, both = p.copy(), p[i] + p[j]
        q[rare] = max(p[common], 0.8 * both)
        q[common] = both - q[rare]
        rows.append((q, 0.16 / 10))
    logs = np.log(np.array([q for q, _ in rows]) / p)
    log_r, out = np.full(len(rows), -np.inf), []
    stakes = np.log([stake for _, stake in rows])
    for label in labels:
        log_r = np.logaddexp(0, log_r) + logs[:, label]
        out.append(float(np.logaddexp.reduce(stakes + log_r)))
    assert len(rows) == len(portfolio.stakes)
    return out


def test_evidence_is_that_of_the_formula_in_logs(rng: np.random.Generator) -> None:
    """Alternatives written out as profiles, worked in logs: the same evidence through a change and a recovery."""
    labels = np.r_[
        rng.choice(5, size=800, p=SHARES), rng.choice(5, size=300, p=CHANGED), rng.choice(5, size=800, p=SHARES)
    ].tolist()

    np.testing.assert_allclose(known().run(labels), reference_path(FIVE, SHARES, labels), rtol=1e-9, atol=1e-9)


def test_evidence_saturates(rng: np.random.Generator) -> None:
    """1,000 labels of a rare goal end at 644.7 nats, finite, without a warning; 2,000 quiet ones then bring it down."""
    detector, streams = known(), Streams(known(), 2)
    labels = np.r_[np.ones(1000, dtype=int), rng.choice(5, size=2000, p=SHARES)]
    path = detector.run(labels)
    readings = streams.update(np.zeros(len(labels), dtype=int), labels)

    assert path.max() == pytest.approx(math.log(MOST_WEALTH))
    assert path[-1] < path.max() - 1
    assert np.isfinite(path).all()
    assert np.array_equal(streams.wealth[0], detector.wealth)
    np.testing.assert_allclose(readings.evidence, path, rtol=1e-13)


def test_long_quiet_does_not_wear_the_evidence_out(rng: np.random.Generator) -> None:
    """The smallest R stays above the smallest factor: after 30,000 labels, a change is found as by a fresh detector."""
    detector = known()
    detector.run(np.zeros(30_000, dtype=int))

    assert detector.wealth.min() >= (detector.stakes * FIVE.table(SHARES).min()).min()
    assert detector.first_alarm(np.ones(20, dtype=int)) <= known().first_alarm(np.ones(20, dtype=int))


@every_promise
@every_kind
def test_a_restart_at_any_event_changes_nothing(make, promise, rng: np.random.Generator) -> None:
    """Written to JSON and read back at each of 120 events, the detector says the same to the end."""
    labels = rng.choice(5, size=120, p=CHANGED)
    whole = make(promise=promise)
    restarted = make(promise=promise)
    for label in labels.tolist():
        restarted = type(whole).from_dict(json.loads(json.dumps(restarted.to_dict())))
        assert restarted.reading == whole.reading
        assert restarted.update(label) == whole.update(label)
    assert restarted.to_dict() == whole.to_dict()


def test_state_is_small() -> None:
    """Five goals: 432 bytes of wealth and 40 of counts a stream; a directed detector 24."""
    detector = learning()

    assert detector.wealth.nbytes + detector.taught.nbytes <= 500
    assert directed().wealth.nbytes == 24


def test_run_length_is_kept(rng: np.random.Generator) -> None:
    """Nominal 200: the mean run length of 300 quiet streams is above it, and P(T <= n) is at most n / 200."""
    labels = rng.choice(5, size=(300, 3000), p=SHARES)
    found = first_alarms(known(promise=RunLength(200)), labels)
    fired = found < 3000

    assert (np.minimum(found + 1, 3000).sum() / max(fired.sum(), 1)) >= 200
    for n in (20, 50, 100):
        assert (found < n).sum() <= binom.ppf(0.9999, 300, n / 200)


def test_learned_baselines_keep_the_run_length(rng: np.random.Generator) -> None:
    """A baseline of 200 labels drawn anew for each of 60 streams: still above nominal on average."""
    total = alarms = 0
    for _ in range(60):
        counts = tuple(rng.multinomial(200, SHARES).tolist())
        place = learning(counts, promise=RunLength(200)).first_alarm(rng.choice(5, size=1000, p=SHARES))
        total += 1000 if place is None else place + 1
        alarms += place is not None

    assert total / max(alarms, 1) >= 200


def test_a_lifetime_is_kept(rng: np.random.Generator) -> None:
    """Alpha 5 %: of 400 quiet streams of 500 labels no more alarm than a binomial of 5 % allows."""
    labels = rng.choice(5, size=(400, 500), p=SHARES)

    for promise in (Lifetime(0.05), Lifetime(0.05, horizon=500)):
        fired = first_alarms(known(promise=promise), labels) < 500
        assert fired.sum() <= binom.ppf(0.9999, 400, 0.05)


def test_changes_that_entropy_cannot_see_are_found(rng: np.random.Generator) -> None:
    """g1 and g2 trade places, so that S is the same: at run length 10,000 every one of 50 streams alarms within 10."""
    swapped = (SHARES[1], SHARES[0], *SHARES[2:])
    quiet, after = rng.choice(5, size=(50, 300), p=SHARES), rng.choice(5, size=(50, 10), p=swapped)

    found = first_alarms(known(), np.concatenate([quiet, after], axis=1))
    assert ((found >= 300) & (found < 310)).mean() >= 0.94


def test_since_when_is_found_with_its_interval(rng: np.random.Generator) -> None:
    """Changes at 400, looked back on from the alarm: the interval holds the truth in at least 80 % of 60 streams."""
    held = []
    for _ in range(60):
        labels = np.r_[rng.choice(5, size=400, p=SHARES), rng.choice(5, size=600, p=CHANGED)]
        detector = known()
        place = detector.first_alarm(labels)
        if place is not None and place >= 400:
            found = change_point(detector, labels[: place + 1])
            held.append(found.low <= 400 <= found.high)

    assert len(held) >= 50
    assert np.mean(held) >= 0.8


def test_since_when_by_hand() -> None:
    """Twenty usual labels and then ten of a rare goal: the change began with the first of the ten."""
    detector = known()
    labels = [0] * 20 + [1] * 10
    detector.run(labels)
    found = change_point(detector, labels)

    assert (found.value, found.unit, found.n) == (20, "responses", 30)
    assert found.low <= 20 <= found.high
    assert not change_point(detector, []).is_defined


def test_stakes_and_factors_of_five_goals() -> None:
    """54 alternatives whose stakes sum to 1; each has mean factor 1 under the baseline."""
    table = FIVE.table(SHARES)

    assert table.shape == (5, 54)
    assert FIVE.stakes.sum() == pytest.approx(1)
    assert np.add.reduceat(FIVE.stakes, [0, 3, 5]) == pytest.approx([0.46, 0.05, 0.49])
    assert np.array(SHARES) @ table == pytest.approx(np.ones(54))
    assert (table > 0).all()


@pytest.mark.parametrize("shares", [(0.2, 0.2, 0.2, 0.2, 0.2), (0.97, 1e-9, 0.01, 0.01, 0.01 - 1e-9)])
def test_no_alternative_is_the_baseline(shares) -> None:
    """Where goals are as common as each other, or hardly ever come, factors still have mean 1 and some are above it."""
    table = portfolio_for(shares, FLAGS).table(shares)

    assert np.array(shares) @ table == pytest.approx(np.ones(54))
    assert table.max(axis=0).min() > 1


@pytest.mark.parametrize(
    ("flags", "alternatives"),
    [
        ((False, True), 3 + 2 + 3 + 3 + 3 + 1),
        ((False, False, False), 3 + 3 + 6 + 8 + 3),
        ((False, True, True, False, True, True), 3 + 2 + 3 + 15 + 35 + 15),
    ],
)
def test_other_taxonomies_have_portfolios(flags, alternatives: int) -> None:
    """Any number of goals, with any number of them misaligned: stakes sum to 1, factors have mean 1."""
    portfolio = Portfolio(flags, usual=1)
    shares = np.random.default_rng(0).dirichlet(np.ones(len(flags)))

    assert len(portfolio.stakes) == alternatives
    assert portfolio.stakes.sum() == pytest.approx(1)
    assert shares @ portfolio.table(shares) == pytest.approx(np.ones(alternatives))


def test_upper_bounds_are_clopper_pearson() -> None:
    """At the bound, so few hits or fewer have probability 5 %; no hit in 100 gives 1 - 0.05 ** (1 / 100)."""
    bound = upper_bound((480, 7, 10, 1, 2), FLAGS)

    assert binom.cdf(10, 500, bound) == pytest.approx(0.05)
    assert upper_bound((100, 0, 0, 0, 0), FLAGS) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper_bound((0, 5, 0, 0, 0), FLAGS) == 1


def test_session_bounds_hold(rng: np.random.Generator) -> None:
    """Means of 60 sessions that differ widely: the 90 % bound is above the true mean in at least 90 % of 300 draws."""
    means = rng.binomial(10, rng.beta(0.3, 2.7, (300, 60))) / 10
    held = sum(session_bound(row, confidence=0.9) >= 0.1 for row in means)

    assert held >= binom.ppf(0.001, 300, 0.9)
    assert session_bound(np.zeros(400)) < 0.02


def test_false_discovery_rule_is_its_definition(rng: np.random.Generator) -> None:
    """Rejected are the j largest e-values, for the largest j with e_(j) >= S / (rate j)."""
    for _ in range(50):
        logs = rng.normal(1.5, 2, 12)
        ordered = np.sort(np.exp(logs))[::-1]
        most = max((j for j in range(1, 13) if ordered[j - 1] >= 12 / (0.2 * j)), default=0)

        assert e_benjamini_hochberg(logs, rate=0.2).sum() == most
    assert e_benjamini_hochberg([], rate=0.1).tolist() == []
    assert e_benjamini_hochberg([1e6, -1e6], rate=0.1).tolist() == [True, False]


def test_few_of_many_streams_are_told_apart(rng: np.random.Generator) -> None:
    """100 streams, ten of them changed at once: after 300 labels the ten are named and no other."""
    labels = rng.choice(5, size=(100, 300), p=SHARES)
    labels[:10] = rng.choice(5, size=(10, 300), p=(0.5, 0.3, 0.1, 0.05, 0.05))
    streams = Streams(known(promise=Lifetime(0.01)), 100)
    streams.update(np.repeat(np.arange(100), 300), labels.ravel())

    assert np.nonzero(e_benjamini_hochberg(streams.log_e_values, rate=0.1))[0].tolist() == list(range(10))


def test_e_values_are_merged() -> None:
    """Independent ones multiply; others have their mean taken: of e-values 4 and 1, 4 and 2.5."""
    assert merge_independent(np.log([4, 1])) == pytest.approx(np.log(4))
    assert merge_any(np.log([4, 1])) == pytest.approx(np.log(2.5))


def test_what_was_learned_is_held_against_the_reference(rng: np.random.Generator) -> None:
    """The p-value is uniform where both are of one law, small where they are not; baselines add up."""
    found = [
        same_profile_p_value(rng.multinomial(300, SHARES), rng.multinomial(900, SHARES), rng, draws=200)
        for _ in range(200)
    ]

    assert (np.array(found) <= 0.1).sum() <= binom.ppf(0.999, 200, 0.1)
    assert same_profile_p_value((280, 5, 10, 2, 3), (750, 70, 50, 10, 20), rng) < 0.01
    assert (Learned((1, 2)) + Learned((3, 0))).counts == (4, 2)


def test_counts_of_a_step_come_in_an_order_of_their_own(rng: np.random.Generator) -> None:
    """The same after a restart; a permutation of the labels; another order at another place of the stream."""
    first, second = known(), known()
    first.update_counts((30, 2, 5, 0, 1))
    second.update_counts(np.array([30, 2, 5, 0, 1]))
    assert first.to_dict() == second.to_dict()
    assert first.responses == 38

    first.update_counts((30, 2, 5, 0, 1))
    fresh = known()
    fresh.update_counts((30, 2, 5, 0, 1))
    fresh.reset()
    assert first.total != 2 * fresh.total


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda: known().update(5), "label must be 0 to 4, got 5"),
        (lambda: known().update(-1), "got -1"),
        (lambda: known().update_soft((0.5, 0.1, 0.1, 0.1, 0.1)), "sum to 1"),
        (lambda: known().update_soft((np.nan, 1, 0, 0, 0)), "sum to 1"),
        (lambda: known().update_soft((0.5, 0.5)), "one share for each of 5"),
        (lambda: known().update_counts((0, 0, 0, 0, 0)), "whole numbers"),
        (lambda: known().update_session((0.5, 0.5, 0, 0, 0)), "whole numbers"),
        (lambda: Known((0.5, 0.5, 0.0)), "learn it from counts"),
        (lambda: Learned((5, -1)), "none below 0"),
        (lambda: RunLength(0.5), "run length"),
        (lambda: Lifetime(1.0), "alpha"),
        (lambda: Lifetime(0.1, horizon=0), "horizon"),
        (lambda: directed(bound=0.0), "between 0 and 1"),
        (lambda: DirectedDetector((True, True), 0.1), "not all"),
        (lambda: Portfolio((False,)), "2 or more goals"),
        (lambda: portfolio_for((1, 2, 3), (False, True)), "do not fit"),
        (lambda: ProfileDetector(THREE, Known((0.5, 0.5))), "do not fit"),
        (lambda: Streams(known(), 2).update([2], [0]), "streams must be 0 to 1"),
        (lambda: Streams(known(), 2).update([0], [7]), "labels must be 0 to 4"),
        (lambda: Streams(known(), 2).update([0, 1], [0]), "each event"),
        (lambda: Streams(known(), 2).update_soft([0], [[0.5, 0.1, 0.1, 0.1, 0.1]]), "sum to 1"),
        (lambda: Streams(known(), 2).update_soft([0], [[0.5, 0.5]]), "must be"),
        (lambda: e_benjamini_hochberg([1.0], rate=0), "rate"),
        (lambda: session_bound([1.5]), "between 0 and 1"),
        (lambda: same_profile_p_value((1, 2), (0, 0), np.random.default_rng(0)), "neither empty"),
    ],
)
def test_what_breaks_a_rule_is_named(broken, words: str) -> None:
    """Errors say which rule, and the value."""
    with pytest.raises(ValueError, match=words):
        broken()
