"""What intervals of rates, and tests of drift, promise and keep.

Base and tuned paths with a known law: every replicate has its own amplitude and its own tau (log-normal), S wanders
around its path (AR(1)), and each S comes from k responses. The truth is that of the population of replicates.

python benchmarks/rates.py [--quick] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from _table import Row, fact, line, run
from ethostat.maths.alignment import AlignmentWork, alignment_work
from ethostat.maths.entropy import entropy_of
from ethostat.maths.relaxation import relaxation
from ethostat.maths.trajectory import Paths, direction, horizon_mean, no_drift, slope

SHAPE = np.array([0.45, 0.10, 0.15, 0.30])
_SHARES = np.linspace(1e-4, 0.8, 2000)
_ENTROPIES = entropy_of(np.concatenate([(1 - _SHARES)[:, None], _SHARES[:, None] * SHAPE], axis=1))
_TOP = int(_ENTROPIES.argmax())


@dataclass(frozen=True)
class Law:
    """One model under a schedule: T points over a horizon, n replicates, k responses a point."""

    start: float
    gain: float
    tau: float
    horizon: float
    points: int
    replicates: int
    responses: int
    spread: float = 0.25
    wander: float = 0.03
    memory: float = 0.6
    path: str = "relaxation"

    @property
    def steps(self) -> np.ndarray:
        return np.linspace(0, self.horizon, self.points)

    def draw(self, replicates: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """True S (n, T) without the wandering; amplitude, tau and early rate of each replicate."""
        size = np.clip(np.exp(self.spread * rng.standard_normal(replicates)), 0.4, 1.8)
        gain = np.clip(self.gain * size, -self.start + 0.05, 1.5 - self.start)
        tau = self.tau * np.exp(self.spread * rng.standard_normal(replicates))
        at = self.steps
        shapes: dict[str, Callable[[], np.ndarray]] = {
            "relaxation": lambda: 1 - np.exp(-at / tau[:, None]),
            "line": lambda: np.broadcast_to(at / self.horizon, (replicates, len(at))),
            "jump": lambda: (at >= tau[:, None]).astype(float),
            "season": lambda: np.broadcast_to(np.sin(2 * np.pi * at / self.tau), (replicates, len(at))),
        }
        rate = {"relaxation": gain / tau, "line": gain / self.horizon}.get(self.path, np.full(replicates, np.nan))
        return self.start + gain[:, None] * shapes[self.path](), gain, tau, rate

    def counts(self, rng: np.random.Generator) -> np.ndarray:
        """Counts (n, T, 5) of what the replicates' responses show."""
        path = self.draw(self.replicates, rng)[0]
        noise = np.empty_like(path)
        noise[:, 0] = rng.standard_normal(len(path))
        for k in range(1, self.points):
            fresh = np.sqrt(1 - self.memory**2) * rng.standard_normal(len(path))
            noise[:, k] = self.memory * noise[:, k - 1] + fresh
        m = np.interp(path + self.wander * noise, _ENTROPIES[: _TOP + 1], _SHARES[: _TOP + 1])
        profiles = np.concatenate([(1 - m)[..., None], m[..., None] * SHAPE], axis=-1)
        return np.asarray(rng.multinomial(self.responses, profiles))

    def paths(self, rng: np.random.Generator) -> Paths:
        return Paths.from_counts(self.counts(rng), self.steps)


RELAXING = {
    "quick, 10 replicates": Law(0.25, 0.75, 45, 400, 51, 10, 200),
    "quick, 5 replicates": Law(0.25, 0.75, 45, 400, 51, 5, 200, spread=0.2),
    "middling, few responses": Law(0.20, 0.50, 120, 600, 61, 8, 60, spread=0.2, wander=0.05),
    "high, 20 replicates": Law(0.40, 0.75, 30, 300, 76, 20, 400, spread=0.3, memory=0.8),
    "slow, tau 0.8 horizons": Law(0.15, 0.60, 240, 300, 60, 12, 200, spread=0.2, memory=0.4),
    "recovery, S falls": Law(1.00, -0.65, 70, 400, 51, 12, 100, spread=0.2),
    "long memory": Law(0.30, 0.60, 60, 800, 101, 12, 300, spread=0.2, wander=0.05, memory=0.9),
}
OTHER = {
    "line": Law(0.30, 0.25, 1, 500, 50, 8, 100, path="line"),
    "jump at 0.3 horizons": Law(0.20, 0.60, 150, 500, 50, 10, 100, path="jump"),
    "season": Law(0.60, 0.25, 150, 400, 50, 8, 100, path="season"),
}


def flat(law: Law, *, start: float = 0.2) -> Law:
    """The tuned model beside a base: S does not move."""
    return replace(law, start=start, gain=0.0, path="line")


def error_of(share: float, runs: int) -> float:
    """Standard error of a share of so many runs."""
    return float(np.sqrt(max(share * (1 - share), 0.04 * 0.96) / runs))


def judged(title: str, kept: float, runs: int, least: float = 0.93, most: float = 0.97) -> Row:
    """A line for a coverage; it fails beyond its bounds by more than two standard errors."""
    error = error_of(kept, runs)
    target = f"{least:.0%}-{most:.0%}" if most < 1 else f">= {least:.0%}"
    return line(title, kept, f"{target} +- 2 SE", met=least - 2 * error <= kept <= most + 2 * error, error=error)


def coverage(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """gamma over the horizon and early on, and the parts of the relaxation, over scenarios of their own."""
    runs, pooled = (40 if quick else 250), []
    for name, law in (RELAXING | OTHER).items():
        truth, found = _truths(law, rng), []
        for _ in range(runs):
            base, tuned = law.paths(rng), flat(law).paths(rng)
            gamma = alignment_work(base, tuned, paired=False, rng=rng)
            fit = relaxation(base)
            found.append([holds(one, of) for one, of in zip(_figures(gamma, fit), truth, strict=True)])
        shares = np.array([mean_of(column) for column in np.array(found).T])
        pooled.append(shares)
        yield judged(f"coverage, {name}: gamma, horizon mean", shares[0], runs)
        if law.path in ("relaxation", "line"):
            yield judged(f"coverage, {name}: gamma, early", shares[1], runs)
        if law.path == "relaxation":
            for title, share in zip(("early rate", "tau", "S_inf"), shares[2:], strict=True):
                yield judged(f"coverage, {name}: relaxation, {title}", share, runs, 0.90, 1.0)
    means = [mean_of(column) for column in np.array(pooled).T]
    many = runs * len(RELAXING)
    for title, mean in zip(("gamma, horizon mean", "gamma, early"), means, strict=False):
        yield judged(f"coverage, all scenarios: {title}", float(mean), many)


def _figures(gamma: AlignmentWork, fit: object) -> tuple:
    return gamma.rate, gamma.early_rate, fit.early_rate, fit.tau, fit.limit  # type: ignore[attr-defined]


def _truths(law: Law, rng: np.random.Generator) -> tuple[float, float, float, float, float]:
    path, gain, tau, rate = law.draw(200_000 // law.points * 10, rng)
    horizon = float((path[:, -1] - path[:, 0]).mean() / law.horizon)
    early = float(rate.mean())
    return horizon, early, early, float(np.exp(np.log(tau).mean())), float((law.start + gain).mean())


def mean_of(values: np.ndarray) -> float:
    """Of those that are numbers; nan where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def holds(found: object, truth: float) -> float:
    """1 where the interval holds the truth, 0 where not, nan where there is no interval or no truth."""
    low, high = found.low, found.high  # type: ignore[attr-defined]
    return np.nan if np.isnan(low + truth) else float(low <= truth <= high)


def size(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often gamma > 0 is found at 5 % where both models move alike, by pairs and by groups; and its power."""
    runs = 200 if quick else 1000
    for name, law in {
        "both flat, 8 replicates": flat(Law(0.5, 0, 1, 500, 50, 8, 100), start=0.5),
        "both flat, long memory": flat(Law(0.5, 0, 1, 500, 50, 12, 100, wander=0.1, memory=0.95), start=0.5),
        "both relax, 10 replicates": RELAXING["quick, 10 replicates"],
        "both relax, 20 replicates": RELAXING["high, 20 replicates"],
    }.items():
        for paired in (True, False):
            way = "pairs" if paired else "groups"
            rejected = np.mean([_gamma(law, law, paired, rng).p_value <= 0.05 for _ in range(runs)])
            error = error_of(float(rejected), runs)
            yield line(
                f"size, {way}, {name}", rejected, "<= 5.5% + 2 SE", met=rejected <= 0.055 + 2 * error, error=error
            )
    slow = Law(0.5, 0.1, 1, 500, 50, 8, 200, path="line")
    for paired in (True, False):
        way = "pairs" if paired else "groups"
        found = [_gamma(slow, flat(slow, start=0.5), paired, rng).p_value <= 0.05 for _ in range(runs // 4)]
        yield fact(f"power, {way}, 0.1 nats over the horizon", float(np.mean(found)), error=error_of(0.5, runs // 4))


def _gamma(base: Law, tuned: Law, paired: bool, rng: np.random.Generator) -> AlignmentWork:
    """From the two ends of every path, which is all that the test uses."""
    ends = [replace(law, points=2, memory=law.memory ** (law.points - 1)) for law in (base, tuned)]
    return alignment_work(ends[0].paths(rng), ends[1].paths(rng), paired=paired, rng=rng)


def equivalence(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often "no drift" is found where S drifts by exactly the margin, and where it does not drift."""
    runs, margin = (200 if quick else 1000), 0.1
    edge = {
        "line up, 6 replicates": Law(0.3, margin, 1, 500, 50, 6, 200, spread=0.0, path="line"),
        "line down, 12 replicates": Law(0.6, -margin, 1, 500, 50, 12, 200, spread=0.0, path="line"),
        "leap at 0.02 horizons": Law(0.3, margin, 10, 500, 50, 8, 200, spread=0.0, path="jump"),
        "leap half way": Law(0.3, margin, 250, 500, 50, 8, 200, spread=0.0, path="jump"),
        "relaxation, long memory": Law(0.3, margin, 40, 500, 50, 10, 200, spread=0.0, memory=0.9),
    }
    for name, law in edge.items():
        found = np.mean([no_drift(law.paths(rng), margin=margin).holds for _ in range(runs)])
        error = error_of(float(found), runs)
        yield line(f"TOST, {name}, drift = margin", found, "<= 5% + 2 SE", met=found <= 0.05 + 2 * error, error=error)
    for replicates in (5, 10, 20):
        still = flat(Law(0.2, 0, 1, 500, 50, replicates, 200))
        found = np.mean([no_drift(still.paths(rng), margin=margin).holds for _ in range(runs // 4)])
        yield fact(f"TOST, power without drift, {replicates} replicates", found, error=error_of(0.5, runs // 4))


def one_path(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """What a single path says: its line through stretches, and its own rate."""
    runs = 200 if quick else 1000
    for memory in (0.0, 0.6, 0.8, 0.95):
        law = Law(0.5, 0.2, 1, 1000, 100, 1, 100, spread=0.0, wander=0.06, memory=memory, path="line")
        found = [slope(law.paths(rng)) for _ in range(runs)]
        kept = np.mean([holds(one, 0.2 / 1000) for one in found])
        yield fact(f"coverage, one path, slope, memory {memory}", kept, error=error_of(kept, runs))
    short = Law(0.3, 0.4, 1, 10, 11, 1, 100, spread=0.0, wander=0.0, path="line")
    kept = np.mean([holds(horizon_mean(short.paths(rng)), 0.04) for _ in range(runs)])
    yield fact("coverage, one path, its own horizon mean, k = 100", kept, error=error_of(kept, runs))


def directions(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often a goal is said to have risen or fallen where no share moves."""
    runs = 200 if quick else 600
    for replicates in (1, 8):
        still = flat(Law(0.5, 0, 1, 500, 50, replicates, 60, wander=0.0), start=0.5)
        moved = [direction(still.counts(rng), still.steps) for _ in range(runs)]
        wrong = float(np.mean([bool(one.rose or one.fell) for one in moved]))
        error = error_of(wrong, runs)
        title = f"a goal is said to move, none does, {replicates} replicates"
        yield line(title, wrong, "<= 5% + 2 SE", met=wrong <= 0.05 + 2 * error, error=error)


if __name__ == "__main__":
    run(__doc__, coverage, size, equivalence, one_path, directions, seed=41_421)
