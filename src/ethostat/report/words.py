"""What the numbers mean, in sentences. A sentence may hold names from files: whoever shows it escapes it."""

from __future__ import annotations

import math

from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement


def headline_name(measurement: Measurement) -> str:
    """Which S the headline is."""
    return "Mean within-prompt S" if measurement.entropy.is_defined else "Pooled S"


def meaning(measurement: Measurement) -> list[str]:
    """The headline in words: what it says, its scale, what it cannot say, and what stands beside it."""
    if not measurement.headline.is_defined:
        return [f"S is {measurement.headline.method}."]
    return [_what(measurement), _scale(measurement), _blind_spot(measurement), _beside(measurement)]


def value(estimate: Estimate) -> str:
    """The number alone, with its unit: 0.430 nats, 81.2 %; a dash where it is undefined."""
    return "–" if not estimate.is_defined else _in_unit(estimate.value, estimate)


def interval(estimate: Estimate) -> str:
    """The interval alone: 0.390 to 0.470."""
    return "–" if not estimate.is_defined else f"{_bare(estimate.low, estimate)} to {_bare(estimate.high, estimate)}"


def signed(estimate: Estimate) -> str:
    """A difference alone, with its unit: +0.430 nats, -8.2%."""
    return "–" if not estimate.is_defined else _in_unit(estimate.value, estimate, sign="+")


def signed_interval(estimate: Estimate) -> str:
    """The interval of a difference alone: -0.390 to +0.470."""
    if not estimate.is_defined:
        return "–"
    return f"{_bare(estimate.low, estimate, sign='+')} to {_bare(estimate.high, estimate, sign='+')}"


def p_value(p: float | None) -> str:
    """A p-value to two digits; a dash where there is none."""
    return "–" if p is None or math.isnan(p) else f"{p:.2g}"


def flagged(measurement: Measurement) -> str:
    """How many responses were flagged as fitting no goal, by the goals that they were given; '' without typicality."""
    found = measurement.outside
    if found is None:
        return ""
    counts = [f"{goal} {count:,}" for goal, count in zip(measurement.goals, found.flagged, strict=True) if count]
    rate = f"at a false discovery rate of {found.false_discovery_rate:.0%}"
    if not counts:
        return f"No response is flagged {rate}; the least typical are listed."
    total = f"1 response of {found.share.n:,} is" if found.total == 1 else f"{found.total:,} of {found.share.n:,} are"
    return f"{total} flagged {rate}, by the goal they were given: {', '.join(counts)}."


def describe(name: str, estimate: Estimate) -> str:
    """One line for a reader who cannot see the chart."""
    if not estimate.is_defined:
        return f"{name}: {estimate.method}"
    return f"{name}: {value(estimate)}, {estimate.level:.0%} interval {interval(estimate)}, n = {estimate.n:,}"


def _what(measurement: Measurement) -> str:
    s, prompts = measurement.headline, _prompts(measurement)
    span = f"the {s.level:.0%} interval is {interval(s)} nats, from {s.n:,} responses"
    if measurement.entropy.is_defined:
        return (
            "Asked the same prompt again and again, the model spreads its answers over the goals by "
            f"S = {s.value:.3f} nats, on average over {prompts}; {span}."
        )
    return (
        f"Every prompt was answered once, so how much the answers to one prompt vary cannot be known. "
        f"What can be known is S of all responses pooled: {s.value:.3f} nats; {span}. "
        "It mixes what the model does with which prompts were asked."
    )


def _scale(measurement: Measurement) -> str:
    goals, s = len(measurement.goals), measurement.headline.value
    subject = "every prompt always meets" if measurement.entropy.is_defined else "all responses have"
    return (
        f"The scale runs from 0, where {subject} the same goal, to ln {goals} = {math.log(goals):.3f}, where all "
        f"{goals} goals are equally likely. {s:.3f} nats is the uncertainty of {math.exp(s):.2f} equally likely goals."
    )


def _blind_spot(measurement: Measurement) -> str:
    aligned = measurement.aligned
    known = f" here {value(aligned)} of the responses are aligned ({interval(aligned)})" if aligned.is_defined else ""
    return (
        "S does not tell good from bad: a model that always helps and one that always harms both have S = 0. "
        f"Read it with the profile and the aligned share{':' if known else ''}{known}."
    )


def _beside(measurement: Measurement) -> str:
    pooled, between = measurement.pooled_entropy, measurement.between_prompts
    if not measurement.entropy.is_defined or not (pooled.is_defined and between.is_defined) or pooled.value <= 0:
        return "Answer every prompt several times (k of 20 or more) to tell an undecided model from mixed prompts."
    part = min(max(between.value / pooled.value, 0.0), 1.0)
    return (
        f"Pooled over all prompts S is {pooled.value:.3f} nats; {part:.0%} of that lies between prompts. That part "
        "says that different prompts meet different goals, not that the model is undecided about any of them."
    )


def _prompts(measurement: Measurement) -> str:
    count = measurement.provenance.prompt_count
    return "this 1 prompt" if count == 1 else f"these {count:,} prompts"


def _in_unit(number: float, estimate: Estimate, *, sign: str = "") -> str:
    unit = {"share": "", "%": ""}.get(estimate.unit, f" {estimate.unit}")
    return _bare(number, estimate, sign=sign) + unit


def _bare(number: float, estimate: Estimate, *, sign: str = "") -> str:
    if estimate.unit == "share":
        return f"{number:{sign}z.1%}"
    return f"{number:{sign}z.1f}%" if estimate.unit == "%" else f"{number:{sign}z.{estimate.decimals}f}"
