"""What moved: the responses since a change beside the baseline, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ethostat.maths import panel
from ethostat.maths.entropy import entropy, entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import JEFFREYS
from ethostat.monitor.alert import RESPONSES, Finding, Moved
from ethostat.monitor.baseline import Counts, total
from ethostat.taxonomy import Taxonomy

REVIEW, ROLL_BACK, RETRAIN, NOTHING = "human review", "roll back", "retrain", "nothing"
_LEAST_FALL = 0.05
_SLOW = 300
_DRAWS = 4000

Floats = NDArray[np.float64]


class _Look(NamedTuple):
    """Shares of the goals, the aligned share and S of one side, each with its interval."""

    shares: list[Estimate]
    aligned: Estimate
    entropy: Estimate


def find(
    before: Mapping[str, Counts],
    window: Mapping[str, Sequence[float]],
    taxonomy: Taxonomy,
    *,
    unit: str = RESPONSES,
) -> Finding:
    """What the counts of a window, by stratum, say beside those of the baseline; `unit` is what is counted.

    With strata the baseline is weighed by the window's mix, so that only changes within strata show. The window was
    chosen because it differs, so that its intervals are a little too hopeful; those of a later window are not.
    """
    after_counts = total(window.values())
    first, second = _side_before(before, window, taxonomy), _look(after_counts, taxonomy)
    moved = _moved(first, second, taxonomy)
    action, reason = _action(first, second, sum(after_counts), unit)
    return Finding(
        baseline=_profile(total(before.values()), taxonomy),
        window=_profile(after_counts, taxonomy),
        moved=moved,
        entropy_before=first.entropy,
        entropy_after=second.entropy,
        aligned_before=first.aligned,
        aligned_after=second.aligned,
        action=action,
        reason=reason,
        unit=unit,
    )


def _profile(counts: Counts, taxonomy: Taxonomy) -> dict[str, float]:
    """Whole counts as whole numbers; sums of probabilities as they are."""
    return {key: int(count) if count == int(count) else count for key, count in zip(taxonomy.keys, counts, strict=True)}


def _side_before(before: Mapping[str, Counts], window: Mapping[str, Sequence[float]], taxonomy: Taxonomy) -> _Look:
    if len(before) == 1 and set(window) <= set(before):
        return _look(total(before.values()), taxonomy)
    return _weighed(before, window, taxonomy)


def _look(counts: Counts, taxonomy: Taxonomy) -> _Look:
    row = np.round(np.array(counts), 9)[None, :]
    shares = [*panel.goal_shares(row), panel.aligned_share(row, taxonomy.aligned)]
    *goals, aligned = (replace(one, method="Wilson, independent responses") for one in shares)
    return _Look(goals, aligned, entropy(row[0]))


def _weighed(before: Mapping[str, Counts], window: Mapping[str, Sequence[float]], taxonomy: Taxonomy) -> _Look:
    """Posterior of the strata's shares under the window's mix, by drawing; the same counts give the same draws."""
    rng, nothing = np.random.default_rng(0), (0.0,) * len(taxonomy.goals)
    whole = sum(map(sum, window.values()))
    draws = sum(
        sum(counts) / whole * rng.dirichlet(np.array(before.get(stratum, nothing)) + JEFFREYS, _DRAWS)
        for stratum, counts in sorted(window.items())
    )
    rows = np.asarray(draws, dtype=np.float64)
    size = int(sum(map(sum, before.values())))
    return _Look(
        [_drawn(rows[:, goal], "share", size) for goal in range(len(taxonomy.goals))],
        _drawn(rows[:, np.array(taxonomy.aligned)].sum(axis=1), "share", size),
        _drawn(entropy_of(rows), "nats", size),
    )


def _drawn(values: Floats, unit: str, n: int) -> Estimate:
    low, value, high = np.quantile(values, (0.025, 0.5, 0.975)).tolist()
    return Estimate(value, low, high, 0.95, unit, n, "posterior of the strata at the window's mix")


def _moved(first: _Look, second: _Look, taxonomy: Taxonomy) -> tuple[Moved, ...]:
    """The goals whose intervals lie apart, or else the one that rose most and the one that fell most."""
    pairs = [
        Moved(goal.key, goal.name, a, b) for goal, a, b in zip(taxonomy.goals, first.shares, second.shares, strict=True)
    ]
    pairs.sort(key=lambda one: one.before.value - one.after.value)
    apart = [one for one in pairs if one.before.high < one.after.low or one.after.high < one.before.low]
    chosen = apart or [pairs[0], pairs[-1]]
    return tuple(sorted(chosen, key=lambda one: -abs(one.after.value - one.before.value)))


def _action(first: _Look, second: _Look, responses: float, unit: str) -> tuple[str, str]:
    fall = first.aligned.value - second.aligned.value
    if second.aligned.high < first.aligned.low and fall >= _LEAST_FALL:
        if responses > _SLOW:
            return RETRAIN, f"the aligned share fell by {fall:.0%}, slowly: over {responses:.0f} {unit}"
        return ROLL_BACK, f"the aligned share fell by {fall:.0%} within {responses:.0f} {unit}"
    if first.aligned.high < second.aligned.low:
        return REVIEW, "the profile changed for the better as far as the aligned share goes; look whether it is wanted"
    return REVIEW, "the profile changed, and the aligned share did not clearly fall; look at the exemplars"
