"""Rates: intervals of gamma and of the relaxation, the size of its test, "no drift" at the very margin.

Base and tuned paths with a known law: every replicate has its own amplitude and its own tau (log-normal), S wanders
around its path (AR(1)), and each S comes from k responses. The truth is that of the population of replicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ethostat.guarantees.check import Bounds, Check, Checks, Floats, Generator, share_of
from ethostat.maths.alignment import AlignmentWork, alignment_work
from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.maths.relaxation import Relaxation, relaxation
from ethostat.maths.trajectory import Paths, direction, no_drift

FAMILY = "Rates over time"
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
    def steps(self) -> Floats:
        """The times of the points, (T,)."""
        return np.linspace(0, self.horizon, self.points)

    def draw(self, replicates: int, rng: Generator) -> tuple[Floats, Floats, Floats, Floats]:
        """True S (n, T) without the wandering; amplitude, tau and early rate of each replicate."""
        size = np.clip(np.exp(self.spread * rng.standard_normal(replicates)), 0.4, 1.8)
        gain = np.clip(self.gain * size, -self.start + 0.05, 1.5 - self.start)
        tau = self.tau * np.exp(self.spread * rng.standard_normal(replicates))
        at = self.steps
        shapes: dict[str, Callable[[], Floats]] = {
            "relaxation": lambda: 1 - np.exp(-at / tau[:, None]),
            "line": lambda: np.broadcast_to(at / self.horizon, (replicates, len(at))),
            "jump": lambda: (at >= tau[:, None]).astype(float),
            "season": lambda: np.broadcast_to(np.sin(2 * np.pi * at / self.tau), (replicates, len(at))),
        }
        rate = {"relaxation": gain / tau, "line": gain / self.horizon}.get(self.path, np.full(replicates, np.nan))
        return self.start + gain[:, None] * shapes[self.path](), gain, tau, rate

    def counts(self, rng: Generator) -> np.ndarray:
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

    def paths(self, rng: Generator) -> Paths:
        """The same as paths of S."""
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
EQUAL = {
    "both flat, 8 replicates": Law(0.5, 0, 1, 500, 50, 8, 100, path="line"),
    "both flat, long memory": Law(0.5, 0, 1, 500, 50, 12, 100, wander=0.1, memory=0.95, path="line"),
    "both relax, 10 replicates": RELAXING["quick, 10 replicates"],
    "both relax, 20 replicates": RELAXING["high, 20 replicates"],
}
MARGIN = 0.1
EDGE = {
    "line up, 6 replicates": Law(0.3, MARGIN, 1, 500, 50, 6, 200, spread=0.0, path="line"),
    "line down, 12 replicates": Law(0.6, -MARGIN, 1, 500, 50, 12, 200, spread=0.0, path="line"),
    "leap at 0.02 horizons": Law(0.3, MARGIN, 10, 500, 50, 8, 200, spread=0.0, path="jump"),
    "leap half way": Law(0.3, MARGIN, 250, 500, 50, 8, 200, spread=0.0, path="jump"),
    "relaxation, long memory": Law(0.3, MARGIN, 40, 500, 50, 10, 200, spread=0.0, memory=0.9),
}
TITLES = ("gamma, horizon mean", "gamma, early", "early rate", "tau", "S_inf")


def flat(law: Law, *, start: float = 0.2) -> Law:
    """The tuned model beside a base: S does not move."""
    return replace(law, start=start, gain=0.0, path="line")


def truths_of(law: Law, rng: Generator) -> tuple[float, ...]:
    """What the figures of TITLES are estimates of."""
    path, gain, tau, rate = law.draw(200_000 // law.points * 10, rng)
    horizon = float((path[:, -1] - path[:, 0]).mean() / law.horizon)
    early = float(rate.mean())
    return horizon, early, early, float(np.exp(np.log(tau).mean())), float((law.start + gain).mean())


def kept_by(law: Law, rng: Generator, truth: tuple[float, ...]) -> list[float]:
    """Of one pair of base and tuned paths: whether each interval of TITLES holds its truth; nan where there is none."""
    base, tuned = law.paths(rng), flat(law).paths(rng)
    figures = figures_of(alignment_work(base, tuned, paired=False, rng=rng), relaxation(base))
    return [held(one, of) for one, of in zip(figures, truth, strict=True)]


def figures_of(gamma: AlignmentWork, fit: Relaxation) -> tuple[Estimate, ...]:
    """In the order of TITLES."""
    return gamma.rate, gamma.early_rate, fit.early_rate, fit.tau, fit.limit


def held(found: Estimate, truth: float) -> float:
    """1 where the interval holds the truth, 0 where not, nan where there is no interval or no truth."""
    return np.nan if np.isnan(found.low + truth) else float(found.low <= truth <= found.high)


def gamma_of(base: Law, tuned: Law, *, is_paired: bool, rng: Generator) -> AlignmentWork:
    """From the two ends of every path, which is all that the test uses."""
    ends = [replace(law, points=2, memory=law.memory ** (law.points - 1)) for law in (base, tuned)]
    return alignment_work(ends[0].paths(rng), ends[1].paths(rng), paired=is_paired, rng=rng)


def coverage(rng: Generator, full: bool) -> Checks:
    """gamma over the horizon and early on, and the parts of the relaxation, over all scenarios together."""
    runs, slack = (400, 0.01) if full else (40, 0.045)
    laws = list(RELAXING.values())
    found = np.array([row for law in laws for row in _kept(law, rng, runs)])
    for place, title in enumerate(TITLES):
        known = found[~np.isnan(found[:, place]), place]
        share = share_of(float(known.sum()), len(known), of=f"pairs of base and tuned, {len(laws)} scenarios")
        bounds = Bounds(0.93, 0.97, slack) if title.startswith("gamma") else Bounds(least=0.90, slack=slack)
        yield Check(FAMILY, f"95 % interval of {title}", bounds, share)


def _kept(law: Law, rng: Generator, runs: int) -> list[list[float]]:
    truth = truths_of(law, rng)
    return [kept_by(law, rng, truth) for _ in range(runs)]


def sizes(rng: Generator, full: bool) -> Checks:
    """How often gamma > 0 is found at 5 % where both models move alike, by pairs and by groups."""
    runs, slack = (5000, 0.01) if full else (600, 0.035)
    for name in EQUAL if full else ("both flat, long memory", "both relax, 10 replicates"):
        law = EQUAL[name]
        for is_paired in (True, False):
            hits = sum(gamma_of(law, law, is_paired=is_paired, rng=rng).p_value <= 0.05 for _ in range(runs))
            share = share_of(hits, runs, of="pairs of models that move alike")
            way = "pairs" if is_paired else "groups"
            yield Check(FAMILY, f"false gamma > 0 at 5 %, {way}, {name}", Bounds(most=0.055, slack=slack), share)


def equivalence(rng: Generator, full: bool) -> Checks:
    """How often "no drift" is found where S drifts by exactly the margin."""
    runs, slack = (3000, 0.01) if full else (500, 0.035)
    for name in EDGE if full else ("line up, 6 replicates", "leap half way", "relaxation, long memory"):
        hits = sum(no_drift(EDGE[name].paths(rng), margin=MARGIN).holds for _ in range(runs))
        share = share_of(hits, runs, of="runs that drift by the margin")
        yield Check(FAMILY, f'false "no drift" at 5 %, {name}', Bounds(most=0.05, slack=slack), share)


def directions(rng: Generator, full: bool) -> Checks:
    """How often a goal is said to have risen or fallen where no share moves."""
    runs, slack = (3000, 0.01) if full else (700, 0.04)
    for replicates in (1, 8):
        still = replace(EQUAL["both flat, 8 replicates"], replicates=replicates, responses=60, wander=0.0)
        moved = [direction(still.counts(rng), still.steps) for _ in range(runs)]
        share = share_of(sum(bool(one.rose or one.fell) for one in moved), runs, of="runs in which nothing moves")
        name = f"a goal is said to move, none does, {replicates} replicate{'s' * (replicates > 1)}"
        yield Check(FAMILY, name, Bounds(most=0.05, slack=slack), share)
