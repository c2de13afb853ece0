"""What a trajectory says, in rows and sentences. Names may come from files: whoever shows them escapes them."""

from __future__ import annotations

from collections.abc import Mapping

from ethostat.alignment import Alignment
from ethostat.drift import Drift
from ethostat.maths.estimate import Estimate
from ethostat.report.words import interval, signed, signed_interval, value
from ethostat.taxonomy import Taxonomy
from ethostat.trajectories import Trajectory


def series(found: Trajectory | Alignment) -> dict[str, Trajectory]:
    """The trajectories by what they are, the base model first."""
    return {"base": found.base, "tuned": found.tuned} if isinstance(found, Alignment) else {"S": found}


def title(kind: str, found: Trajectory) -> str:
    """What a trajectory is, and its model."""
    return f"{kind}: {found.provenance.model}"


def step(found: Trajectory | Alignment) -> str:
    """What one step is."""
    return found.base.step if isinstance(found, Alignment) else found.step


def rates(found: Trajectory | Alignment) -> dict[str, Estimate]:
    """All rates, nats a step; of two trajectories sigma, dS/dt and gamma, over the horizon and early on."""
    if isinstance(found, Trajectory):
        return {} if found.rates is None else _of_one(found.rates)
    base, tuned, work = found.base.rates, found.tuned.rates, found.figures
    if base is None or tuned is None:
        return {"gamma": work.rate, "gamma, early": work.early_rate}
    return {
        "sigma, base": base.mean_rate,
        "dS/dt, tuned": tuned.mean_rate,
        "gamma": work.rate,
        "sigma, early": base.early_rate,
        "dS/dt, early": tuned.early_rate,
        "gamma, early": work.early_rate,
    }


def limits(found: Trajectory) -> dict[str, Estimate]:
    """S_inf and tau where the paths bend beyond chance."""
    if found.rates is None or not found.rates.relaxation.is_curved:
        return {}
    fitted = found.rates.relaxation
    return {"S_inf, where it levels off": fitted.limit, "tau, its time": fitted.tau}


def changes(found: Trajectory, goals: Taxonomy) -> dict[str, Estimate]:
    """Each goal's change of share over the whole; none where rates are not known."""
    if found.rates is None:
        return {}
    named = zip(goals.goals, found.rates.direction.changes, strict=True)
    return {goal.key if goal.name == goal.key else f"{goal.key}  {goal.name}": change for goal, change in named}


def sentences(found: Trajectory) -> list[str]:
    """Where S went, what may be said of its rate, where the mass went."""
    first, last = found.points[0], found.points[-1]
    said = [
        f"S at the first {found.step} is {value(first.headline)} ({interval(first.headline)}), at the last "
        f"{value(last.headline)} ({interval(last.headline)}), {first.headline.level:.0%} intervals."
    ]
    drift = found.rates
    if drift is None:
        return [*said, "How S moved is not known: that takes two steps, and two responses at each."]
    rate = drift.mean_rate
    if rate.is_defined:
        said.append(f"It moved by {signed(rate)} ({signed_interval(rate)}) on average, first step to last.")
    return [
        *said,
        _ended(drift.where()),
        _ended(drift.constancy.words),
        f"No drift? {_ended(drift.stillness.words)}",
        *map(_ended, (*drift.relaxation.words, *drift.notes)),
    ]


def alignment_sentences(found: Alignment) -> list[str]:
    """What tuning held back, and what gamma cannot say."""
    return [
        _ended(_capital(found.describe())),
        "gamma = sigma - dS/dt says how much less S grew in the tuned model, a step; W is its sum over the horizon. "
        "It does not say that the tuned model is better: one that always does the wrong thing has no drift at all. "
        "Read the aligned share and the direction beside it.",
        "Conversations of the two were compared one by one."
        if found.is_paired
        else "The two share no conversations and were compared as independent groups.",
    ]


def _of_one(drift: Drift) -> dict[str, Estimate]:
    return {
        "slope of a straight line": drift.slope,
        "mean rate, first to last": drift.mean_rate,
        "early rate": drift.early_rate,
    }


def work(found: Alignment) -> Mapping[str, Estimate]:
    """gamma and W, in the units they are read in."""
    figures = found.figures
    return {
        "gamma, mean over the horizon": figures.rate,
        "gamma, early": figures.early_rate,
        "W, alignment work": figures.work,
        "W in bits": figures.work_bits,
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ended(text: str) -> str:
    return f"{_capital(text).rstrip('.')}."
