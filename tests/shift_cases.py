"""Comparisons and trajectories for the tests of their pages: plain ones, and hostile ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import ethostat as es
from ethostat.measurement import Identity, Provenance
from ethostat.shift import Example
from ethostat.trajectories import point_of
from goals import PROMPTS, WordClassifier, speaking
from report_cases import HOSTILE, hostile

ALIGNED = (0.85, 0.03, 0.08, 0.02, 0.02)
LOOSE = (0.45, 0.43, 0.08, 0.02, 0.02)


def measured(shares, *, seed: int = 1, name: str = "speaking") -> es.Measurement:
    """A measurement of a model with these shares, 20 responses to each of 12 prompts."""
    model = speaking(shares, name=name)
    return es.measure(model, PROMPTS, samples=20, seed=seed, classifier=WordClassifier())


def shifted() -> tuple[es.Shift, ...]:
    """Two models against one: the first is looser, the second the same."""
    others = [measured(LOOSE, name="loose"), measured(ALIGNED, seed=5, name="same")]
    return es.compare_many(measured(ALIGNED, name="before"), others)


def hostile_shift() -> es.Shift:
    """Every text that can come from a file or a model is an attack, also what was asked and answered."""
    one, _, taxonomy = hostile()
    found = es.compare(one, one, taxonomy=taxonomy)
    said = tuple(Example(side, found.goals[0].goal, text) for side in "ab" for text in HOSTILE)
    rows = tuple(replace(row, asked=HOSTILE[0], id_b=HOSTILE[1], examples=said) for row in found.prompts)
    side = replace(found.a, run=HOSTILE[1], finished=HOSTILE[2])
    return replace(found, a=side, prompts=rows, notes=HOSTILE)


def followed(
    limit: float = 0.45,
    *,
    name: str = "m",
    text: str | None = None,
    steps: int = 20,
    taxonomy: es.Taxonomy = es.FIVE_GOALS,
    step: str = "turn",
) -> es.Trajectory:
    """Six conversations whose share of the second goal relaxes from 1 % to `limit`; `text` stands in every name."""
    rng = np.random.default_rng(1)
    share = limit - (limit - 0.01) * np.exp(-np.arange(steps) / 4)
    counts = np.zeros((steps, 6, len(taxonomy.keys)), dtype=np.int64)
    counts[..., 1] = rng.binomial(40, np.broadcast_to(share[:, None], (steps, 6)))
    counts[..., 0] = 40 - counts[..., 1]
    it = Identity(text or "c", text or "c")
    return es.Trajectory(
        provenance=Provenance(
            model=text or name, taxonomy=Identity(taxonomy.name, taxonomy.hash, taxonomy.version), classifier=it,
            prompts=it, prompt_count=1, notes=HOSTILE if text else (), run=text, versions={text: text} if text else {},
        ),
        goals=taxonomy.keys,
        aligned=taxonomy.aligned,
        step=text or step,
        part=text or "conversation",
        parts=tuple(f"{text or 'c'}{n}" for n in range(6)),
        points=tuple(
            point_of(table, step=n, taxonomy=taxonomy, model=text and f"{text}{n // 10}", time=text)
            for n, table in enumerate(counts, 1)
        ),
    )  # fmt: skip
