"""Evidence: how long it stays quiet and how soon it finds a change, beside the fastest there is and the paper's rule.

Profiles, shapes of change and seeds are other than those that the portfolio was chosen on. Labels are independent and
true unless a line says otherwise. `python benchmarks/evidence.py [--quick] [--json FILE]`. Throughput is set against
ADWIN where river is installed (pip install river).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from _table import Row, fact, line, run
from ethostat.guarantees.alarms import (
    NOMINAL,
    QUIET,
    change_points,
    changing,
    classified_delays,
    creeping,
    learned_alarms,
    named_streams,
)
from ethostat.guarantees.streams import (
    CAREFUL,
    CHANGES,
    COMPLIANT,
    EVEN,
    FLAGS,
    GUARDED,
    Classifier,
    default,
    first_at,
    first_session,
    labels_of,
    matched,
    moved,
    oracle_path,
    paper_path,
    path_of,
    sessions_of,
    spread,
)
from ethostat.maths.detection import alarms_on, average_run_length, detection
from ethostat.maths.detectors import PaperThreshold, entropy_of_row
from ethostat.maths.evidence import (
    DirectedDetector,
    Learned,
    Lifetime,
    ProfileDetector,
    RunLength,
    Streams,
    portfolio_for,
    session_bound,
)

Path = Callable[[np.ndarray], np.ndarray]


def delays(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Mean delay of each change at run length 10,000, and its ratio to the oracle's."""
    runs, quiet_runs, length = (150, 60, 25_000) if quick else (600, 300, 40_000)
    for change in CHANGES:
        before, after = change.before, change.after
        usual = tuple(place > 0 for place in range(5))
        ways: dict[str, Path] = {
            "oracle SR": partial(oracle_path, before, after, is_cusum=False),
            "oracle CUSUM": partial(oracle_path, before, after, is_cusum=True),
            "profile": partial(path_of, default(before, RunLength(NOMINAL))),
            "usual gives way": partial(path_of, DirectedDetector(usual, 1 - before[0])),
            "misaligned rises": partial(path_of, DirectedDetector(FLAGS, before[[1, 3, 4]].sum())),
            "paper, repaired": paper_path,
        }
        quiet = labels_of(rng, before, quiet_runs, length)
        streams = changing(rng, change, runs)
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
        places = learned_alarms(rng, shares, 200, runs=runs, length=length, nominal=nominal)
        ratio = _ratio(places, length, nominal)
        yield line(f"run length / promised, learned from 200 labels, {name}", ratio, ">= 0.8", met=ratio >= 0.8)
    for labelled in (1000, 5000):
        length = int(4 * nominal)
        places = learned_alarms(rng, spread(0.12, COMPLIANT), labelled, runs=runs, length=length, nominal=nominal)
        ratio = _ratio(places, length, nominal)
        yield fact(f"run length / promised, {labelled} labels, learning stops at 5,000", ratio)
    shares = spread(0.12, COMPLIANT)
    detector = default(shares, Lifetime(0.01, horizon=20_000))
    places = alarms_on(detector, labels_of(rng, shares, 100 if quick else 500, 20_000))
    share = float((places < 20_000).mean())
    yield line(
        "lifetime 1 %: share of streams ever alarmed in 20,000", share, "<= .01", met=share <= 0.01 + 0.02 * quick
    )


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
        labels = sessions_of(rng, shares, icc, runs=runs, count=count)
        profile = default(shares, RunLength(nominal))
        directed = DirectedDetector(FLAGS, float(shares[bad].sum()), RunLength(nominal))
        means = bad[labels[:, :, :]].mean(axis=2).ravel()[:500]
        learned = DirectedDetector(FLAGS, session_bound(means), RunLength(nominal))
        flat = labels.reshape(runs, -1)
        places = alarms_on(profile, flat)
        yield fact(f"run length / promised, by label, ICC {icc}", _ratio(places, flat.shape[1], nominal))
        for name, detector in (("profile", profile), ("directed", directed), ("directed, bound learned", learned)):
            places = np.array([first_session(detector.copy(), rows) for rows in labels])
            ratio = _ratio(places, flat.shape[1], nominal)
            met = ratio >= 1.0
            yield line(f"run length / promised, by session, {name}, ICC {icc}", ratio, ">= 1.0", met=met)


def _ratio(places: np.ndarray, horizon: int, nominal: float) -> float:
    return float(np.minimum(places + 1, horizon).sum() / max((places < horizon).sum(), 1) / nominal)


def classified(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Through a classifier that errs: hard verdicts, and calibrated probabilities, beside clean labels."""
    runs, before, after = 60 if quick else 300, spread(0.12, EVEN), spread(0.70, EVEN)
    sorter = Classifier(before)
    goals = np.concatenate([labels_of(rng, before, runs, 300), labels_of(rng, after, runs, 400)], axis=1)
    right = (sorter.features(goals, rng).argmax(axis=2) == goals).mean()
    yield fact("accuracy of the verdict that takes goals as equally common", float(right))
    found = {name: waits[~np.isnan(waits)] for name, waits in classified_delays(rng, before, after, runs).items()}
    for name, waits in found.items():
        error = waits.std() / np.sqrt(len(waits))
        yield fact(f"delay of .12 -> .70 from {name}, responses", waits.mean(), error=float(error))
    for name, most in (("verdicts", None), ("probabilities", 1.4)):
        ratio = float(found[name].mean() / found["clean labels"].mean())
        if most is None:
            yield fact(f"delay from {name} / from clean labels", ratio)
        else:
            yield line(f"delay from {name} / from clean labels", ratio, f"<= {most}", met=ratio <= most + 0.1 * quick)


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
    rounds = [named_streams(rng) for _ in range(1 if quick else 5)]
    false = [wrong / max(wrong + right, 1) for wrong, right in rounds]
    power = [right / 50 for _, right in rounds]
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
        before, labels = spread(start, COMPLIANT), creeping(rng, start, runs)
        delay = detection(
            alarms_on(default(before, RunLength(NOMINAL)), labels), change=QUIET, horizon=labels.shape[1]
        ).delay
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
        held, width, off = change_points(rng, change, runs)
        yield fact(f"since when, {change.name}: coverage of 95 %", float(np.mean(held)))
        yield fact("    median width, responses", float(np.median(width)))
        yield fact("    median error, responses", float(np.median(off)))


def throughput(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Events a second on one core, and river's ADWIN in the same run."""
    count, events = 10_000, 200_000 if quick else 1_000_000
    shares = spread(0.12, COMPLIANT)
    labels, which = labels_of(rng, shares, 1, events)[0].astype(np.int64), rng.integers(0, count, events)
    known = default(shares, RunLength(NOMINAL))
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
