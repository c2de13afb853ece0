"""Named detectors: the paper's rule and the charts of the trade, under the same protocol as the evidence.

    paper-threshold   |S_t - S_{t-1}| > 0.001 nats, as published or over a sliding window
    ewma-entropy      exponentially weighted mean of S, per step
    profile-cusum     multinomial CUSUM for one alternative
    page-hinkley      running mean of flagged responses
    profile-glr       likelihood ratio against the baseline over windows of geometric length

Only profile-cusum has a promise by theorem; thresholds of the others come from `detection.threshold_for`. The first two
and page-hinkley watch a number, so that changes which leave that number alone stay unseen.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import binom

from ethostat.maths.detector import Detector, Floats, Reading, check_shares
from ethostat.maths.evidence.directed import DirectedDetector
from ethostat.maths.evidence.profiles import ProfileDetector


class Chart(Detector):
    """A statistic against a threshold. Settings and state are plain values, so that a restart is exact."""

    STATE: ClassVar[tuple[str, ...]]

    def __init__(self, goals: int, threshold: float, settings: dict[str, Any]) -> None:
        super().__init__(goals)
        if not threshold > 0:
            raise ValueError(f"a threshold must be above 0, got {threshold}")
        self.threshold = float(threshold)
        self.statistic = 0.0
        self._settings = {**settings, "threshold": self.threshold}
        self._units = np.eye(goals).tolist()
        self.reset()

    @abstractmethod
    def _take(self, row: list[float]) -> None:
        """One response, on goals in these shares (K,)."""

    @property
    def reading(self) -> Reading:
        return Reading(self.statistic, self.threshold, self.statistic >= self.threshold)

    def update(self, label: int) -> Reading:
        self._check_label(label)
        self._take(self._units[label])
        self.responses += 1
        return self.reading

    def update_soft(self, probabilities: ArrayLike) -> Reading:
        self._take(check_shares(probabilities, self.goals).tolist())
        self.responses += 1
        return self.reading

    def reset(self) -> None:
        self.statistic, self.responses = 0.0, 0

    def to_dict(self) -> dict[str, Any]:
        state = {name: _plain(getattr(self, name)) for name in ("statistic", "responses", *self.STATE)}
        return {"name": self.name, "settings": dict(self._settings), "state": state}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        chart = cls(**fields["settings"])
        for name in ("statistic", "responses", *cls.STATE):
            setattr(chart, name, _plain(fields["state"][name]))
        return chart


class PaperThreshold(Chart):
    """The paper's rule: plug-in S of each step of `step` responses; alarm where it moved by more than `threshold` nats.

    With `sliding` a step is one response and S is that of the last `step` responses. As published it fires on nearly
    every step while nothing changes: the standard error of S is 50 to 100 times the threshold.
    Source: arXiv 2512.03047, section on the drift monitor.
    """

    name = "paper-threshold"
    STATE = ("counts", "window", "before")

    def __init__(self, goals: int, *, step: int = 100, threshold: float = 0.001, sliding: bool = False) -> None:
        if step < 1:
            raise ValueError(f"a step must be at least 1 response, got {step}")
        self.step, self.sliding = step, sliding
        super().__init__(goals, threshold, {"goals": goals, "step": step, "sliding": sliding})

    @property
    def reading(self) -> Reading:
        return Reading(self.statistic, self.threshold, self.statistic > self.threshold)

    def reset(self) -> None:
        super().reset()
        self.counts = [0.0] * self.goals
        self.window: list[list[float]] = []
        self.before: float | None = None

    def _take(self, row: list[float]) -> None:
        self.counts = [count + part for count, part in zip(self.counts, row, strict=True)]
        if self.sliding:
            self._slide(row)
        if self.responses + 1 < self.step or not (self.sliding or (self.responses + 1) % self.step == 0):
            return
        now = entropy_of_row(self.counts)
        self.statistic = 0.0 if self.before is None else abs(now - self.before)
        self.before = now
        if not self.sliding:
            self.counts = [0.0] * self.goals

    def _slide(self, row: list[float]) -> None:
        self.window.append(row)
        if len(self.window) > self.step:
            oldest = self.window.pop(0)
            self.counts = [max(count - part, 0.0) for count, part in zip(self.counts, oldest, strict=True)]


class EntropyEwma(Chart):
    """Exponentially weighted mean of the plug-in S of steps, held against its mean under the baseline, in nats.

    Source: Roberts 1959, Control chart tests based on geometric moving averages.
    """

    name = "ewma-entropy"
    STATE = ("counts", "mean")

    def __init__(self, shares: Sequence[float], *, threshold: float, step: int = 20, weight: float = 0.1) -> None:
        if step < 1 or not 0 < weight <= 1:
            raise ValueError(f"a step must be at least 1 and a weight in (0, 1], got {step} and {weight}")
        self.step, self.weight = step, weight
        baseline = check_shares(shares)
        self.centre = mean_plug_in(baseline, step)
        super().__init__(len(baseline), threshold, {"shares": baseline.tolist(), "step": step, "weight": weight})

    def reset(self) -> None:
        super().reset()
        self.counts = [0.0] * self.goals
        self.mean = self.centre

    def _take(self, row: list[float]) -> None:
        self.counts = [count + part for count, part in zip(self.counts, row, strict=True)]
        if (self.responses + 1) % self.step == 0:
            self.mean += self.weight * (entropy_of_row(self.counts) - self.mean)
            self.statistic = abs(self.mean - self.centre)
            self.counts = [0.0] * self.goals


class ProfileCusum(Chart):
    """Largest log likelihood ratio, over times of change, of one alternative against the baseline, nats.

    The fastest there is where the alternative is what comes, and perhaps blind where it is not. With the baseline known
    the average run length is at least exp(threshold), by theorem; mostly it is more. Sources: Page 1954; Lorden 1971.
    """

    name = "profile-cusum"
    STATE = ()

    def __init__(
        self, shares: Sequence[float], alternative: Sequence[float], *, threshold: float = math.log(10_000)
    ) -> None:
        p = check_shares(shares, above_zero=True)
        q = check_shares(alternative, len(p), above_zero=True)
        self._ratios = (q / p).tolist()
        super().__init__(len(p), threshold, {"shares": p.tolist(), "alternative": q.tolist()})

    def _take(self, row: list[float]) -> None:
        ratio = sum(part * factor for part, factor in zip(row, self._ratios, strict=True))
        self.statistic = max(self.statistic + math.log(ratio), 0.0)


class PageHinkley(Chart):
    """Sum of what flagged responses exceed their running mean by, less `delta`, above its minimum so far.

    Source: Page 1954; Hinkley 1971; `forgetting` as in river.
    """

    name = "page-hinkley"
    STATE = ("mean", "total", "least")

    def __init__(
        self, flagged: Sequence[bool], *, threshold: float = 50.0, delta: float = 0.005, forgetting: float = 0.9999
    ) -> None:
        self.flagged, self.delta, self.forgetting = [bool(flag) for flag in flagged], delta, forgetting
        settings = {"flagged": self.flagged, "delta": delta, "forgetting": forgetting}
        super().__init__(len(self.flagged), threshold, settings)

    def reset(self) -> None:
        super().reset()
        self.mean = self.total = self.least = 0.0

    def _take(self, row: list[float]) -> None:
        share = sum(part for part, flag in zip(row, self.flagged, strict=True) if flag)
        self.mean += (share - self.mean) / (self.responses + 1)
        self.total = self.forgetting * self.total + (share - self.mean - self.delta)
        self.least = min(self.least, self.total)
        self.statistic = self.total - self.least


class ProfileGlr(Chart):
    """Largest log likelihood ratio n KL(seen || baseline) over the last n responses, nats; n about geometric.

    The past is kept in blocks that double in length with age, at most two of a length, as in an exponential histogram;
    windows end now and begin with a block. Sources: Lai 1998; Datar and others 2002 (the histogram).
    """

    name = "profile-glr"
    STATE = ("sizes", "blocks")

    def __init__(self, shares: Sequence[float], *, threshold: float, longest: int = 2048) -> None:
        p = check_shares(shares, above_zero=True)
        self.longest = longest
        self._log_shares = np.log(p)
        super().__init__(len(p), threshold, {"shares": p.tolist(), "longest": longest})

    def reset(self) -> None:
        super().reset()
        self.sizes: list[int] = []
        self.blocks: list[list[float]] = []

    def _take(self, row: list[float]) -> None:
        self.sizes.insert(0, 1)
        self.blocks.insert(0, list(row))
        place = 0
        while place + 2 < len(self.sizes) and self.sizes[place] == self.sizes[place + 2]:
            older = self.blocks.pop(place + 2)
            self.sizes[place + 1] += self.sizes.pop(place + 2)
            self.blocks[place + 1] = [a + b for a, b in zip(self.blocks[place + 1], older, strict=True)]
            place += 1
        if sum(self.sizes) > self.longest:
            self.sizes.pop()
            self.blocks.pop()
        counts, n = np.cumsum(self.blocks, axis=0), np.cumsum(self.sizes)
        ratios = xlogy(counts, counts).sum(axis=1) - counts @ self._log_shares - n * np.log(n)
        self.statistic = float(max(ratios.max(), 0.0))


NAMED: dict[str, type[Detector]] = {
    kind.name: kind
    for kind in (
        ProfileDetector,
        DirectedDetector,
        PaperThreshold,
        EntropyEwma,
        ProfileCusum,
        PageHinkley,
        ProfileGlr,
    )
}
"""Every detector by its name."""


def detector_from_dict(fields: dict[str, Any]) -> Detector:
    """The detector, of whatever kind, that `to_dict` wrote. Raises ValueError for a name that is none."""
    if fields.get("name") not in NAMED:
        raise ValueError(f"detector {fields.get('name')!r} is unknown; there are {', '.join(NAMED)}")
    return NAMED[fields["name"]].from_dict(fields)


def entropy_of_row(counts: Sequence[float]) -> float:
    """Plug-in S of counts (K,), nats."""
    n = sum(counts)
    return math.log(n) - sum(count * math.log(count) for count in counts if count > 0) / n


def mean_plug_in(shares: Floats, n: int) -> float:
    """The mean of the plug-in S of n independent responses, nats: lower than S, by adding up binomials.

    >>> round(mean_plug_in(np.array([0.5, 0.5]), 2), 4)  # two that agree give 0, two that do not ln 2
    0.3466
    """
    seen = np.arange(n + 1)
    return float(-(binom.pmf(seen[:, None], n, shares) * xlogy(seen / n, seen / n)[:, None]).sum())


def _plain(value: Any) -> Any:
    """A copy that shares no list with the original."""
    return [_plain(part) for part in value] if isinstance(value, list) else value
