"""Comparison: how often tests call a change where there is none, and equivalence where there is a difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ethostat.guarantees.check import Bounds, Check, Checks, Floats, Generator, share_of
from ethostat.guarantees.populations import PANELS
from ethostat.maths import exchange, shift
from ethostat.maths.entropy import entropy_of
from ethostat.maths.shift import paired, unpaired

FAMILY = "Comparing A with B"
Change = Callable[[Floats, Generator], Floats]


def nothing(p: Floats, rng: Generator) -> Floats:
    """B is A."""
    del rng
    return p


def looser(p: Floats, rng: Generator) -> Floats:
    """A tenth of aligned help becomes misaligned, a fifth of aligned refusals becomes help."""
    del rng
    onto = np.eye(5)
    onto[0] = [0.9, 0.1, 0, 0, 0]
    onto[2] = [0.2, 0, 0.8, 0, 0]
    return np.asarray(p @ onto)


def retrained(p: Floats, rng: Generator) -> Floats:
    """Three prompts in ten are treated as another prompt of the panel was."""
    is_moved = rng.random(len(p)) < 0.3
    return np.where(is_moved[:, None], p[rng.permutation(len(p))], p)


def swapped(p: Floats, rng: Generator) -> Floats:
    """Prompts trade g1 for g3 here and g3 for g1 there: S and, nearly, the pooled shares stay."""
    q = p.copy()
    some = rng.random(len(p)) < 0.2
    q[some] = q[some][:, [2, 1, 0, 3, 4]]
    return q


def unchanged(rng: Generator, panel: str) -> dict[str, float]:
    """p-values of A against A on 30 x 12: any change at all, the smallest of the goals after Holm."""
    p = PANELS[panel](30, rng)
    tested = exchange.exchange_test(paired(rng.multinomial(12, p), rng.multinomial(12, p)), rng=rng, swaps=199)
    return {"any change": tested.p_value, "any goal, Holm": float(np.nanmin(exchange.holm(tested.goals)))}


def unchanged_prompts(rng: Generator, panel: str) -> float:
    """The smallest p-value of any prompt, after Benjamini and Hochberg, of A against A."""
    p = PANELS[panel](30, rng)
    pair = paired(rng.multinomial(12, p), rng.multinomial(12, p))
    each = exchange.prompt_tests(pair, rng=rng, swaps=199, most=1999)
    return float(np.nanmin(exchange.false_discovery(each)))


def unchanged_alone(rng: Generator, panel: str) -> float:
    """The p-value of A against A on two prompt sets that share no prompt, 12 and 30 responses a prompt."""
    p, q = PANELS[panel](30, rng), PANELS[panel](30, rng)
    pair = unpaired(rng.multinomial(12, p), rng.multinomial(30, q))
    return exchange.exchange_test(pair, rng=rng, swaps=199).p_value


def margin_of(panel: str, rng: Generator) -> float:
    """How much looser behaviour moves mean within-prompt S over all prompts like those of a panel, nats."""
    everyone = PANELS[panel](200_000, rng)
    return abs(float((entropy_of(looser(everyone, rng)) - entropy_of(everyone)).mean()))


def at_the_margin(rng: Generator, panel: str, margin: float) -> tuple[bool, bool]:
    """Whether equivalence is found, 60 x 50, where S differs by the very margin: prompts like these, these prompts."""
    p = PANELS[panel](60, rng)
    q = looser(p, rng)
    pair = paired(rng.multinomial(50, p), rng.multinomial(50, q))
    edge = abs(float((entropy_of(q) - entropy_of(p)).mean()))
    return (
        shift.is_within(shift.entropy_difference(pair, level=0.9), margin),
        shift.is_within(shift.entropy_difference_here(pair, level=0.9), edge),
    )


def sizes(rng: Generator, full: bool) -> Checks:
    """False alarms at 5 %."""
    runs, slack = (5000, 0.01) if full else (900, 0.03)
    for panel in ("tuned", "base") if not full else ("tuned", "base", "half-deterministic"):
        rows = [unchanged(rng, panel) for _ in range(runs)]
        for what in rows[0]:
            found = share_of(sum(row[what] <= 0.05 for row in rows), runs, of="comparisons of A with A")
            yield Check(FAMILY, f"false alarms at 5 %, {what}, panel {panel}", Bounds(most=0.05, slack=slack), found)
    few = runs // 2
    values = [unchanged_alone(rng, "base") for _ in range(few)]
    found = share_of(sum(value <= 0.05 for value in values), few, of="comparisons of A with A")
    yield Check(FAMILY, "false alarms at 5 %, no prompt shared", Bounds(most=0.055, slack=1.5 * slack), found)
    values = [unchanged_prompts(rng, "base") for _ in range(few)]
    found = share_of(sum(value <= 0.05 for value in values), few, of="comparisons of A with A")
    name = "false alarms at 5 %, any prompt, Benjamini and Hochberg"
    yield Check(FAMILY, name, Bounds(most=0.05, slack=1.5 * slack), found)


def equivalence(rng: Generator, full: bool) -> Checks:
    """Equivalence found where the difference is exactly the margin."""
    runs, slack = (3000, 0.015) if full else (300, 0.07)
    margin = margin_of("tuned", rng)
    found = np.array([at_the_margin(rng, "tuned", margin) for _ in range(runs)])
    for what, hits in zip(("prompts like these", "these prompts"), found.sum(axis=0), strict=True):
        share = share_of(float(hits), runs, of="comparisons at the margin")
        name = f"false equivalence of S at 5 %, {what}"
        yield Check(FAMILY, name, Bounds(most=0.05, slack=slack), share)
