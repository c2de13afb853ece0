"""What a comparison says, in sentences. A sentence may hold names from files: whoever shows it escapes it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ethostat.maths.estimate import Estimate
from ethostat.maths.shift import Need
from ethostat.report.words import p_value, signed, signed_interval, value
from ethostat.shift import ALPHA, CHANGED, EQUIVALENT, Shift


def sentences(found: Shift) -> list[str]:
    """The verdict, the change of S, the shares that moved, and what S cannot see."""
    return [_verdict(found), *_entropy(found), _shares(found), _blind_spot(found)]


def matched(found: Shift) -> str:
    """How many prompts are compared, and what is left out."""
    both = f"{found.a.profile.n:,} responses against {found.b.profile.n:,}"
    if not found.matched.is_paired:
        return f"no prompt is the same: two independent sets; {both}"
    pairs = found.matched
    left = f", {pairs.only_a:,} and {pairs.only_b:,} that one side alone answered left out"
    return f"{pairs.prompts:,} prompts matched by {pairs.by}{left if pairs.only_a or pairs.only_b else ''}; {both}"


def figures(found: Shift) -> Iterator[tuple[str, Estimate, Estimate, Estimate, Estimate | None]]:
    """Name, A, B, B - A for prompts like these, B - A for these prompts; goals and corrected figures stand apart."""
    a, b = found.a, found.b
    yield "within-prompt S", a.entropy, b.entropy, found.entropy_difference, found.entropy_difference_here
    yield "pooled S", a.pooled_entropy, b.pooled_entropy, found.pooled_entropy_difference, None
    yield "aligned share", a.aligned, b.aligned, found.aligned_difference, None
    for one in found.goals:
        yield one.title, one.a, one.b, one.difference, one.here


def corrected(found: Shift) -> list[Estimate | None]:
    """The corrected difference beside each of `figures`; none where there is no correction."""
    beside = found.corrected
    return [] if beside is None else [None, beside.pooled_entropy, beside.aligned, *beside.shares]


def distances(found: Shift) -> list[tuple[str, Estimate]]:
    """How far apart the two lie, whichever goals moved, and the reduction of S."""
    return [
        ("divergence of pooled profiles", found.divergence),
        ("total variation of pooled profiles", found.total_variation),
        ("mean divergence of prompts like these", found.prompt_divergence),
        ("mean divergence of these prompts", found.prompt_divergence_here),
        ("reduction of S, 100 (S_A - S_B) / S_A", found.reduction),
    ]


def number(needed: float) -> str:
    """How many prompts or samples; a dash where it cannot be said."""
    return "–" if math.isnan(needed) else f"{needed:,.0f}"


def smallest(found: Shift) -> str:
    """The smallest change that would be seen as it stands; '' where that cannot be said."""
    if not found.needs or number(found.needs[0].smallest) == "–":
        return ""
    need: Need = found.needs[0]
    here = "" if number(need.smallest_here) == "–" else f", {need.smallest_here:.3f} nats for these prompts"
    return f"As it stands, a change of {need.smallest:.3f} nats is seen with {need.power:.0%} power{here}."


def _verdict(found: Shift) -> str:
    p, scope = _tested(found), found.equivalence.scope
    if found.verdict == EQUIVALENT:
        real = f" A difference was found (p = {p_value(p)}); it lies within the margin." if p <= ALPHA else ""
        return f"Every entropy and every share is shown to lie within its margin, for {scope}.{real}"
    if found.verdict == CHANGED:
        return f"Had nothing changed, a difference like this would come up with probability p = {p_value(p)}."
    short = ", ".join(one.name for one in found.equivalence.failing)
    return (
        f"The evidence is short. No change is shown (p = {p_value(p)}), and equivalence is not either: "
        f"for {scope} it is not shown of {short}."
    )


def _tested(found: Shift) -> float:
    return found.p_value if found.p_adjusted is None else found.p_adjusted


def _entropy(found: Shift) -> Iterator[str]:
    change = found.headline
    if change.is_defined:
        before, after = (one.entropy if one.entropy.is_defined else one.pooled_entropy for one in (found.a, found.b))
        name = "The mean within-prompt S" if found.a.entropy.is_defined and found.b.entropy.is_defined else "Pooled S"
        yield (
            f"{name} went from {value(before)} to {value(after)}: {signed(change)}, {change.level:.0%} interval "
            f"{signed_interval(change)}."
        )


def _shares(found: Shift) -> str:
    moved = [one for one in found.goals if one.p_adjusted <= ALPHA]
    if not moved:
        return "No single goal's share is shown to have moved (Holm over the goals)."
    named = (f"{one.title} from {value(one.a)} to {value(one.b)} (p = {p_value(one.p_adjusted)})" for one in moved)
    return f"Shares that moved (Holm over the goals): {'; '.join(named)}."


def _blind_spot(found: Shift) -> str:
    aligned = found.aligned_difference
    known = f" Here the aligned share moved by {signed(aligned)} ({signed_interval(aligned)})."
    return (
        "S does not tell good from bad, and less S is no improvement by itself; read it with the shares."
        f"{known if aligned.is_defined else ''}"
    )
