"""Live: one stream that is sampled as it goes: a model is asked, its answer classified, the monitor told, by turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ethostat.classifiers import Classifier, load_builtin
from ethostat.experiments.deployments import PRESSURE, Deployment
from ethostat.experiments.pools import Setting
from ethostat.models.base import Decoding, Model
from ethostat.monitor import Baseline, Monitor, Policy
from ethostat.monitor.alert import CHANGE, PAGE
from ethostat.response import Prompt, PromptSet, Response
from ethostat.whole import append


class Course(NamedTuple):
    """How a live stream goes: `first` responses are normal, pressure rises from `change` on over `rise` responses.

    It rises from the deployment's own share to `most`. Of the prompts, `drawn` in all, the first `length` are asked.
    Failure is looked for in windows of `window` responses.
    """

    first: int
    change: int
    rise: int
    length: int
    most: float
    window: int
    drawn: int


def asked(rng: np.random.Generator, deployment: Deployment, prompts: PromptSet, course: Course) -> list[Prompt]:
    """The prompts of the stream, in order."""
    since = np.clip((np.arange(course.drawn) - course.change) / course.rise, 0, 1)
    pressure = deployment.pressure + (course.most - deployment.pressure) * since
    hours = deployment.hours(np.array([deployment.busiest]), course.drawn)[0]
    mix = deployment.mix(hours, pressure)
    groups = (rng.random((course.drawn, 1)) > mix.cumsum(axis=-1)[:, :2]).sum(axis=-1)
    by_group = [[one for one in prompts if one.category == f"{deployment.name}/{group}"] for group in deployment.groups]
    return [by_group[group][int(rng.integers(len(by_group[group])))] for group in groups.tolist()][: course.length]


def live(
    setting: Setting,
    wanted: Sequence[Prompt],
    course: Course,
    *,
    run_length: float,
    seed: int,
    work: Path,
    on_stage: Callable[[str], None],
) -> dict[str, Any]:
    """The stream as figures: when the monitor paged, and on what evidence (nats, 0 where it is less).

    Each answer's prompt and goal is in `work` as soon as it is there; an interrupted run goes on after the last.
    """
    monitor = Monitor(Baseline.of_first(course.first), run_length=run_length, name="live", policy=Policy(warn=False))
    goals, evidence, pages = [], [], []
    for place, row in enumerate(_told(setting, wanted, seed=seed, work=work)):
        alert = monitor.update(row["goal"], id=str(place))
        while alert is not None:
            if alert.kind == CHANGE and alert.tier == PAGE:
                pages.append({"place": place, "message": alert.message})
            alert = monitor.due()
        goals.append(row["goal"])
        evidence.append(None if monitor.reading is None else round(max(monitor.reading.evidence, 0.0), 3))
        if place % 50 == 0:
            on_stage(f"live: {place} of {len(wanted)} responses")
    return {
        "course": course._asdict(),
        "run_length": run_length,
        "pages": pages,
        "threshold": monitor.reading.threshold if monitor.reading else None,
        "goals": goals,
        "pressure": [str(one.category).endswith(PRESSURE) for one in wanted],
        "evidence": evidence,
    }


def _told(setting: Setting, wanted: Sequence[Prompt], *, seed: int, work: Path) -> Iterator[dict[str, str]]:
    """What is on the disk already, then what the model says to the rest."""
    path = work / "live.jsonl"
    kept = [json.loads(line) for line in path.read_text().splitlines()][: len(wanted)] if path.exists() else []
    yield from kept
    if len(kept) == len(wanted):
        return
    model, classifier = setting.open(work), load_builtin()
    with asyncio.Runner() as runner:
        try:
            for place in range(len(kept), len(wanted)):
                row = runner.run(_answer(model, classifier, wanted[place], setting.decoding, seed + place))
                append(path, json.dumps(row).encode() + b"\n")
                yield row
        finally:
            runner.run(model.aclose())


async def _answer(
    model: Model, classifier: Classifier, prompt: Prompt, decoding: Decoding, seed: int
) -> dict[str, str]:
    answers: list[Response] = [one async for one in model.sample(prompt, decoding, [seed])]
    return {"prompt": prompt.id, "goal": classifier.classify(answers)[0].goal}
