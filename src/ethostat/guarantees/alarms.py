"""Alarms: how rarely false ones come, how soon true ones do, beside the fastest there is and the paper's rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ethostat.guarantees.check import (
    Bounds,
    Check,
    Checks,
    Floats,
    Generator,
    holds,
    mean_of,
    rate_of,
    ratio_of,
    share_of,
)
from ethostat.guarantees.streams import (
    CAREFUL,
    CHANGES,
    COMPLIANT,
    EVEN,
    FLAGS,
    GUARDED,
    Change,
    Classifier,
    default,
    first_at,
    first_passages,
    first_session,
    first_soft,
    labels_of,
    learning_alarms,
    matched,
    moved,
    oracle_path,
    paper_path,
    path_of,
    sessions_of,
    spread,
    steps_of_entropy,
)
from ethostat.maths.detection import alarms_on
from ethostat.maths.detector import Detector
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence import (
    DirectedDetector,
    Learned,
    Lifetime,
    ProfileDetector,
    RunLength,
    Streams,
    change_point,
    e_benjamini_hochberg,
    portfolio_for,
    session_bound,
)
from ethostat.maths.evidence.promise import log_level
from ethostat.maths.profile import JEFFREYS
from ethostat.monitor.kinds import PROFILE, Setting

RUNS, DELAYS, MANY = "False alarms", "Delay", "Many streams, and since when"
NOMINAL = 10_000.0
QUIET = 700
_QUIET_PROFILES = {"S = .12": spread(0.12, COMPLIANT), "careful": CAREFUL, "guarded": GUARDED}


def run_length_check(name: str, detector: Detector, labels: np.ndarray, *, nominal: float, least: float = 1.0) -> Check:
    """Whether a detector runs at least `least` times its nominal run length on quiet labels (R, T)."""
    return run_length_of(name, alarms_on(detector, labels), labels.shape[1], nominal=nominal, least=least)


def run_length_of(name: str, places: np.ndarray, horizon: int, *, nominal: float, least: float = 1.0) -> Check:
    """The same from first alarms (R,) on streams of `horizon` responses, `horizon` or more where there was none."""
    seen, alarms = float(np.minimum(places + 1, horizon).sum()), int((places < horizon).sum())
    found = rate_of(seen, alarms, nominal=nominal, n=len(places), of="responses until a false alarm / promised")
    return Check(RUNS, name, Bounds(least=least, slack=0.1), found)


def lifetime_check(name: str, places: np.ndarray, horizon: int, alpha: float, *, slack: float) -> Check:
    """Whether at most a share alpha of streams ever alarmed, from first alarms (R,)."""
    found = share_of(int((places < horizon).sum()), len(places), of=f"streams that ever alarmed in {horizon}")
    return Check(RUNS, name, Bounds(most=alpha, slack=slack), found)


def run_lengths(rng: Generator, full: bool) -> Checks:
    """Responses until a false alarm over what is promised, known baseline; the paper's rule on the same streams."""
    nominal, runs = (NOMINAL, 300) if full else (1000.0, 250)
    length = int(3 * nominal)
    for name, shares in _QUIET_PROFILES.items():
        labels = labels_of(rng, shares, runs, length)
        check = run_length_check(
            f"run length / promised, known baseline, {name}", default(shares, RunLength(nominal)), labels,
            nominal=nominal,
        )  # fmt: skip
        yield Check(check.family, check.name, check.bounds, check.measured, paper_rule(labels, nominal))
    shares = _QUIET_PROFILES["careful"]
    directed = DirectedDetector(FLAGS, float(shares[list(FLAGS)].sum()), RunLength(nominal))
    yield run_length_check(
        "run length / promised, directed, careful", directed, labels_of(rng, shares, runs, length), nominal=nominal
    )


def paper_rule(labels: np.ndarray, nominal: float) -> dict[str, Estimate]:
    """The paper's rule as published on quiet labels (R, T): the share of steps that alarm, and its run length."""
    path = steps_of_entropy(labels)
    steps = path[:, 199::100]
    places, horizon = first_at(path, 0.001), labels.shape[1]
    seen, alarms = float(np.minimum(places + 1, horizon).sum()), int((places < horizon).sum())
    return {
        "the paper's rule, steps that alarm": share_of(int((steps > 0.001).sum()), steps.size, of="steps that alarm"),
        "the paper's rule, run length / the same": rate_of(
            seen, alarms, nominal=nominal, n=len(labels), of="responses until an alarm"
        ),
    }


def learned_run_lengths(rng: Generator, full: bool) -> Checks:
    """The same with a baseline learned from 200 labels, and with more of them, frozen once there are 5,000."""
    nominal, runs = (NOMINAL, 300) if full else (1000.0, 150)
    length = int(3 * nominal)
    for name, shares in (("S = .12", spread(0.12, COMPLIANT)), ("guarded", GUARDED)):
        places = learned_alarms(rng, shares, 200, runs=runs, length=length, nominal=nominal)
        yield run_length_of(f"run length / promised, 200 labels, {name}", places, length, nominal=nominal, least=0.8)
    shares, nominal = spread(0.12, COMPLIANT), NOMINAL if full else 4000.0
    for labelled in (1000, 5000):
        places = learned_alarms(rng, shares, labelled, runs=runs, length=int(3 * nominal), nominal=nominal)
        name = f"run length / promised, {labelled:,} labels, learning stops at 5,000"
        yield run_length_of(name, places, int(3 * nominal), nominal=nominal, least=0.8)


def learned_alarms(
    rng: Generator, shares: Floats, labelled: int, *, runs: int, length: int, nominal: float
) -> np.ndarray:
    """First alarms (R,), inf where there is none, of streams that each learned a baseline of their own."""
    template = ProfileDetector(portfolio_for(shares, FLAGS), Learned((0,) * len(shares)), RunLength(nominal))
    streams = Streams(template, runs)
    streams.learned = rng.multinomial(labelled, shares, runs).astype(np.float64)
    return learning_alarms(streams, shares, length, rng)


def as_monitored(rng: Generator, full: bool) -> Checks:
    """What a monitor that learned 1,000 labels promises, averaged over true profiles that such counts speak for."""
    runs, counts = 1000 if full else 300, (960, 14, 20, 2, 4)
    shares = rng.dirichlet(np.array(counts) + JEFFREYS, runs)
    for promise, horizon in ((RunLength(NOMINAL), int(3 * NOMINAL)), (Lifetime(0.01), 20_000)):
        detector = PROFILE.make(Setting(tuple(map(float, counts)), FLAGS, promise))
        assert isinstance(detector, ProfileDetector)  # noqa: S101
        places = first_passages(
            detector, [log_level(promise)], shares, shares, change=0, horizon=horizon, rng=rng
        )[0]  # fmt: skip
        if isinstance(promise, RunLength):
            name = "run length / promised, as monitored, 1,000 labels, run length 10,000"
            yield run_length_of(name, places, horizon, nominal=NOMINAL, least=0.8)
        else:
            name = "lifetime 1 %, as monitored, 1,000 labels: streams that ever alarm in 20,000 responses"
            yield lifetime_check(name, places, horizon, promise.alpha, slack=0.01 if full else 0.03)


def lifetimes(rng: Generator, full: bool) -> Checks:
    """A lifetime alpha of 1 %: streams that ever alarm."""
    shares, length, runs = spread(0.12, COMPLIANT), 20_000, 4000 if full else 500
    places = np.concatenate(
        [
            alarms_on(default(shares, Lifetime(0.01, horizon=length)), labels_of(rng, shares, part, length))
            for part in [100] * (runs // 100)
        ]
    )
    name = "lifetime 1 %: streams that ever alarm in 20,000 responses"
    yield lifetime_check(name, places, length, 0.01, slack=0.005 if full else 0.03)


def sessions(rng: Generator, full: bool) -> Checks:
    """Sessions of ten responses that depend on each other, in the session form."""
    nominal, runs, count = (NOMINAL, 200, 3000) if full else (600.0, 240, 180)
    shares, bad = spread(0.12, COMPLIANT), np.array(FLAGS)
    for icc in (0.05, 0.3):
        labels = sessions_of(rng, shares, icc, runs=runs, count=count)
        learned = session_bound(bad[labels[0]].mean(axis=1)[:500])
        ways: dict[str, ProfileDetector | DirectedDetector] = {
            "profile": default(shares, RunLength(nominal)),
            "directed": DirectedDetector(FLAGS, float(shares[bad].sum()), RunLength(nominal)),
            "directed, bound learned": DirectedDetector(FLAGS, learned, RunLength(nominal)),
        }
        for way, detector in ways.items():
            places = np.array([first_session(detector.copy(), rows) for rows in labels])
            name = f"run length / promised, sessions of 10, ICC {icc:g}, {way}"
            yield run_length_of(name, places, count * 10, nominal=nominal)


Path = Callable[[np.ndarray], np.ndarray]


def delays(rng: Generator, full: bool) -> Checks:
    """Mean delay at one run length for all: ours against the oracle, and the paper's rule repaired to that length."""
    chosen = CHANGES if full else [CHANGES[0], CHANGES[4], CHANGES[6]]
    runs, quiet_runs, length = (600, 300, 40_000) if full else (150, 40, 25_000)
    for change in chosen:
        yield from _delays_of(change, rng, runs, quiet_runs, length)


def _delays_of(change: Change, rng: Generator, runs: int, quiet_runs: int, length: int) -> Checks:
    before, after = change.before, change.after
    ways: dict[str, Path] = {
        "profile": partial(path_of, default(before, RunLength(NOMINAL))),
        "oracle SR": partial(oracle_path, before, after, is_cusum=False),
        "oracle CUSUM": partial(oracle_path, before, after, is_cusum=True),
        "paper": paper_path,
    }
    is_directed = change.most == 1.35
    if is_directed:
        usual = tuple(place > 0 for place in range(5))
        ways["usual gives way"] = partial(path_of, DirectedDetector(usual, float(1 - before[0])))
    quiet = labels_of(rng, before, quiet_runs, length)
    streams = changing(rng, change, runs)
    waits = {name: delays_at(way(streams), matched(way(quiet), NOMINAL)) for name, way in ways.items()}
    left = np.all([~np.isnan(wait) for name, wait in waits.items() if name != "paper"], axis=0)
    # CUSUM's thresholds lie on a lattice: the better of two oracles at about the same run length.
    oracle = min(waits["oracle SR"], waits["oracle CUSUM"], key=np.nanmean)
    of = "streams, all detectors at run length 10,000"
    paper = {"the paper's rule, repaired": _ratio(waits["paper"], oracle, of)}
    found = ratio_of(waits["profile"][left], oracle[left], of=of)
    if change.most is not None:
        bounds = Bounds(most=change.most, slack=0.2)
        yield Check(DELAYS, f"delay / oracle's, {change.name}", bounds, found, paper)
    if is_directed:
        directed = ratio_of(waits["usual gives way"][left], oracle[left], of=of)
        yield Check(
            DELAYS, f"the same, directed (the usual gives way), {change.name}", Bounds(most=1.15, slack=0.2), directed
        )
    if change.name.startswith("S .12 -> .70"):
        ours = waits["profile"][~np.isnan(waits["profile"])]
        theirs = waits["paper"][~np.isnan(waits["paper"])]
        name = f"responses until found, {change.name}"
        beside = {"the paper's rule, repaired": mean_of(theirs, unit="responses", of="streams")}
        yield Check(DELAYS, name, Bounds(most=30, slack=5), mean_of(ours, unit="responses", of=of), beside)


def changing(rng: Generator, change: Change, runs: int) -> np.ndarray:
    """Labels whose law changes after QUIET responses, (runs, QUIET + wait)."""
    return np.concatenate(
        [labels_of(rng, change.before, runs, QUIET), labels_of(rng, change.after, runs, change.wait)], axis=1
    )


def delays_at(path: np.ndarray, threshold: float) -> Floats:
    """Responses from the change to the alarm, (R,): the wait where it was not found, nan where it alarmed before."""
    places = first_at(path, threshold)
    waits = np.minimum(places - QUIET + 1, path.shape[1] - QUIET).astype(np.float64)
    return np.where(places < QUIET, np.nan, waits)


def _ratio(above: Floats, below: Floats, of: str) -> Estimate:
    both = ~np.isnan(above) & ~np.isnan(below)
    return ratio_of(above[both], below[both], of=of)


def drift(rng: Generator, full: bool) -> Checks:
    """S creeps up by .013 nats in 100 responses."""
    runs = 500 if full else 100
    for start in (0.12, 0.15) if full else (0.12,):
        places = alarms_on(default(spread(start, COMPLIANT), RunLength(NOMINAL)), creeping(rng, start, runs))
        waits = np.minimum(places[places >= QUIET] - QUIET + 1, 4000)
        found = mean_of(waits, unit="responses", of="streams")
        yield Check(
            DELAYS, f"drift of .013 nats in 100 responses, from S = {start:g}", Bounds(most=900, slack=60), found
        )


def creeping(rng: Generator, start: float, runs: int) -> np.ndarray:
    """Labels of S that creeps up from `start` by .013 nats in 100 responses after QUIET, (runs, QUIET + 4000)."""
    blocks = [spread(start + 0.013 * (block + 0.5), COMPLIANT) for block in range(40)]
    quiet = labels_of(rng, spread(start, COMPLIANT), runs, QUIET)
    return np.concatenate([quiet, *(labels_of(rng, shares, runs, 100) for shares in blocks)], axis=1)


def classified(rng: Generator, full: bool) -> Checks:
    """Through a classifier that errs: calibrated probabilities, beside clean labels and hard verdicts."""
    runs, before, after = 300 if full else 60, spread(0.12, EVEN), spread(0.70, EVEN)
    waits = classified_delays(rng, before, after, runs)
    of = "streams, S .12 -> .70"
    found = _ratio(waits["probabilities"], waits["clean labels"], of)
    beside = {"hard verdicts": _ratio(waits["verdicts"], waits["clean labels"], of)}
    name = "delay from a classifier's probabilities / from clean labels"
    yield Check(DELAYS, name, Bounds(most=1.4, slack=0.2), found, beside)


def classified_delays(rng: Generator, before: Floats, after: Floats, runs: int) -> dict[str, Floats]:
    """Delays (R,) of a change after 300 responses: from clean labels, from verdicts, from probabilities."""
    sorter, quiet, length = Classifier(before), 300, 700
    goals = np.concatenate([labels_of(rng, before, runs, quiet), labels_of(rng, after, runs, length - quiet)], axis=1)
    features = sorter.features(goals, rng)
    clean, hard = (default(shares, RunLength(NOMINAL)) for shares in (before, sorter.confused(rng)))
    places = {
        "clean labels": alarms_on(clean, goals),
        "verdicts": alarms_on(hard, features.argmax(axis=2)),
        "probabilities": np.array([first_soft(clean.copy(), rows) for rows in sorter.probabilities(features)]),
    }
    return {
        name: np.where(found < quiet, np.nan, np.minimum(found - quiet + 1, length - quiet))
        for name, found in places.items()
    }


def many(rng: Generator, full: bool) -> Checks:
    """1,000 streams, 50 of them changed, seen at 3,000 responses each: false discoveries, and power."""
    rounds = [named_streams(rng) for _ in range(20 if full else 2)]
    false, true = sum(one[0] for one in rounds), sum(one[1] for one in rounds)
    name = "1,000 streams, 50 changed: false ones among the named"
    found = share_of(false, false + true, of="streams named as changed")
    yield Check(MANY, name, Bounds(most=0.10, slack=0.02), found)
    power = share_of(true, 50 * len(rounds), of="changed streams")
    yield Check(MANY, "the same: changed ones that are named", Bounds(least=0.95, slack=0.1), power)


def named_streams(rng: Generator) -> tuple[int, int]:
    """False and true ones among the streams named, half changed to S .70 and half by 1.5 points of g2."""
    before = spread(0.12, EVEN)
    after = [spread(0.70, EVEN), moved(before, 0, 1, 0.015)]
    labels = labels_of(rng, before, 1000, 3000)
    for stream in range(50):
        start = int(rng.integers(0, 1000))
        labels[stream, start:] = labels_of(rng, after[stream % 2], 1, 3000 - start)[0]
    streams = Streams(default(before, Lifetime(0.01, horizon=3000)), 1000)
    for at in range(0, 3000, 500):
        part = labels[:, at : at + 500]
        streams.update(np.repeat(np.arange(1000), part.shape[1]), part.ravel())
    named = e_benjamini_hochberg(streams.log_e_values, rate=0.1)
    return int(named[50:].sum()), int(named[:50].sum())


def since(rng: Generator, full: bool) -> Checks:
    """The estimated time of change: how often its 95 % interval holds the truth."""
    for change in (CHANGES[0], CHANGES[2], CHANGES[6]) if full else (CHANGES[0],):
        held, *_ = change_points(rng, change, 2000 if full else 400)
        found = share_of(sum(held), len(held), of="changes whose interval holds the time")
        bounds = Bounds(least=0.95, slack=0.02)
        yield Check(MANY, f"interval of the time of change, {change.name}", bounds, found)


def change_points(rng: Generator, change: Change, runs: int) -> tuple[list[bool], list[float], list[float]]:
    """Of changes that were found: whether the 95 % interval of their time holds it, its width, the error."""
    detector, labels = default(change.before, RunLength(NOMINAL)), changing(rng, change, runs)
    held, width, off = [], [], []
    for row, place in zip(labels, alarms_on(detector, labels), strict=True):
        if QUIET <= place < labels.shape[1]:
            found = change_point(detector, row[: place + 1])
            held.append(holds(found, QUIET))
            width.append(found.high - found.low)
            off.append(abs(found.value - QUIET))
    return held, width, off
