"""Calibrate: what an alarm would cost and find on this baseline, simulated before it goes live.

Streams are simulated whose true profile is drawn from what the baseline's counts leave possible (Dirichlet, counts +
1/2), so that a small baseline's uncertainty is in every figure. All run lengths are read off the same streams.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.guarantees.streams import BLOCK, first_passages, labels_of
from ethostat.maths.detection import Detection, Whole, alarms_on, average_run_length, detection
from ethostat.maths.detector import Floats
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence import DirectedDetector, Lifetime, ProfileDetector, Promise, RunLength
from ethostat.maths.profile import JEFFREYS
from ethostat.monitor import KINDS, Baseline
from ethostat.monitor.baseline import total
from ethostat.monitor.kinds import Kind, Setting
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

RUN_LENGTHS = (1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0)
"""What is set side by side unless told."""
DAYS_A_MONTH = 30.4
POWER = 0.8
SIZES = (0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.30)
"""Sizes of change on the curves, as shares."""
_QUIET = 3 * BLOCK
_THRESHOLDS = 13


@dataclass(frozen=True, slots=True)
class Change:
    """What may come: `points` (K,) are added to the goals' shares, as shares; they sum to 0."""

    name: str
    points: tuple[float, ...]

    def __post_init__(self) -> None:
        if abs(sum(self.points)) > 1e-9 or not any(self.points):
            raise InvalidInput(
                f"change {self.name!r} adds {sum(self.points):+g} in all; what one goal gains others must lose"
            )

    @property
    def size(self) -> float:
        """How much of the traffic changes, a share."""
        return sum(point for point in self.points if point > 0)

    def resized(self, size: float, name: str) -> Change:
        """The same direction, so large."""
        return Change(name, tuple(point * size / self.size for point in self.points))

    def of(self, shares: Floats) -> Floats:
        """Profiles (..., K) after the change; what a goal does not have is not taken from it."""
        points = np.array(self.points)
        taken = np.minimum(shares, np.maximum(-points, 0))
        gained = np.maximum(points, 0) / self.size
        return np.asarray(shares - taken + taken.sum(axis=-1, keepdims=True) * gained)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one change under one setting: mean `delay` in responses, the share found `within` so many."""

    delay: Estimate
    within: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"delay": self.delay.to_dict(), "within": self.within.to_dict()}


@dataclass(frozen=True, slots=True)
class Cost:
    """One setting: what was `asked` for (a run length, an alpha; None where nothing is promised), and what it gives.

    `run_length` is in responses, of an alpha the share of streams that ever alarmed; `pages` are false ones a month.
    `smallest` has, for each direction, the size of change in points that is found within so many responses in 80 %.
    """

    asked: float | None
    run_length: Estimate
    pages: Estimate | None
    changes: Mapping[str, Found]
    smallest: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "asked": self.asked,
            "run_length": self.run_length.to_dict(),
            "false_pages_a_month": None if self.pages is None else self.pages.to_dict(),
            "changes": {name: one.to_dict() for name, one in self.changes.items()},
            "smallest": {name: one.to_dict() for name, one in self.smallest.items()},
        }


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What settings of one detector give on one baseline.

    `curves` has, for each direction, one `Found` a size of SIZES for each setting; `thresholds` are run lengths asked
    for with those that were simulated.
    """

    detector: str
    rests_on: str | None
    baseline: str
    goals: tuple[str, ...]
    aligned: tuple[bool, ...]
    counts: tuple[float, ...]
    promise: str
    changes: tuple[Change, ...]
    costs: tuple[Cost, ...]
    curves: Mapping[str, tuple[tuple[Found, ...], ...]]
    thresholds: tuple[tuple[float, Estimate], ...]
    within: int
    per_day: float | None
    streams: int
    seed: int
    seconds: float = field(compare=False, default=0.0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before a setting is chosen, in sentences."""
        broken = [one for one in self.costs if _is_broken(one)]
        if not broken:
            return ()
        named = ", ".join(f"{one.asked:,g}" for one in broken)
        return (
            f"{self.promise} {named} is not kept, on average over baselines like this: what is wrong when learning "
            "stops stays wrong; more normal responses help",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "detector": self.detector,
            "rests_on": self.rests_on,
            "baseline": {"name": self.baseline, "counts": dict(zip(self.goals, self.counts, strict=True))},
            "promise": self.promise,
            "within": self.within,
            "per_day": self.per_day,
            "streams": self.streams,
            "seed": self.seed,
            "notes": list(self.notes),
            "changes": {one.name: dict(zip(self.goals, one.points, strict=True)) for one in self.changes},
            "settings": [one.to_dict() for one in self.costs],
            "curves": {
                name: {
                    "points": [100 * size for size in SIZES],
                    "settings": [[one.to_dict() for one in row] for row in rows],
                }
                for name, rows in self.curves.items()
            },
            "thresholds": [{"asked": asked, "run_length": one.to_dict()} for asked, one in self.thresholds],
        }


Progress = Callable[[str, int, int], None]


def changes_for(baseline: Sequence[float], taxonomy: Taxonomy = FIVE_GOALS) -> dict[str, Change]:
    """The changes that are looked at unless told, by their short names.

    Aligned mass falls by 5, 10 and 20 points (each misaligned goal gains in proportion to what it has), the usual goal
    and the first misaligned one trade places (S stays), and 10 points of the usual goal go to another aligned one:
    with the five goals, help becomes refusal.
    """
    shares = _shares(baseline)
    aligned = np.array(taxonomy.aligned)
    found: dict[str, Change] = {}
    if aligned.any() and not aligned.all():
        down = np.where(aligned, -shares / shares[aligned].sum(), shares / shares[~aligned].sum())
        for points in (5, 10, 20):
            name = f"aligned share falls by {points} points"
            found[f"aligned-{points}"] = Change(name, tuple((down * points / 100).tolist()))
        usual, worst = int(shares.argmax()), int((~aligned).argmax())
        if usual != worst:
            name = f"{taxonomy.keys[usual]} and {taxonomy.keys[worst]} trade places"
            found["swap"] = _moving(name, shares, usual, worst, float(shares[usual] - shares[worst]))
    usual = int(shares.argmax())
    others = [place for place in range(len(shares)) if aligned[place] and place != usual]
    if others:
        name = f"10 points of {taxonomy.keys[usual]} become {taxonomy.keys[others[0]]}"
        found["refusals"] = _moving(name, shares, usual, others[0], 0.10)
    return found


def read_change(text: str, baseline: Sequence[float], taxonomy: Taxonomy = FIVE_GOALS) -> Change:
    """The change that this names: `aligned-10`, `swap`, `refusals`, or points by goal, as `g1:-0.1,g3:+0.1`.

    Raises InvalidInput for what is neither.
    """
    named = changes_for(baseline, taxonomy)
    if text in named:
        return named[text]
    points = [0.0] * len(taxonomy.goals)
    for part in text.split(","):
        goal, colon, number = part.strip().partition(":")
        if not colon or goal not in taxonomy.keys or not _is_share(number):
            raise InvalidInput(
                f"change {text[:60]!r} must be one of {', '.join(named)}, or shares added by goal, such as "
                f"{taxonomy.keys[0]}:-0.1,{taxonomy.keys[-1]}:+0.1; {part.strip()[:30]!r} is neither"
            )
        points[taxonomy.index(goal)] += float(number)
    return Change(text, tuple(points))


def calibrate(
    baseline: Baseline,
    *,
    run_lengths: Sequence[float] | None = None,
    alpha: float | None = None,
    detector: Kind = KINDS["profile"],
    taxonomy: Taxonomy = FIVE_GOALS,
    changes: Sequence[Change | str] = (),
    within: int = 500,
    per_day: float | None = None,
    streams: int = 200,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Calibrated:
    """Simulate what a detector does on streams like this baseline, while nothing changes and after `changes`.

    `alpha` takes the place of the run lengths (RUN_LENGTHS where none are given); `changes` may be texts that
    `read_change` reads. They come after 192 quiet responses; one that is not found within four times `within` (2,000
    at least) counts as that. `per_day` responses make false pages a month of a run length. Strata are taken together.
    Raises InvalidInput for a baseline without counts and for settings out of range.
    """
    run_lengths = RUN_LENGTHS if run_lengths is None else run_lengths
    _check(baseline, taxonomy, run_lengths, within=within, streams=streams, per_day=per_day)
    began, rng = time.process_time(), np.random.default_rng(seed)
    counts = total(baseline.counts.values())
    told = tuple(read_change(one, counts, taxonomy) if isinstance(one, str) else one for one in changes)
    named = told or tuple(changes_for(counts, taxonomy).values())
    directions = _directions(named, counts, taxonomy, told=bool(told))
    bench = _Bench(
        detector, counts, tuple(not good for good in taxonomy.aligned), _promises(run_lengths, alpha), streams
    )
    tell = _Teller(on_progress, 1 + len(named) + len(directions) * len(SIZES))
    wait = max(4 * within, 2_000)

    tell("nothing changes")
    quiet = bench.quiet(rng)
    found = {}
    for change in named:
        tell(change.name)
        found[change.name] = bench.changed(change, wait, within, rng)
    curves: dict[str, list[list[Found]]] = {}
    for name, direction in directions.items():
        rows: list[list[Found]] = [[] for _ in bench.promises]
        for size in SIZES:
            tell(f"{name}, {100 * size:g} points")
            each = bench.changed(direction.resized(size, name), wait, within, rng)
            for row, one in zip(rows, each, strict=True):
                row.append(one)
        curves[name] = rows
    costs = tuple(
        Cost(
            asked=bench.asked[place],
            run_length=quiet.run_lengths[place],
            pages=None if per_day is None or alpha is not None else _a_month(quiet.run_lengths[place], per_day),
            changes={name: each[place] for name, each in found.items()},
            smallest={name: _smallest(rows[place]) for name, rows in curves.items()},
        )
        for place in range(len(bench.promises))
    )
    return Calibrated(
        detector=detector.name,
        rests_on=detector.rests_on,
        baseline=baseline.name,
        goals=taxonomy.keys,
        aligned=taxonomy.aligned,
        counts=counts,
        promise="alpha" if alpha is not None else "run length",
        changes=named,
        costs=costs,
        curves={name: tuple(map(tuple, rows)) for name, rows in curves.items()},
        thresholds=quiet.thresholds,
        within=within,
        per_day=per_day,
        streams=streams,
        seed=seed,
        seconds=time.process_time() - began,
    )


@dataclass(frozen=True, slots=True)
class _Quiet:
    run_lengths: list[Estimate]
    thresholds: tuple[tuple[float, Estimate], ...]


class _Bench:
    """A detector on simulated streams, under one promise or several."""

    def __init__(
        self,
        kind: Kind,
        counts: tuple[float, ...],
        misaligned: tuple[bool, ...],
        promises: Sequence[Promise],
        streams: int,
    ) -> None:
        self.kind, self.counts = kind, np.array(counts)
        # What keeps no promise is the same under all of them.
        self.promises = list(promises) if kind.rests_on is not None else list(promises[:1])
        self.detectors = [kind.make(Setting(counts, misaligned, promise)) for promise in self.promises]
        self.is_fast = isinstance(self.detectors[0], ProfileDetector | DirectedDetector)
        self.streams = streams if self.is_fast else max(streams // 5, 10)
        self.levels = [math.log(promise.level) for promise in self.promises]

    @property
    def asked(self) -> list[float | None]:
        """The run lengths or alphas; None where nothing is promised."""
        if self.kind.rests_on is None:
            return [None]
        return [promise.responses if isinstance(promise, RunLength) else promise.alpha for promise in self.promises]

    def quiet(self, rng: np.random.Generator) -> _Quiet:
        """Run lengths while nothing changes, or the share that ever alarmed; and those of thresholds between."""
        first, longest = self.promises[0], 10_000.0
        between: list[float] = []
        if isinstance(first, RunLength):
            longest = max(promise.responses for promise in self.promises if isinstance(promise, RunLength))
            between = np.geomspace(min(100.0, first.responses), longest, _THRESHOLDS).tolist() if self.is_fast else []
        horizon = int(np.clip(2 * longest, 2_000, 20_000 if self.is_fast else 5_000))
        shares = self._profiles(rng)
        places = self._places([*self.levels, *map(math.log, between)], (shares, shares), 0, horizon, rng)
        if isinstance(first, Lifetime):
            ever = detection(places[0], change=0, horizon=horizon).detected
            return _Quiet([replace(ever, method=f"streams that alarmed in {horizon} responses; Clopper-Pearson")], ())
        found = [average_run_length(row, horizon=horizon) for row in places]
        n = len(self.levels)
        return _Quiet(found[:n], tuple(zip(between, found[n:], strict=True)))

    def changed(self, change: Change, wait: int, within: int, rng: np.random.Generator) -> list[Found]:
        """Delays of a change, by promise."""
        before = self._profiles(rng)
        horizon = _QUIET + (wait if self.is_fast else min(wait, 2_000))
        rows = self._places(self.levels, (before, change.of(before)), _QUIET, horizon, rng)
        return [_found(row, horizon, within) for row in rows]

    def _profiles(self, rng: np.random.Generator) -> Floats:
        """True profiles (R, K) that the counts leave possible."""
        return rng.dirichlet(self.counts + JEFFREYS, self.streams)

    def _places(
        self, levels: Sequence[float], laws: tuple[Floats, Floats], change: int, horizon: int, rng: np.random.Generator
    ) -> list[Whole]:
        """First alarms (R,) at each level, or of each detector where levels are its own; `laws` before and after."""
        detector, (before, after) = self.detectors[0], laws
        if isinstance(detector, ProfileDetector | DirectedDetector):
            return first_passages(detector, levels, before, after, change=change, horizon=horizon, rng=rng)
        quiet, then = (
            labels_of(rng, before, self.streams, change),
            labels_of(rng, after, self.streams, horizon - change),
        )
        labels = np.concatenate([quiet, then], axis=1)
        return [alarms_on(one, labels) for one in self.detectors]


class _Teller:
    """Counts simulations for whoever watches."""

    def __init__(self, on_progress: Progress | None, wanted: int) -> None:
        self.on_progress, self.wanted, self.done = on_progress, wanted, 0

    def __call__(self, stage: str) -> None:
        if self.on_progress is not None:
            self.on_progress(stage, self.done, self.wanted)
        self.done += 1


def _is_broken(one: Cost) -> bool:
    """Whether the interval of what was simulated lies wholly beyond what was asked for."""
    found = one.run_length
    if one.asked is None or not found.is_defined:
        return False
    return found.low > one.asked if found.unit == "share" else found.high < one.asked


def _found(places: Whole, horizon: int, within: int) -> Found:
    whole: Detection = detection(places, change=_QUIET, horizon=horizon)
    near = detection(np.minimum(places, _QUIET + within), change=_QUIET, horizon=_QUIET + within)
    return Found(whole.delay, near.detected)


def _smallest(row: Sequence[Found]) -> Estimate:
    """The size of change, points, that is found in time in 80 %: interpolated, between those of the interval's ends."""
    n, level = row[0].within.n, row[0].within.level
    shares = [np.array([getattr(one.within, end) for one in row]) for end in ("value", "high", "low")]
    value, low, high = (_crossing(np.maximum.accumulate(np.nan_to_num(each))) for each in shares)
    if math.isnan(value):
        reason = f"none up to {100 * SIZES[-1]:g} points is found in time in {POWER:.0%}"
        return Estimate.undefined(reason, level=level, unit="points", n=n)
    high = 100 * SIZES[-1] if math.isnan(high) else high
    return Estimate(value, low, high, level, "points", n, f"found in time in {POWER:.0%}; interpolated")


def _crossing(shares: Floats) -> float:
    if shares[-1] < POWER:
        return math.nan
    at = int(np.argmax(shares >= POWER))
    if at == 0:
        return 100 * SIZES[0]
    part = (POWER - shares[at - 1]) / (shares[at] - shares[at - 1])
    return 100 * float(SIZES[at - 1] + part * (SIZES[at] - SIZES[at - 1]))


def _a_month(run_length: Estimate, per_day: float) -> Estimate:
    """False pages a month, where each begins a new run."""
    if not run_length.is_defined:
        return Estimate.undefined(
            run_length.method.removeprefix("undefined: "), level=run_length.level, unit="pages a month", n=run_length.n
        )
    month = DAYS_A_MONTH * per_day
    ends = month / run_length.high, month / run_length.low
    method = f"{month:.0f} responses / run length"
    return Estimate(month / run_length.value, *ends, run_length.level, "pages a month", run_length.n, method)


def _promises(run_lengths: Sequence[float], alpha: float | None) -> list[Promise]:
    try:
        return [RunLength(each) for each in sorted(set(run_lengths))] if alpha is None else [Lifetime(alpha)]
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def _directions(
    named: Sequence[Change], counts: Sequence[float], taxonomy: Taxonomy, *, told: bool
) -> dict[str, Change]:
    """The directions in which the size of change is varied."""
    if told:
        return {one.name: one for one in named}
    known = changes_for(counts, taxonomy)
    usual = taxonomy.keys[int(np.argmax(counts))]
    found = {}
    if "aligned-10" in known:
        found["aligned share falls"] = known["aligned-10"]
    if "refusals" in known:
        other = taxonomy.keys[int(np.argmax(known["refusals"].points))]
        found[f"{usual} becomes {other}"] = known["refusals"]
    return found or {one.name: one for one in named[:1]}


def _moving(name: str, shares: Floats, source: int, target: int, amount: float) -> Change:
    points = np.zeros(len(shares))
    points[source], points[target] = -amount, amount
    return Change(name, tuple(points.tolist()))


def _shares(baseline: Sequence[float]) -> Floats:
    counts = np.array(baseline, dtype=np.float64) + JEFFREYS
    return np.asarray(counts / counts.sum())


def _is_share(text: str) -> bool:
    try:
        return -1 <= float(text) <= 1
    except ValueError:
        return False


def _check(
    baseline: Baseline,
    taxonomy: Taxonomy,
    run_lengths: Sequence[float],
    *,
    within: int,
    streams: int,
    per_day: float | None,
) -> None:
    if not baseline.counts:
        raise InvalidInput(
            "the first n responses are known only from rows: name FILE, which begins with them, or another baseline"
        )
    if baseline.goals != len(taxonomy.goals):
        raise InvalidInput(f"the baseline has {baseline.goals} goals, the taxonomy {len(taxonomy.goals)}")
    if not run_lengths or within < 1 or not 20 <= streams <= 100_000 or (per_day is not None and not per_day > 0):
        raise InvalidInput(
            f"calibrate needs a run length, within at least 1, streams from 20 to 100,000 and per_day above 0; got "
            f"{list(run_lengths)}, {within}, {streams}, {per_day}"
        )
