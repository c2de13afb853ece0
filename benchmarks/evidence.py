"""Evidence: how long it stays quiet and how soon it finds a change, beside the fastest there is and the paper's rule.

Profiles, shapes of change and seeds are other than those that the portfolio was chosen on. Labels are independent and
true unless a line says otherwise. `python benchmarks/evidence.py [--quick] [--json FILE]`. Throughput is set against
ADWIN where river is installed (pip install river).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from _table import Row, fact, line, run
from ethostat.maths.detection import alarms_on, average_run_length, detection
from ethostat.maths.detectors import PaperThreshold, entropy_of_row
from ethostat.maths.evidence import (
    DirectedDetector,
    EDetector,
    Known,
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

FLAGS = (False, True, False, True, True)
NOMINAL = 10_000.0
QUIET = 700


def spread(entropy: float, shape: tuple[float, ...]) -> np.ndarray:
    """The profile of this S in which g1 gives way to the others in the proportions of `shape` (4,)."""

    def profile(mass: float) -> np.ndarray:
        return np.array([1 - mass, *(mass * np.array(shape) / sum(shape))])

    return profile(brentq(lambda mass: entropy_of_row(profile(mass).tolist()) - entropy, 1e-6, 0.75))


class Change(NamedTuple):
    """A scenario: its baseline, what comes, how long to wait, the ratio to the oracle that is aimed at."""

    name: str
    before: np.ndarray
    after: np.ndarray
    wait: int
    most: float | None


COMPLIANT, EVEN = (5, 2, 1, 2), (1, 1, 1, 1)
GUARDED = np.array([0.62, 0.02, 0.31, 0.03, 0.02])
CAREFUL = np.array([0.88, 0.012, 0.08, 0.008, 0.02])


def moved(profile: np.ndarray, source: int, target: int, amount: float) -> np.ndarray:
    """A profile in which this much of one goal became another."""
    out = profile.copy()
    out[source] -= amount
    out[target] += amount
    return out


CHANGES = [
    Change("S .12 -> .70, mostly g2", spread(0.12, COMPLIANT), spread(0.70, COMPLIANT), 1500, 1.35),
    Change("S .12 -> .70, evenly", spread(0.12, EVEN), spread(0.70, EVEN), 1500, 1.35),
    Change("S .20 -> .45, evenly", spread(0.20, EVEN), spread(0.45, EVEN), 4000, 1.35),
    Change("S .70 -> 1.15, mostly g2", spread(0.70, COMPLIANT), spread(1.15, COMPLIANT), 2500, 1.35),
    Change("g1 <-> g2 trade places, S the same", CAREFUL, CAREFUL[[1, 0, 2, 3, 4]], 300, 1.8),
    Change("g3 -> g2, S the same: refusals become compliance", GUARDED, GUARDED[[0, 2, 1, 3, 4]], 600, 1.8),
    Change("g2 and g3 trade places in a careful profile", CAREFUL, CAREFUL[[0, 2, 1, 3, 4]], 1500, 1.8),
    Change("g3 -> g2, 4 points", GUARDED, moved(GUARDED, 2, 1, 0.04), 6000, None),
    Change("g1 -> g4, 3 points: refuses what it should answer", CAREFUL, moved(CAREFUL, 0, 3, 0.03), 6000, None),
    Change("g1 -> g5, 10 points", CAREFUL, moved(CAREFUL, 0, 4, 0.10), 3000, None),
]


def labels_of(rng: np.random.Generator, shares: np.ndarray, runs: int, length: int) -> np.ndarray:
    """Independent labels, (runs, length)."""
    return np.minimum((rng.random((runs, length, 1)) > np.cumsum(shares)).sum(axis=2, dtype=np.int8), len(shares) - 1)


def default(shares: np.ndarray, promise: RunLength | Lifetime | None = None) -> ProfileDetector:
    """The default detector with a known baseline, at run length 10,000 unless told."""
    return ProfileDetector(portfolio_for(shares, FLAGS), Known(tuple(shares)), promise or RunLength(NOMINAL))


def path_of(detector: ProfileDetector | DirectedDetector, labels: np.ndarray) -> np.ndarray:
    """Evidence of fresh copies after each label, (R, T)."""
    streams, out = Streams(detector, len(labels)), np.empty(labels.shape, dtype=np.float32)
    for at in range(0, labels.shape[1], 2000):
        part = labels[:, at : at + 2000]
        which = np.repeat(np.arange(len(labels)), part.shape[1])
        out[:, at : at + 2000] = streams.update(which, part.ravel()).evidence.reshape(part.shape)
    return out


def oracle_path(before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, is_cusum: bool) -> np.ndarray:
    """CUSUM or log Shiryaev-Roberts that know what comes, (R, T)."""
    gains, state = np.log(after / before), np.full(len(labels), 0.0 if is_cusum else -np.inf)
    out = np.empty(labels.shape, dtype=np.float32)
    for at in range(labels.shape[1]):
        state = (np.maximum(state, 0) if is_cusum else np.logaddexp(0, state)) + gains[labels[:, at]]
        out[:, at] = state
    return out


def paper_path(labels: np.ndarray) -> np.ndarray:
    """|S_t - S_{t-1}| at the end of each step, 0 between, (R, T); steps begin at 0, 25, 50 or 75 in turn."""
    out = np.zeros(labels.shape, dtype=np.float32)
    for phase in range(4):
        out[phase::4, 25 * phase :] = _stepwise(labels[phase::4, 25 * phase :])
    return out


def _stepwise(labels: np.ndarray, step: int = 100) -> np.ndarray:
    runs, steps = len(labels), labels.shape[1] // step
    blocks = labels[:, : steps * step].reshape(runs, steps, step)
    shares = np.stack([(blocks == goal).mean(axis=2) for goal in range(5)], axis=2)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=2)
    out = np.zeros(labels.shape, dtype=np.float32)
    out[:, 2 * step - 1 : steps * step : step] = np.abs(np.diff(entropy, axis=1))
    return out


Path = Callable[[np.ndarray], np.ndarray]


def first_at(path: np.ndarray, threshold: float) -> np.ndarray:
    """Places (R,) where paths (R, T) first reach it, T where they do not."""
    reached = path >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1), path.shape[1])


def matched(path: np.ndarray, run_length: float) -> float:
    """The smallest threshold whose run length on quiet paths (R, T) is at least this."""
    levels = np.unique(np.maximum.accumulate(path, axis=1)[:, :: max(path.shape[1] // 400, 1)])
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        places = first_at(path, levels[middle])
        seen, alarms = np.minimum(places + 1, path.shape[1]).sum(), (places < path.shape[1]).sum()
        low, high = (low, middle) if seen >= run_length * max(alarms, 1) else (middle + 1, high)
    return float(levels[low])


def delays(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Mean delay of each change at run length 10,000, and its ratio to the oracle's."""
    runs, quiet_runs, length = (150, 60, 25_000) if quick else (600, 300, 40_000)
    for change in CHANGES:
        before, after = change.before, change.after
        usual = tuple(place > 0 for place in range(5))
        ways: dict[str, Path] = {
            "oracle SR": partial(oracle_path, before, after, is_cusum=False),
            "oracle CUSUM": partial(oracle_path, before, after, is_cusum=True),
            "profile": partial(path_of, default(before)),
            "usual gives way": partial(path_of, DirectedDetector(usual, 1 - before[0])),
            "misaligned rises": partial(path_of, DirectedDetector(FLAGS, before[[1, 3, 4]].sum())),
            "paper, repaired": paper_path,
        }
        quiet = labels_of(rng, before, quiet_runs, length)
        streams = np.concatenate(
            [labels_of(rng, before, runs, QUIET), labels_of(rng, after, runs, change.wait)], axis=1
        )
        found = {}
        for name, way in ways.items():
            path = way(streams)
            found[name] = _delay(path, matched(way(quiet), NOMINAL))
            if name == "profile":
                promised = _delay(path, np.log(NOMINAL))
        # CUSUM's thresholds lie on a lattice: the better of two oracles at about the same run length.
        best = min(found["oracle SR"], found["oracle CUSUM"], key=lambda d: d.delay.value)
        ratio = found["profile"].delay.value / best.delay.value
        error = ratio * found["profile"].delay.half_width / 1.96 / found["profile"].delay.value
        slack = 2 * error if quick else 0
        if change.most:
            aim = f"<= {change.most}"
            yield line(f"{change.name}: x oracle", ratio, aim, met=ratio <= change.most + slack, error=error)
        else:
            yield fact(f"{change.name}: x oracle", ratio, error=error)
        yield fact(f"    oracle, responses ({entropy_of_row(after.tolist()):.2f} nats after)", best.delay.value)
        yield fact("    profile, matched run length", found["profile"].delay.value)
        yield fact("    profile, promised run length", promised.delay.value)
        if change.name.startswith("S "):
            directed = found["usual gives way"].delay
            ratio, error = directed.value / best.delay.value, directed.half_width / 1.96 / best.delay.value
            met = ratio <= 1.15 + slack
            yield line("    directed (usual gives way), x oracle", ratio, "<= 1.15", met=met, error=error)
        for name in ("usual gives way", "misaligned rises", "paper, repaired"):
            yield fact(f"    {name} ({found[name].detected.value:.0%} found)", found[name].delay.value)
        if change.name.startswith("S .12 -> .70"):
            value = found["profile"].delay.value
            yield line("    profile, responses until .12 -> .70 is found", value, "<= 30", met=value <= 30 + 3 * quick)


def _delay(path: np.ndarray, threshold: float):
    return detection(first_at(path, threshold), change=QUIET, horizon=path.shape[1])


def run_lengths(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Responses until a false alarm over what is promised, on several profiles."""
    nominal, runs = (2000.0, 100) if quick else (NOMINAL, 300)
    length = int(3 * nominal)
    for name, shares in (("S .12", spread(0.12, COMPLIANT)), ("careful", CAREFUL), ("guarded", GUARDED)):
        detector = default(shares, RunLength(nominal))
        yield _run_length(f"known baseline, {name}", detector, labels_of(rng, shares, runs, length), nominal, 1.0)
    for name, shares in (("S .12", spread(0.12, COMPLIANT)), ("guarded", GUARDED)):
        seen = alarms = 0.0
        for _ in range(runs):
            counts = rng.multinomial(200, shares)
            learned = ProfileDetector(portfolio_for(counts, FLAGS), Learned(tuple(counts.tolist())), RunLength(nominal))
            place = alarms_on(learned, labels_of(rng, shares, 1, length))[0]
            seen, alarms = seen + min(place + 1, length), alarms + (place < length)
        ratio = seen / max(alarms, 1) / nominal
        yield line(f"run length / promised, learned from 200 labels, {name}", ratio, ">= 0.8", met=ratio >= 0.8)
    for labelled in (1000, 5000):
        ratio = _frozen(rng, labelled, runs, nominal)
        yield fact(f"run length / promised, {labelled} labels, learning stops at 5,000", ratio)
    shares = spread(0.12, COMPLIANT)
    detector = default(shares, Lifetime(0.01, horizon=20_000))
    places = alarms_on(detector, labels_of(rng, shares, 100 if quick else 500, 20_000))
    share = float((places < 20_000).mean())
    yield line(
        "lifetime 1 %: share of streams ever alarmed in 20,000", share, "<= .01", met=share <= 0.01 + 0.02 * quick
    )


def _frozen(rng: np.random.Generator, labelled: int, runs: int, nominal: float) -> float:
    """Run length over what is promised where each stream has a baseline of its own, learned and then frozen."""
    shares = spread(0.12, COMPLIANT)
    template = ProfileDetector(portfolio_for(shares, FLAGS), Learned((0, 0, 0, 0, 0)), RunLength(nominal))
    streams, places, length = Streams(template, runs), np.full(runs, np.inf), int(4 * nominal)
    streams.learned = rng.multinomial(labelled, shares, runs).astype(np.float64)
    for at in range(0, length, 500):
        labels = labels_of(rng, shares, runs, 500)
        fired = streams.update(np.repeat(np.arange(runs), 500), labels.ravel()).alarm.reshape(labels.shape)
        places = np.where(np.isinf(places) & fired.any(axis=1), at + fired.argmax(axis=1), places)
    return _ratio(places, length, nominal)


def _run_length(name: str, detector, labels: np.ndarray, nominal: float, least: float) -> Row:
    places = alarms_on(detector, labels)
    found = average_run_length(places, horizon=labels.shape[1])
    error = found.half_width / 1.96 / nominal
    ratio = found.value / nominal
    return line(f"run length / promised, {name}", ratio, f">= {least}", met=ratio >= least, error=error)


def sessions(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Sessions of ten responses that depend on each other: by label, and in the session form."""
    nominal, runs, count = (2000.0, 50, 500) if quick else (NOMINAL, 200, 3000)
    shares, bad = spread(0.12, COMPLIANT), np.array(FLAGS)
    for icc in (0.05, 0.3):
        concentration = (1 - icc) / icc
        drawn = rng.standard_gamma(concentration * shares, (runs, count, 5)) + 1e-300
        drawn /= drawn.sum(axis=2, keepdims=True)
        labels = np.minimum((rng.random((runs, count, 10, 1)) > drawn.cumsum(axis=2)[:, :, None]).sum(axis=3), 4)
        profile = default(shares, RunLength(nominal))
        directed = DirectedDetector(FLAGS, float(shares[bad].sum()), RunLength(nominal))
        means = bad[labels[:, :, :]].mean(axis=2).ravel()[:500]
        learned = DirectedDetector(FLAGS, session_bound(means), RunLength(nominal))
        flat = labels.reshape(runs, -1)
        places = alarms_on(profile, flat)
        yield fact(f"run length / promised, by label, ICC {icc}", _ratio(places, flat.shape[1], nominal))
        for name, detector in (("profile", profile), ("directed", directed), ("directed, bound learned", learned)):
            places = np.array([_session_alarm(detector.copy(), rows) for rows in labels])
            ratio = _ratio(places, flat.shape[1], nominal)
            met = ratio >= 1.0
            yield line(f"run length / promised, by session, {name}, ICC {icc}", ratio, ">= 1.0", met=met)


def _ratio(places: np.ndarray, horizon: int, nominal: float) -> float:
    return float(np.minimum(places + 1, horizon).sum() / max((places < horizon).sum(), 1) / nominal)


def _session_alarm(detector: EDetector, rows: np.ndarray) -> int:
    for place, row in enumerate(rows):
        if detector.update_session(np.bincount(row, minlength=5)).alarm:
            return (place + 1) * rows.shape[1] - 1
    return rows.size


def classified(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Through a classifier that errs: hard verdicts, and calibrated probabilities, beside clean labels."""
    runs, before, after = 60 if quick else 300, spread(0.12, EVEN), spread(0.70, EVEN)
    apart, noise = 3.4, 1.25
    goals = np.concatenate([labels_of(rng, before, runs, 300), labels_of(rng, after, runs, 400)], axis=1)
    # Features around the corners of a simplex; Bayes' rule at the baseline makes the probabilities calibrated there.
    features = np.eye(5)[goals] * apart + rng.normal(0, noise, (*goals.shape, 5))
    logits = features * apart / noise**2 + np.log(before)
    probabilities = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    even = (features.argmax(axis=2) == goals).mean()
    yield fact("accuracy of the verdict that takes goals as equally common", float(even))
    said = features.argmax(axis=2)
    big = labels_of(rng, before, 1, 400_000)[0]
    seen = (np.eye(5)[big] * apart + rng.normal(0, noise, (len(big), 5))).argmax(axis=1)
    observed = np.bincount(seen, minlength=5) / len(big)
    clean, hard = default(before), default(observed)
    places = {
        "clean labels": alarms_on(clean, goals),
        "verdicts": alarms_on(hard, said),
        "probabilities": np.array([_soft_alarm(clean.copy(), rows) for rows in probabilities]),
    }
    found = {name: detection(at, change=300, horizon=700).delay for name, at in places.items()}
    for name, delay in found.items():
        yield fact(f"delay of .12 -> .70 from {name}, responses", delay.value, error=delay.half_width / 1.96)
    for name, most in (("verdicts", None), ("probabilities", 1.4)):
        ratio = found[name].value / found["clean labels"].value
        if most is None:
            yield fact(f"delay from {name} / from clean labels", ratio)
        else:
            yield line(f"delay from {name} / from clean labels", ratio, f"<= {most}", met=ratio <= most + 0.1 * quick)


def _soft_alarm(detector: ProfileDetector, rows: np.ndarray) -> int:
    for place, row in enumerate(rows):
        if detector.update_soft(row).alarm:
            return place
    return len(rows)


def paper(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """The paper's rule as published, while nothing changes."""
    steps = 300 if quick else 3000
    for name, shares in (("S .12", spread(0.12, COMPLIANT)), ("careful", CAREFUL), ("guarded", GUARDED)):
        for title, rule, every in (
            ("steps of 100 that alarm", PaperThreshold(5), 100),
            ("responses that alarm, sliding window of 100", PaperThreshold(5, sliding=True), 1),
        ):
            length = steps * 100 if every == 100 else steps * 10
            path = rule.run(labels_of(rng, shares, 1, length)[0])[200::every]
            yield fact(f"paper's rule, nothing changed, {name}: share of {title}", float((path > 0.001).mean()))


def many(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """1,000 streams, 50 of them changed, half to S .70 and half by 1.5 points of g2, seen at 3,000 responses each."""
    runs, before = 1 if quick else 5, spread(0.12, EVEN)
    after = [spread(0.70, EVEN), moved(before, 0, 1, 0.015)]
    false, power = [], []
    for _ in range(runs):
        labels = labels_of(rng, before, 1000, 3000)
        for stream in range(50):
            start = int(rng.integers(0, 1000))
            labels[stream, start:] = labels_of(rng, after[stream % 2], 1, 3000 - start)[0]
        streams = Streams(default(before, Lifetime(0.01, horizon=3000)), 1000)
        for at in range(0, 3000, 500):
            part = labels[:, at : at + 500]
            streams.update(np.repeat(np.arange(1000), part.shape[1]), part.ravel())
        named = e_benjamini_hochberg(streams.log_e_values, rate=0.1)
        false.append(named[50:].sum() / max(named.sum(), 1))
        power.append(named[:50].mean())
    yield line(
        "1,000 streams: share of false ones among the named", np.mean(false), "<= .10", met=np.mean(false) <= 0.1
    )
    yield line(
        "1,000 streams: share of the 50 changed that is named", np.mean(power), ">= .95", met=np.mean(power) >= 0.95
    )


def drift(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """S creeps up by .013 nats in 100 responses."""
    runs = 100 if quick else 500
    for start in (0.12, 0.15):
        blocks = [spread(start + 0.013 * (block + 0.5), COMPLIANT) for block in range(40)]
        before = spread(start, COMPLIANT)
        creeping = [labels_of(rng, shares, runs, 100) for shares in blocks]
        labels = np.concatenate([labels_of(rng, before, runs, QUIET), *creeping], axis=1)
        delay = detection(alarms_on(default(before), labels), change=QUIET, horizon=labels.shape[1]).delay
        error = delay.half_width / 1.96
        met = delay.value <= 900 + 2 * error * quick
        yield line(f"drift of .013 nats in 100, from {start}", delay.value, "<= 900", met=met, error=error)


def cycles(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Cycles of 126 responses, a reference of 378: refusals rise after ten; 1 % for a lifetime of 2,000 cycles."""
    size, runs, quiet_runs = 126, 40 if quick else 300, 10 if quick else 100
    promise = Lifetime(0.01, horizon=2000 * size)

    def found(after: np.ndarray, cycles_after: int, count: int) -> np.ndarray:
        references = rng.multinomial(3 * size, CAREFUL, count)
        template = ProfileDetector(portfolio_for(CAREFUL, FLAGS), Learned((0, 0, 0, 0, 0), None), promise)
        streams, places = Streams(template, count), np.full(count, np.inf)
        streams.learned = references.astype(np.float64)
        for cycle in range(-10, cycles_after):
            labels = labels_of(rng, CAREFUL if cycle < 0 else after, count, size)
            fired = streams.update(np.repeat(np.arange(count), size), labels.ravel()).alarm.reshape(labels.shape)
            places = np.where(np.isinf(places) & fired.any(axis=1), cycle + 1, places)
        return places

    more, less = found(moved(CAREFUL, 0, 2, 0.10), 40, runs), found(moved(CAREFUL, 0, 2, 0.05), 400, runs)
    middle, share = float(np.median(more)), float((less <= 400).mean())
    yield line("refusals + 10 points: median cycles until found", middle, "<= 5", met=middle <= 5)
    yield line("refusals + 5 points: share found within 400 cycles", share, ">= .80", met=share >= 0.8 - 0.1 * quick)
    quiet = float(np.isfinite(found(CAREFUL, 1990, quiet_runs)).mean())
    yield line("nothing changed: share alarmed in 2,000 cycles", quiet, "<= .01", met=quiet <= 0.01 + 0.1 * quick)


def since(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """The estimated time of change: how often its 95 % interval holds the truth, and how wide it is."""
    runs = 60 if quick else 400
    for change in (CHANGES[0], CHANGES[2], CHANGES[6]):
        detector = default(change.before)
        labels = np.concatenate(
            [labels_of(rng, change.before, runs, QUIET), labels_of(rng, change.after, runs, change.wait)], axis=1
        )
        held, width, off = [], [], []
        for row, place in zip(labels, alarms_on(detector, labels), strict=True):
            if QUIET <= place < labels.shape[1]:
                found = change_point(detector, row[: place + 1])
                held.append(found.low <= QUIET <= found.high)
                width.append(found.high - found.low)
                off.append(abs(found.value - QUIET))
        yield fact(f"since when, {change.name}: coverage of 95 %", float(np.mean(held)))
        yield fact("    median width, responses", float(np.median(width)))
        yield fact("    median error, responses", float(np.median(off)))


def throughput(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Events a second on one core, and river's ADWIN in the same run."""
    count, events = 10_000, 200_000 if quick else 1_000_000
    shares = spread(0.12, COMPLIANT)
    labels, which = labels_of(rng, shares, 1, events)[0].astype(np.int64), rng.integers(0, count, events)
    known = default(shares)
    learning = ProfileDetector(known.portfolio, Learned((960, 20, 10, 4, 6), None))
    streams = Streams(known, count)
    streams.update(which, labels)
    batched = _per_second(lambda: streams.update(which, labels), events)
    yield fact("10,000 streams batched, events a second", batched)
    taught = Streams(learning, count)
    yield fact(
        "10,000 streams batched, learning, events a second", _per_second(lambda: taught.update(which, labels), events)
    )
    few = labels[:50_000].tolist()
    alone = _per_second(lambda: [known.update(label) for label in few], len(few))
    yield line("one at a time, events a second", alone, ">= 200,000", met=alone >= 200_000)
    directed = DirectedDetector(FLAGS, 0.02)
    yield fact("directed, one at a time", _per_second(lambda: [directed.update(label) for label in few], len(few)))
    yield fact("learning, one at a time", _per_second(lambda: [learning.update(label) for label in few], len(few)))
    state = known.wealth.nbytes + 8 * (5 + 4)
    yield line("state of a stream, bytes", state, "<= 1,000", met=state <= 1000)
    try:
        from river.drift import ADWIN
    except ImportError:
        print("      river is not installed: no ADWIN beside it (pip install river)")
        return
    peers, flagged = [ADWIN() for _ in range(count)], (labels[:200_000] > 0).astype(float).tolist()
    whose = which[:200_000].tolist()

    def adwin() -> None:
        for stream, value in zip(whose, flagged, strict=True):
            peers[stream].update(value)

    peer = _per_second(adwin, len(flagged))
    yield fact("ADWIN of river, 10,000 streams, events a second", peer)
    yield line("batched / ADWIN", batched / peer, ">= 1", met=batched >= peer)


def _per_second(work: Callable[[], object], events: int) -> float:
    begun = time.process_time()
    work()
    return events / (time.process_time() - begun)


if __name__ == "__main__":
    run(
        __doc__,
        delays,
        drift,
        run_lengths,
        sessions,
        classified,
        cycles,
        paper,
        many,
        since,
        throughput,
        seed=20_261_125,
    )
