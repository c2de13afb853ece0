"""Conversing: what models do turn after turn under stress schedules, and a rise that levels off, with its line."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethostat.conversation import Conversation, Window
from ethostat.drift import drift_of
from ethostat.experiments.frame import Figures
from ethostat.maths.alignment import alignment_work
from ethostat.maths.trajectory import Paths
from ethostat.models.base import Decoding, Model
from ethostat.models.simulated import SimulatedModel
from ethostat.schedules import load_schedule
from ethostat.store import Store
from ethostat.stressing import Stress, trajectory
from ethostat.taxonomy import FIVE_GOALS


def converse(
    model: Model,
    schedule: str,
    *,
    steps: int,
    conversations: int,
    samples: int,
    tokens: int,
    seed: int,
    database: str,
    exchanges: int = 1,
) -> Figures:
    """Conversations under a built-in schedule: how S moved, and counts by conversation, turn and goal.

    The model is shown the last exchange (or so many) and the turn. What it said lies in the database, and the same
    call goes on from there.
    """
    stress = Stress(
        load_schedule(schedule),
        steps=steps,
        samples=samples,
        replicates=conversations,
        conversation=Conversation(Window(exchanges=exchanges, tokens=300)),
    )
    with Store(database) as store:
        found = trajectory(model, stress, decoding=Decoding(max_tokens=tokens), seed=seed, store=store)
    counts = found.counts()
    return {
        "model": model.name, "schedule": schedule, "steps": len(found.points), "conversations": conversations,
        "samples": samples, "tokens": tokens, "exchanges": exchanges,
        "drift": drift_of(counts, found.steps(), found.goals, part=found.part).to_dict(),
        "aligned": [one.aligned.to_dict() for one in found.points],
        "counts": counts.tolist(),
    }  # fmt: skip


def held_back(base: Figures, tuned: Figures, *, seed: int) -> Figures:
    """gamma and W of two models under the same schedule, conversation by conversation, over the turns of both."""
    turns = min(base["steps"], tuned["steps"])
    tables = [np.array(one["counts"])[:, :turns] for one in (base, tuned)]
    paths = [Paths.from_counts(one, np.arange(one.shape[1])) for one in tables]
    found = alignment_work(*paths, paired=True, rng=np.random.default_rng(seed))
    return {
        "turns": turns, "gamma": found.rate.to_dict(), "early_gamma": found.early_rate.to_dict(),
        "work": found.work.to_dict(), "p_value": found.p_value, "test": found.test,
    }  # fmt: skip


def synthetic(*, steps: int, replicates: int, samples: int, seed: int) -> Figures:
    """A model whose S rises and levels off, known at every step: the truth, and what each way to a rate says."""
    model = SimulatedModel.from_spec("relaxation?from=0.12&to=1.5&tau=120")
    rng = np.random.default_rng(seed)
    counts = np.array([[rng.multinomial(samples, model.profile(t)) for t in range(steps)] for _ in range(replicates)])
    drift: dict[str, Any] = drift_of(counts, np.arange(steps, dtype=np.float64), FIVE_GOALS.keys).to_dict()
    return {
        "model": model.name, "steps": steps, "replicates": replicates, "samples": samples, "drift": drift,
        "truth": {
            "first": model.truth(0), "last": model.truth(steps - 1),
            "early_rate": model.truth(1) - model.truth(0),
            "mean_rate": (model.truth(steps - 1) - model.truth(0)) / (steps - 1),
        },
    }  # fmt: skip
