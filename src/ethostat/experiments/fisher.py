"""Fisher: the curvature of real models along their courses of tuning, beside the theory that asks for it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ethostat.experiments.adapting import tokens_of
from ethostat.experiments.companion import simulate_companion
from ethostat.experiments.courses import BENIGN, HARM, Laboratory, Opened, laboratory
from ethostat.experiments.curvature import Text, curvature
from ethostat.experiments.exchanges import Written
from ethostat.experiments.fisher_page import claims, drawings, page
from ethostat.experiments.frame import Experiment, Figures, Settings
from ethostat.experiments.language import Language
from ethostat.maths.agreement import rank_correlation

_TEXTS, _TOKENS = 2, 12
_SCALED = (4.0,)


def run(settings: Settings) -> Figures:
    """lambda_max at every checkpoint, gamma_crit, and how lambda_max goes with what S did next."""
    lab = laboratory("tuning", settings)
    found: Figures = {
        "texts": _TEXTS, "tokens": _TOKENS,
        "curvatures": {who: curvatures(lab, who) for who in ("base", "instruct")},
        "scaled": scaled(lab),
        "looks": {who: lab.all_looks(who) for who in ("base", "instruct")},
        "companion": lab.step("companion", lambda: simulate_companion(settings.seed)),
    }  # fmt: skip
    segments = _segments(found["looks"], found["curvatures"])
    return found | {
        "segments": segments,
        "correlation": _correlation(segments, settings.seed),
        "cpu_seconds": lab.spent(),
    }


def curvatures(lab: Laboratory, who: str) -> list[Figures]:
    """The curvature before any course and at each checkpoint of the alignment, on the same texts."""
    return [
        {**curved(lab, f"fisher-{who}-{kind}-{step}", opened), "kind": kind, "step": step}
        for kind, step, opened in lab.looks(who)
        if kind not in (BENIGN, HARM)
    ]


def curved(lab: Laboratory, name: str, opened: Opened) -> Figures:
    """The curvature of one model on the shared texts, kept."""
    size = lab.scale

    def run() -> Figures:
        language = opened()
        texts = shared_texts(language, lab.written, _TEXTS)
        lab.settings.progress(f"Fisher matrix of {language.label}")
        return curvature(language, texts, steps=size.products, probes=size.probes, seed=lab.settings.seed).to_dict()

    return lab.step(name, run)


def scaled(lab: Laboratory) -> list[Figures]:
    """The same function written with other parameters: one matrix of each block times c, the next divided by it."""
    start = {"factor": 1.0, **curved(lab, "fisher-instruct-start-0", lambda: lab.instruct)}
    return [
        start,
        *({"factor": c, **curved(lab, f"fisher-scaled-{c:g}", partial(_rescaled_instruct, lab, c))} for c in _SCALED),
    ]


def _rescaled_instruct(lab: Laboratory, factor: float) -> Language:
    return rescaled(lab.instruct, factor)


def rescaled(language: Language, factor: float) -> Language:
    """A model that answers exactly as this one, with other parameters."""
    import torch

    network = copy.deepcopy(language.network)
    with torch.no_grad():
        for layer in network.model.layers:
            layer.mlp.up_proj.weight.mul_(factor)
            layer.mlp.down_proj.weight.div_(factor)
    return replace(language, network=network, label=f"{language.label}, rescaled by {factor:g}")


def shared_texts(language: Language, written: Written, each: int) -> list[Text]:
    """Written exchanges: so many of help and so many of refusals; positions of the responses' first tokens count."""
    rows = written.aligned()
    chosen = [*rows[:each], *rows[-each:]]
    return [Text(tuple(ids[: start + _TOKENS]), start) for ids, start in tokens_of(language, chosen)]


def _segments(looks: dict[str, list[Figures]], curvatures: dict[str, list[Figures]]) -> list[Figures]:
    """From each checkpoint to the next of its course: lambda_max at its beginning, and what S did, nats a step."""
    found = []
    for who, rows in looks.items():
        largest = {(one["kind"], one["step"]): one["eigenvalues"][0] for one in curvatures[who]}
        gamma = {(one["kind"], one["step"]): one["critical_rate"] for one in curvatures[who]}
        for before, after in pairs(rows):
            place = (before["kind"], before["step"])
            if place not in largest:
                continue
            steps = after["step"] - (before["step"] if before["kind"] in (after["kind"], "start") else 0)
            change = after["entropy"]["value"] - before["entropy"]["value"]
            found.append(
                {
                    "model": who, "from": list(place), "to": [after["kind"], after["step"]],
                    "largest": largest[place], "critical_rate": gamma[place], "rate": change / steps,
                }
            )  # fmt: skip
    return found


def pairs(rows: Sequence[Figures]) -> list[tuple[Figures, Figures]]:
    """Each look with the look before it: the one before in its course, or where the course began."""
    found: list[tuple[Figures, Figures]] = []
    last: dict[str, Figures] = {}
    for row in rows:
        if row["kind"] != "start":
            begun = last.get("aligned", last["start"])
            found.append((last.get(row["kind"], begun), row))
        last[row["kind"]] = row
    return found


def _correlation(segments: Sequence[Figures], seed: int) -> dict[str, Any]:
    largest = [one["largest"] for one in segments]
    rates = [one["rate"] for one in segments]
    rng = np.random.default_rng(seed)
    return {
        "signed": rank_correlation(largest, rates, rng=rng).to_dict(),
        "size": rank_correlation(largest, np.abs(rates), rng=rng).to_dict(),
    }


FISHER = Experiment(
    name="fisher",
    title="Fisher information and the critical rate",
    question=(
        "Does the largest eigenvalue of a model's Fisher matrix say how fast its S moves, and how much alignment work "
        "holds it?"
    ),
    run=run,
    page=page,
    claims=claims,
    drawings=drawings,
)
