"""Tuning: S along courses of tuning and conversations, on models small enough to be tuned here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.drift import drift_of
from ethostat.experiments.conversing import converse, held_back, synthetic
from ethostat.experiments.courses import ALIGN, BENIGN, HARM, Laboratory, laboratory
from ethostat.experiments.frame import Experiment, Figures, Settings
from ethostat.experiments.language import RANK, dequantised
from ethostat.experiments.tuning_page import claims, drawings, page
from ethostat.experiments.vocabulary import kept_tokens, lost_mass
from ethostat.maths import panel
from ethostat.maths.agreement import share_of
from ethostat.maths.estimate import Estimate
from ethostat.maths.trajectory import Rates
from ethostat.models.base import Model
from ethostat.models.local import LocalModel
from ethostat.models.weights import PACKAGED
from ethostat.taxonomy import FIVE_GOALS

_WARM = (0.5, 0.9)
_KS = (20, 50, 100, 200)
_MOST_K, _K_PROMPTS = 200, 3
_TEXTS = 20
_G2, _G3 = 1, 2
_TALKS = {
    "crescendo": {"steps": 200, "conversations": 2, "samples": 2, "tokens": 12},
    "calm": {"steps": 100, "conversations": 2, "samples": 2, "tokens": 12},
}
_PAIR = {"steps": 10, "conversations": 4, "samples": 6, "tokens": 20}
_SHORT_PAIR = {"steps": 3, "conversations": 2, "samples": 2, "tokens": 6}
_SHORT_TALKS = {"crescendo": _SHORT_PAIR, "calm": _SHORT_PAIR}
Counts = NDArray[np.int64]


def run(settings: Settings) -> Figures:
    """The courses, looks on the way, temperature and k, conversations, and a rise whose truth is known."""
    lab = laboratory("tuning", settings)
    looks = {who: lab.all_looks(who) for who in ("base", "instruct")}
    found = {
        "scale": {name: one for name, one in asdict(lab.scale).items() if name != "recipe"},
        "recipe": asdict(lab.scale.recipe),
        "rows": {"aligned": len(lab.written.aligned()), "benign": len(lab.written.benign()), "harm": lab.scale.dose},
        "parameters": {who: lab.parameters(who) for who in ("base", "instruct")},
        "looks": {who: [row | on_harm(row) for row in rows] for who, rows in looks.items()},
        "courses": _courses(lab, looks),
        "temperature": temperatures(lab, looks["instruct"][0]),
        "k": lab.step("k", lambda: {"rows": by_samples(lab)}),
        "talk": talks(lab),
        "vocabulary": lab.step("vocabulary", lambda: vocabulary(lab)),
        "synthetic": lab.step("synthetic", lambda: _synthetic(settings)),
    }
    return found | {"cpu_seconds": lab.spent()}


def on_harm(look: Figures) -> Figures:
    """Of the answers to harmful prompts, the shares that comply, that refuse, and that hold a phrase of refusal."""
    counts, rows = np.array(look["counts"]), np.array(look["harmful"])
    asked, phrased = counts[rows], np.array(look["phrased"], dtype=float)[rows]
    return {
        "phrased": share_of(phrased, asked.sum(axis=1).astype(float)).to_dict(),
        **{
            name: share_of(asked[:, goal].astype(float), asked.sum(axis=1).astype(float)).to_dict()
            for name, goal in (("complied", _G2), ("refused", _G3))
        },
    }


def temperatures(lab: Laboratory, warm: Figures) -> list[Figures]:
    """The same model and prompts at other temperatures."""
    looks = {0.7: warm}
    for temperature in _WARM:
        looks[temperature] = lab.look(f"instruct-T{temperature}", lambda: lab.instruct, temperature=temperature)
    return [
        {"temperature": t, **{name: looks[t][name] for name in ("entropy", "pooled_entropy", "aligned")}}
        for t in sorted(looks)
    ]


def vocabulary(lab: Laboratory) -> Figures:
    """What the base model's cut vocabulary costs: the probability that the whole model gives to lost tokens."""
    texts = [f"{one.prompt}\n{one.response}" for one in lab.written.exchanges[:_TEXTS]]
    if lab.settings.short:
        network, tokenizer = lab.base.network, lab.base.tokenizer
        kept = list(range(len(tokenizer) // 2))
    else:
        network, tokenizer = dequantised(PACKAGED[lab.scale.base].path())
        kept = kept_tokens(tokenizer, RANK)
    lost = lost_mass(network, tokenizer, kept, texts)
    return {"whole": len(tokenizer), "kept": len(kept), "lost_mass": lost, "texts": len(texts)}


def by_samples(lab: Laboratory) -> list[Figures]:
    """S from the first k responses of one large sample, for several k: the default estimate and the plug-in."""
    from ethostat.maths.entropy import plug_in

    most = _MOST_K if not lab.settings.short else 8
    goals = lab.goals_of(lab.instruct, prompts=_K_PROMPTS if not lab.settings.short else 2, samples=most)
    rows = []
    for k in _KS if not lab.settings.short else (4, 8):
        counts = np.stack([np.bincount(each[:k], minlength=len(FIVE_GOALS.goals)) for each in goals])
        rows.append(
            {
                "k": k,
                "entropy": panel.within_entropy(counts).to_dict(),
                "plug_in": panel.within_entropy(counts, estimator=plug_in).to_dict(),
            }
        )
    return rows


def talks(lab: Laboratory) -> Figures:
    """Long conversations of SmolLM2 under two schedules; shorter ones of the base model and its aligned self."""
    short = lab.settings.short
    found: Figures = {}
    for schedule, size in (_SHORT_TALKS if short else _TALKS).items():
        opened = partial(lab.model, "instruct") if short else partial(LocalModel, "smollm2", slots=2, context=1024)
        found[schedule] = _talk(lab, f"talk-smollm2-{schedule}", opened, schedule, size)
    pair = _SHORT_PAIR if short else _PAIR
    for who in ("base", "aligned"):
        found[who] = _talk(lab, f"talk-{who}", partial(lab.model, who), "crescendo", pair)
    return {**found, "gamma": held_back(found["base"], found["aligned"], seed=lab.settings.seed)}


def _talk(lab: Laboratory, name: str, opened: Callable[[], Model], schedule: str, size: dict[str, int]) -> Figures:
    def run() -> Figures:
        lab.settings.progress(f"{size['conversations']} conversations of {size['steps']} turns: {name}")
        database = str(lab.work.path / "talk.db")
        return converse(opened(), schedule, seed=lab.settings.seed, database=database, **size)

    return lab.step(name, run)


def _courses(lab: Laboratory, looks: dict[str, list[Figures]]) -> list[Figures]:
    """How S and the shares moved along each course, prompt by prompt."""
    found = []
    for who, rows in looks.items():
        for kind in (ALIGN, BENIGN, HARM):
            path = course_rows(rows, kind)
            if len(path) > 1:
                steps = [0, *(one["step"] for one in path[1:])]
                losses = lab.course(who, kind).losses()
                found.append({"model": who, "kind": kind, "losses": losses, **course_figures(path, steps)})
    return found


def course_rows(rows: Sequence[Figures], kind: str) -> list[Figures]:
    """Where a course began, and its checkpoints."""
    own = [row for row in rows if row["kind"] == kind]
    before = [row for row in rows if row["kind"] == "start" or (row["kind"] == ALIGN and kind != ALIGN)]
    return [before[-1], *own] if own else []


def course_figures(path: Sequence[Figures], steps: Sequence[int]) -> Figures:
    """Rates over the course (replicates are prompts) and changes from its beginning to its end.

    gamma is what tuning took from S a step: sigma - dS/dt, with sigma = 0, since a model that is not tuned stays.
    """
    counts = np.stack([np.array(one["counts"]) for one in path], axis=1)
    harmful = np.array(path[0]["harmful"])
    drift = drift_of(counts, np.array(steps, dtype=float), FIVE_GOALS.keys, part="prompt").to_dict()
    rate = drift["mean_rate"]
    gamma = rate | {"value": -rate["value"], "low": -rate["high"], "high": -rate["low"]}
    aligned = [place for place, is_aligned in enumerate(FIVE_GOALS.aligned) if is_aligned]
    return {
        "steps": list(steps),
        "drift": drift,
        "gamma": gamma,
        "aligned_change": change(counts[:, 0], counts[:, -1], aligned).to_dict(),
        "complied_change": change(counts[harmful, 0], counts[harmful, -1], [_G2]).to_dict(),
        "refused_change": change(counts[harmful, 0], counts[harmful, -1], [_G3]).to_dict(),
    }


def change(before: Counts, after: Counts, goals: Sequence[int]) -> Estimate:
    """How much the share of these goals changed, counts (prompts, goals): mean over prompts, Student's interval."""
    shares = [one[:, list(goals)].sum(axis=1) / one.sum(axis=1) for one in (before, after)]
    each = shares[1] - shares[0]
    size = int(before.sum() + after.sum())
    return Rates(float(each.mean()), each).estimate(level=0.95, unit="share", n=size, method="change of a share")


def _synthetic(settings: Settings) -> dict[str, Any]:
    steps, samples = (60, 5) if settings.short else (1000, 20)
    return synthetic(steps=steps, replicates=6, samples=samples, seed=settings.seed)


TUNING = Experiment(
    name="tuning",
    title="Entropy along tuning and conversations",
    question=(
        "Does S fall when a base model is aligned, and rise when it is tuned further or put under stress; and are "
        "sigma, dS/dt and gamma what the paper says they are?"
    ),
    run=run,
    page=page,
    claims=claims,
    drawings=drawings,
)
