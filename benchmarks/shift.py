"""Comparing A with B: coverage of differences and divergences, size of tests, what pairing saves.

    python benchmarks/shift.py [--quick] [--json FILE]

Panels of A are those of ethostat.guarantees.populations; B does something else with the same prompts. Truths of prompts
like these are means over 200,000 prompts. What was tuned, and on what, stands in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from _table import Row, fact, line, run
from ethostat.guarantees.comparison import (
    Change,
    at_the_margin,
    looser,
    margin_of,
    nothing,
    retrained,
    swapped,
    unchanged,
    unchanged_alone,
    unchanged_prompts,
)
from ethostat.guarantees.populations import PANELS
from ethostat.maths import divergence, exchange, shift
from ethostat.maths.entropy import entropy_of, plug_in
from ethostat.maths.estimate import Estimate
from ethostat.maths.shift import Pair, paired, unpaired

GOALS = np.eye(5, dtype=bool)


CHANGES: dict[str, Change] = {"nothing": nothing, "looser": looser, "retrained": retrained, "swapped": swapped}
SIZES = ((100, 20), (30, 20), (25, 100))
POPULATIONS = ("tuned", "base", "half-deterministic")
LIKE_THESE = ("within", "pooled", "shares", "divergence", "variation", "prompts")
HERE = ("within, these", "shares, these", "prompts, these")


def truths(p: np.ndarray, q: np.ndarray) -> dict[str, list[float]]:
    """What every estimate is an estimate of, for these profiles (J, K)."""
    pool, moved = p.mean(axis=0), q.mean(axis=0)
    within = [float((entropy_of(q) - entropy_of(p)).mean())]
    shares = [float(x) for x in moved - pool]
    prompts = [float(divergence.jensen_shannon(p, q).mean())]
    return {
        "within": within,
        "within, these": within,
        "pooled": [float(entropy_of(moved) - entropy_of(pool))],
        "shares": shares,
        "shares, these": shares,
        "divergence": [float(divergence.jensen_shannon(pool, moved))],
        "variation": [float(np.abs(moved - pool).sum() / 2)],
        "prompts": prompts,
        "prompts, these": prompts,
    }


def estimates(pair: Pair, rng: np.random.Generator) -> Iterator[tuple[str, list[Estimate]]]:
    """Every estimate by name, shares by goal."""
    yield "within", [shift.entropy_difference(pair)]
    yield "within, these", [shift.entropy_difference_here(pair)]
    yield "pooled", [shift.pooled_difference(pair)]
    yield "shares", [shift.share_difference(pair, goal) for goal in GOALS]
    yield "shares, these", [shift.share_difference_here(pair, goal) for goal in GOALS]
    yield "divergence", [divergence.pooled_divergence(pair, rng=rng)]
    yield "variation", [divergence.total_variation(pair, rng=rng)]
    yield "prompts", [divergence.prompt_divergence(pair)]
    yield "prompts, these", [divergence.prompt_divergence(pair, here=True)]


def coverage(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Share of paired 95 % intervals that hold the truth, by population, change and size."""
    runs = 10 if quick else 100
    found: dict[str, list[float]] = {name: [] for name in LIKE_THESE + HERE}
    for population in POPULATIONS:
        for name, change in CHANGES.items():
            everyone = PANELS[population](200_000, rng)
            known = truths(everyone, change(everyone, rng))
            for prompts, each in SIZES:
                hits = _hits(population, change, known, prompts, each, runs, rng)
                for what, share in hits.items():
                    found[what].append(share)
                cells = ", ".join(f"{what} {100 * share:.1f}" for what, share in hits.items())
                print(f"        {population}, {name}, {prompts} x {each}: {cells}", flush=True)
    for what, shares in found.items():
        mean, error = float(np.mean(shares)), float(np.sqrt(0.05 * 0.95 / (runs * len(shares))))
        low = 0.93 if not quick else 0.90
        yield line(f"coverage of {what}, mean of {len(shares)} cells", mean, f">= {low}", met=mean >= low, error=error)
        yield fact(f"coverage of {what}, least of them ({runs} panels each)", min(shares))


def _hits(
    population: str,
    change: Change,
    known: dict[str, list[float]],
    prompts: int,
    each: int,
    runs: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    counted: dict[str, list[bool]] = {}
    for _ in range(runs):
        p = PANELS[population](prompts, rng)
        q = change(p, rng)
        here = truths(p, q)
        pair = paired(rng.multinomial(each, p), rng.multinomial(each, q))
        for what, ends in estimates(pair, rng):
            wanted = here[what] if what in HERE else known[what]
            kept = [one.low - 1e-9 <= truth <= one.high + 1e-9 for one, truth in zip(ends, wanted, strict=True)]
            counted.setdefault(what, []).extend(kept)
    return {what: float(np.mean(kept)) for what, kept in counted.items()}


def alone(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """The same for two prompt sets that share no prompt."""
    runs, hits = 10 if quick else 100, []
    for population in POPULATIONS:
        for change in (nothing, looser):
            everyone = PANELS[population](200_000, rng)
            known, counted = truths(everyone, change(everyone, rng)), []
            for _ in range(runs):
                p, q = PANELS[population](60, rng), change(PANELS[population](60, rng), rng)
                pair = unpaired(rng.multinomial(20, p), rng.multinomial(20, q))
                for what, ends in estimates(pair, rng):
                    if what in ("within", "pooled", "shares", "divergence", "variation"):
                        counted += [e.low - 1e-9 <= t <= e.high + 1e-9 for e, t in zip(ends, known[what], strict=True)]
            hits.append(float(np.mean(counted)))
    yield line("coverage, unpaired, 60 x 20, mean of 6", float(np.mean(hits)), ">= 0.93", met=np.mean(hits) >= 0.93)


def size(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often the tests call a change at 5 % where there is none, and where there is."""
    runs = 100 if quick else 1000
    for population in POPULATIONS:
        rows = [unchanged(rng, population) for _ in range(runs)]
        p_values, goals = ([row[what] for row in rows] for what in ("any change", "any goal, Holm"))
        prompts = [unchanged_prompts(rng, population) for _ in range(runs // 5)]
        slack = 0.05 if quick else 2 * np.sqrt(0.05 * 0.95 / runs)
        for what, values in (("swaps", p_values), ("any goal, Holm", goals), ("any prompt, BH", prompts)):
            rate = float((np.array(values) <= 0.05).mean())
            label = f"false alarms at 5 %, {what}, {population} ({len(values)})"
            room = slack * np.sqrt(runs / len(values))
            yield line(label, rate, "<= 0.05 + 2 errors", met=rate <= 0.05 + room)
    p_values = [unchanged_alone(rng, "base") for _ in range(runs)]
    rate = float((np.array(p_values) <= 0.05).mean())
    yield line(
        f"the same, unpaired, base, 12 and 30 a prompt ({runs})", rate, "<= 0.055 + 2 errors", met=rate <= 0.055 + slack
    )


def power(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often a change is found at 5 %: by the test, and by S alone, which is blind to some."""
    runs = 40 if quick else 200
    for name in ("looser", "retrained", "swapped"):
        tested, by_entropy = [], []
        for _ in range(runs):
            p = PANELS["tuned"](30, rng)
            pair = paired(rng.multinomial(12, p), rng.multinomial(12, CHANGES[name](p, rng)))
            tested.append(exchange.exchange_test(pair, rng=rng, swaps=199).p_value <= 0.05)
            apart = shift.entropy_difference_here(pair)
            by_entropy.append(apart.low > 0 or apart.high < 0)
        yield fact(f"found at 5 %, swaps, {name}, tuned 30 x 12 ({runs})", float(np.mean(tested)))
        yield fact("the same by the difference of S, these prompts", float(np.mean(by_entropy)))


def equivalence(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """TOST at the very margin (false equivalence) and where nothing changed, difference of S, 60 x 50."""
    runs = 60 if quick else 300
    for population in ("tuned", "base"):
        margin, right = margin_of(population, rng), []
        wrong = [at_the_margin(rng, population, margin) for _ in range(runs)]
        for _ in range(runs):
            p = PANELS[population](60, rng)
            pair = paired(rng.multinomial(50, p), rng.multinomial(50, p))
            right.append(shift.is_within(shift.entropy_difference_here(pair, level=0.9), 0.05))
        rates = np.mean(wrong, axis=0)
        slack = 2 * np.sqrt(0.05 * 0.95 / runs)
        yield line(
            f"false equivalence, prompts like these, {population}",
            rates[0],
            "<= 0.05 + 2 errors",
            met=rates[0] <= 0.05 + slack,
        )
        yield line(
            f"false equivalence, these prompts, {population}",
            rates[1],
            "<= 0.05 + 2 errors",
            met=rates[1] <= 0.05 + slack,
        )
        yield fact(f"equivalence found within 0.05 nats, nothing changed, {population}", float(np.mean(right)))


def saving(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Responses for 80 % power: paired over those of a z-test of two prompt sets, by simulated variances."""
    runs = 60 if quick else 400
    for population in POPULATIONS:
        for name in ("looser", "retrained"):
            together, apart, truth = [], [], []
            for _ in range(runs):
                p = PANELS[population](60, rng)
                q, other = CHANGES[name](p, rng), CHANGES[name](PANELS[population](60, rng), rng)
                a, b, c = (plug_in(rng.multinomial(20, one)).mean() for one in (p, q, other))
                together.append(b - a)
                apart.append(c - a)
                truth.append(b - a)
            ratio = float(np.var(together, ddof=1) / np.var(apart, ddof=1))
            yield fact(
                f"responses, paired / unpaired, {population}, {name} ({runs})", ratio, error=ratio * np.sqrt(4 / runs)
            )


def forecast(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Power at the number of prompts that `need` forecasts for 80 %, from a first panel of 40 x 20."""
    runs = 40 if quick else 200
    for population in ("tuned", "base"):
        change = margin_of(population, rng)
        found = []
        for _ in range(runs):
            p = PANELS[population](40, rng)
            first = paired(rng.multinomial(20, p), rng.multinomial(20, looser(p, rng)))
            wanted = int(shift.need(first, change).prompts)
            p = PANELS[population](max(wanted, 2), rng)
            seen = shift.entropy_difference(paired(rng.multinomial(20, p), rng.multinomial(20, looser(p, rng))))
            found.append(seen.low > 0 or seen.high < 0)
        rate = float(np.mean(found))
        yield fact(f"power where 80 % was forecast, {population}, change {change:.3f} ({runs})", rate)


if __name__ == "__main__":
    run(__doc__, size, power, equivalence, saving, forecast, alone, coverage, seed=52_711)
