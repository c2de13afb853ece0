"""Threshold sensitivity: drift injected into streams of a real model's responses; which alarm comes before failure?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ethostat.experiments import threshold_page
from ethostat.experiments.alarms import CALIBRATED, FIRST, RULES, RUN_LENGTH, page_places
from ethostat.experiments.deployments import DEPLOYMENTS, DRIFTS, NOTHING, Deployment, Drift, Law, draw, law_of
from ethostat.experiments.frame import Experiment, Figures, Settings, Work
from ethostat.experiments.live import Course, asked, live
from ethostat.experiments.pools import CHANGED, USUAL, Pool, gather, prompts_of_deployments
from ethostat.experiments.scoring import FAILURES, WINDOW, is_there, mean_shares, run_length, shows, warning
from ethostat.response import Prompt, PromptSet
from ethostat.taxonomy import FIVE_GOALS

CHANGE = CALIBRATED + 500
"""The response at which a drift begins."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: deployments, drifts, prompts of a kind, tokens, responses a prompt, streams, their lengths."""

    deployments: tuple[Deployment, ...]
    drifts: tuple[Drift, ...]
    prompts: int
    tokens: int
    samples: Mapping[str, int]
    dealt: int
    streams: int
    quiet: int
    after: int
    course: Course


_SAMPLES = {"usual": 8, "base": 4, "no-system": 2, "coarse": 2}
FULL = Size(DEPLOYMENTS, DRIFTS, 13, 24, _SAMPLES, 100, 12, 15_000, 3_000, Course(100, 120, 80, 260, 0.6, 60, 260))
_CHEAP = tuple(one for one in DRIFTS if one.name in ("pressure", "no-system"))
SHORT = Size(
    DEPLOYMENTS[-1:], _CHEAP, 1, 8, dict.fromkeys(_SAMPLES, 4), 10, 2, 2_500, 300, Course(6, 8, 4, 12, 0.6, 4, 12)
)


def run(settings: Settings) -> Figures:
    """Pools, control streams, drifts, and the live stream."""
    size = SHORT if settings.short else FULL
    work, prompts = Work.of("threshold", settings), _prompts(size)
    pools = _pools(settings, size, prompts, work, {one.setting for one in size.drifts})
    step = _Steps(settings, size, prompts, pools)
    figures: Figures = {
        "change": CHANGE,
        "first": FIRST,
        "calibrated": CALIBRATED,
        "asked_run_length": RUN_LENGTH,
        "window": WINDOW,
        "streams": size.streams,
        "prompts": len(prompts),
        "tokens": size.tokens,
        "deployments": {
            one.name: {"title": one.title, "a_day": one.a_day, "pressure": one.pressure, "swing": one.swing}
            for one in size.deployments
        },
        "rules": {one.name: {"title": one.title, "is_ours": one.is_ours} for one in RULES},
        "settings": {one.name: one.title for one in (USUAL, *CHANGED) if one.name in pools},
        "pools": {name: _counts(pool, prompts) for name, pool in pools.items()},
        "drifts": {
            one.name: {"title": one.title, "control": "steady" if one.is_steady else "control"} for one in size.drifts
        },
    }
    figures["control"] = work.step("control", step.control)["by_deployment"]
    figures["steady"] = work.step("steady", step.steady)["by_deployment"]
    figures["held_out"] = work.step("held-out", step.held_out)
    for drift in size.drifts:
        figures["drifts"][drift.name] |= work.step(f"drift-{drift.name}", partial(step.drift, drift))
    chat = size.deployments[-1]
    wanted = asked(np.random.default_rng(settings.seed), chat, prompts, size.course)
    usual = replace(USUAL, decoding=replace(USUAL.decoding, max_tokens=size.tokens))
    told = partial(
        live, usual, wanted, size.course, run_length=RUN_LENGTH, seed=settings.seed, work=work.path,
        on_stage=settings.progress,
    )  # fmt: skip
    figures["live"] = work.step("live", told)
    figures["cpu_seconds"] = work.cpu_seconds
    return figures


@dataclass(frozen=True)
class _Steps:
    """The parts of a run; each draws from a generator of its own, so that one can be run again alone."""

    settings: Settings
    size: Size
    prompts: PromptSet
    pools: Mapping[str, Pool]

    def control(self) -> Figures:
        """Nothing changes, with the rhythm of the day."""
        return {"by_deployment": {one.name: self._quiet(one, at) for at, one in enumerate(self.size.deployments)}}

    def steady(self) -> Figures:
        """Nothing changes, and the mix of routes is the same at every hour."""
        flat = [replace(one, swing=0.0) for one in self.size.deployments]
        return {"by_deployment": {one.name: self._quiet(one, at + 10) for at, one in enumerate(flat)}}

    def held_out(self) -> Figures:
        """One half of the usual pool teaches the Monitor, the other half is its stream, each response once."""
        return held_out(np.random.default_rng((self.settings.seed, 99)), self.pools["usual"], runs=self.size.dealt)

    def drift(self, drift: Drift) -> Figures:
        """Every deployment under one drift."""
        self.settings.progress(f"drift: {drift.name}")
        at = [one.name for one in DRIFTS].index(drift.name)
        return {
            "by_deployment": {
                one.name: self._drifting(drift.of(one), drift, (at, n)) for n, one in enumerate(self.size.deployments)
            }
        }

    def _law(self, deployment: Deployment, drift: Drift) -> Law:
        changed = None if drift.setting is None else self.pools[drift.setting]
        return law_of(deployment, self.prompts, self.pools["usual"], changed, FIVE_GOALS.keys)

    def _quiet(self, deployment: Deployment, at: int) -> Figures:
        self.settings.progress(f"quiet streams: {deployment.name}")
        rng = np.random.default_rng((self.settings.seed, 1, at))
        law = self._law(deployment, NOTHING)
        streams = draw(
            rng, deployment, law, NOTHING, streams=self.size.streams, length=self.size.quiet, change=self.size.quiet
        )
        return {rule.name: run_length(rule.pages(streams)) for rule in RULES}

    def _drifting(self, deployment: Deployment, drift: Drift, at: tuple[int, int]) -> Figures:
        rng = np.random.default_rng((self.settings.seed, 2, *at))
        law = self._law(deployment, drift)
        streams = draw(
            rng, deployment, law, drift, streams=self.size.streams, length=CHANGE + self.size.after, change=CHANGE
        )
        end = drift.campaign(np.array([float(self.size.after)]), deployment.pressure)[0]
        found: Figures = {
            "before": mean_shares(law.shares[0], deployment.pressure),
            "after": mean_shares(law.shares[0 if drift.setting is None else 1], float(end)),
            "failure": {},
            "rules": {},
        }
        paged = {rule.name: rule.pages(streams) for rule in RULES}
        for name, goals in FAILURES.items():
            there, shown = is_there(streams, goals, CHANGE), shows(streams, goals, CHANGE)
            found["failure"][name] = {
                "is_there": _middle(there, self.size.after),
                "shows": _middle(shown, self.size.after),
            }
            found["rules"][name] = {
                rule: {"there": warning(pages, there, CHANGE), "shown": warning(pages, shown, CHANGE)}
                for rule, pages in paged.items()
            }
        return found


def held_out(rng: np.random.Generator, pool: Pool, *, runs: int) -> Figures:
    """How often a Monitor pages on responses that it has not seen, of a model that did not change.

    Every run deals the pool's responses out anew: one half in random order is the baseline, the other the stream.
    """
    labels = np.array([FIVE_GOALS.index(goal) for goals in pool.values() for goal in goals])
    half = len(labels) // 2
    pages = 0
    for _ in range(runs):
        dealt = rng.permutation(labels)
        pages += bool(page_places(dealt.tolist(), None, first=half))
    return {"runs": runs, "baseline": half, "stream": len(labels) - half, "paged": pages}


def _prompts(size: Size) -> PromptSet:
    every = prompts_of_deployments()
    return PromptSet(every.name, tuple(one for one in every if _is_wanted(one, size)))


def _is_wanted(prompt: Prompt, size: Size) -> bool:
    deployment, _, number = prompt.id.split("-")
    return int(number) <= size.prompts and deployment in {one.name for one in size.deployments}


def _pools(settings: Settings, size: Size, prompts: PromptSet, work: Work, wanted: set[str | None]) -> dict[str, Pool]:
    found = {}
    for one in (USUAL, *(one for one in CHANGED if one.name in wanted)):
        setting = replace(one, decoding=replace(one.decoding, max_tokens=size.tokens))
        sampled = partial(
            gather,
            setting,
            prompts,
            samples=size.samples[one.name],
            seed=settings.seed,
            work=work.path,
            on_stage=settings.progress,
        )
        found[one.name] = work.step(f"pool-{one.name}", partial(_as_step, sampled))["goals"]
    return found


def _as_step(sampled: Callable[[], Pool]) -> Figures:
    return {"goals": {id: list(goals) for id, goals in sampled().items()}}


def _counts(pool: Pool, prompts: PromptSet) -> dict[str, dict[str, int]]:
    """Responses by kind of prompt and goal."""
    found: dict[str, dict[str, int]] = {}
    for one in prompts:
        row = found.setdefault(str(one.category), dict.fromkeys(FIVE_GOALS.keys, 0))
        for goal in pool[one.id]:
            row[goal] += 1
    return found


def _middle(places: np.ndarray, never: int) -> dict[str, Any]:
    """The median place, None where most streams never get there; and how many do."""
    there = places < never
    return {"median": float(np.median(places)) if there.mean() > 0.5 else None, "streams": int(there.sum())}


THRESHOLD = Experiment(
    name="threshold",
    title="Threshold sensitivity: does the alarm come before failure?",
    question="A real model in four deployments, whose traffic or setting changes: which alarm comes before harm has "
    "doubled, how long before, and how often does it cry wolf where nothing changes?",
    run=run,
    page=threshold_page.page,
    claims=threshold_page.claims,
    drawings=threshold_page.drawings,
)
