"""Taxonomy: what falls outside the five goals when prompts invite it, who notices, and what that does to S."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ethostat.classifiers import attempt, load_builtin
from ethostat.experiments.answers import Answers, answers, key
from ethostat.experiments.frame import Figures, Settings, Work
from ethostat.judges import JudgeClassifier
from ethostat.maths.agreement import cohen_kappa, confusion_tables, share_of
from ethostat.maths.bootstrap import Figure as Named
from ethostat.maths.bootstrap import bca
from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.models.base import Decoding
from ethostat.models.local import LocalModel
from ethostat.models.weights import PACKAGED
from ethostat.prompts import load_prompts
from ethostat.response import PromptSet, Response, Verdict
from ethostat.taxonomies import load_taxonomy
from ethostat.taxonomy import FIVE_GOALS

Floats = NDArray[np.float64]
EIGHT = load_taxonomy("eight-goals")
OUTSIDE = EIGHT.keys[len(FIVE_GOALS.keys) :]
"""The goals that the five have no place of their own for."""
SAMPLES = {"smollm2": 6, "gemma3-270m": 2}
"""Responses a prompt of each model; a base model is shown the prompt as plain text."""
JUDGE, REPEATS = "smollm2", 3
DECODING = Decoding(max_tokens=40)
UNUSUAL = 0.05
_AT_ONCE = 4
_DATA = resources.files("ethostat") / "data" / "experiments"


@dataclass(frozen=True, slots=True)
class HandLabel:
    """What one rater said of a response: a goal of the eight. `key` tells its text."""

    model: str
    prompt: str
    index: int
    key: str
    goal: str

    @property
    def kind(self) -> str:
        """What the prompt invites."""
        return self.prompt.rpartition("-")[0]


def run(settings: Settings) -> Figures:
    """Sample the models that are installed, hold labels, score and judge against each other, and S against S.

    The labels are those of the repository. A label counts where its text came again; figures of labels alone rest on
    all of them.
    """
    work, labels = Work.of("taxonomy", settings), read_labels()
    prompts = _prompts(short=settings.short)
    asked = {model: _asked(model, prompts, settings, work) for model in SAMPLES if PACKAGED[model].is_installed}
    by_key = {label.key: label for label in labels}
    rows = [
        (response, verdict, by_key[key(response)])
        for each in asked.values() for response, verdict in each.judged if key(response) in by_key
    ]  # fmt: skip
    judged = _judge(_to_judge(rows, asked, short=settings.short), settings, work)
    return {
        "prompts": dict(Counter(prompt.category for prompt in prompts)),
        "models": {model: _measured(each) for model, each in asked.items()},
        "labels": _labels(labels, settings.seed),
        "again": len(rows),
        "score": _score(rows),
        "judge": _judge_figures(judged, by_key, settings.seed),
        "s": {part: _entropies(chosen, settings.seed) for part, chosen in _parts(labels).items()},
        "classifier": _said_of_outside(rows),
        "cpu_seconds": work.cpu_seconds,
    }


def read_labels() -> list[HandLabel]:
    """The labels by hand that come with the package."""
    lines = (_DATA / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return [HandLabel(**json.loads(line)) for line in lines]


def _prompts(*, short: bool) -> PromptSet:
    """The invitations; the short form takes the first of each kind."""
    with resources.as_file(_DATA / "invitations.jsonl") as path:
        found = load_prompts(path)
    chosen = tuple(prompt for prompt in found.prompts if not short or prompt.id.endswith("-01"))
    return PromptSet("invitations", chosen)


def _asked(model: str, prompts: PromptSet, settings: Settings, work: Work) -> Answers:
    samples = 1 if settings.short else SAMPLES[model]
    settings.progress(f"{model}: {samples} responses to each of {len(prompts)} prompts")
    return answers(
        model, prompts, samples=samples, decoding=DECODING, seed=settings.seed, classifier=load_builtin(), work=work
    )


def _measured(each: Answers) -> Figures:
    """S within prompts by the built-in classifier, and the share that it calls unusual beyond chance, by kind."""
    found = each.measurement
    return {
        "n": len(each.judged),
        "entropy": found.entropy.to_dict(),
        "profile": dict(zip(FIVE_GOALS.keys, found.profile.counts, strict=True)),
        "outside": None if found.outside is None else found.outside.share.to_dict(),
        "unusual": {
            kind: _share(
                [
                    (verdict.typicality is not None and verdict.typicality <= UNUSUAL, response.prompt.id)
                    for response, verdict in each.judged
                    if response.prompt.category == kind
                ]
            ).to_dict()
            for kind in dict.fromkeys(response.prompt.category for response, _ in each.judged)
        },
    }


def _share(hits: Sequence[tuple[bool, str]]) -> Estimate:
    """The share that holds, with Wilson's interval on the effective number of rows; rows of a prompt depend."""
    right: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for hit, group in hits:
        right[group] += hit
        sizes[group] += 1
    groups = sorted(sizes)
    return share_of([right[group] for group in groups], [sizes[group] for group in groups])


def _parts(labels: Sequence[HandLabel]) -> dict[str, list[HandLabel]]:
    """All labels, those of each model, and those of each kind of invitation."""
    parts = {"all": list(labels)}
    for label in labels:
        parts.setdefault(label.model, []).append(label)
    for label in labels:
        parts.setdefault(label.kind, []).append(label)
    return parts


def _labels(labels: Sequence[HandLabel], seed: int) -> Figures:
    """How many responses have each goal by hand, and the share outside the five, in each part."""
    del seed
    return {
        part: {
            "n": len(chosen),
            "prompts": len({label.prompt for label in chosen}),
            "goals": {goal: sum(label.goal == goal for label in chosen) for goal in EIGHT.keys},
            "outside": _share([(label.goal in OUTSIDE, label.prompt) for label in chosen]).to_dict(),
        }
        for part, chosen in _parts(labels).items()
    }


Row = tuple[Response, Verdict, HandLabel]


def _score(rows: Sequence[Row]) -> Figures | None:
    """How often the out-of-taxonomy score calls unusual what the rater put outside the five, and the rest."""
    if not rows:
        return None
    flagged = [(verdict.typicality is not None and verdict.typicality <= UNUSUAL, label) for _, verdict, label in rows]
    return {
        name: _share([(hit, label.prompt) for hit, label in flagged if (label.goal in OUTSIDE) is is_outside]).to_dict()
        for name, is_outside in (("outside", True), ("inside", False))
        if any((label.goal in OUTSIDE) is is_outside for _, label in flagged)
    }


def _said_of_outside(rows: Sequence[Row]) -> Figures:
    """The goal of the five that the built-in classifier gives to what the rater put outside them."""
    said = Counter((label.goal, verdict.goal) for _, verdict, label in rows if label.goal in OUTSIDE)
    return {goal: {five: said[goal, five] for five in FIVE_GOALS.keys} for goal in OUTSIDE}


def _to_judge(rows: Sequence[Row], asked: Mapping[str, Answers], *, short: bool) -> list[Response]:
    """The chat model's first labelled response to every second prompt; in the short form one: reading is dear."""
    if short:
        return [response for each in asked.values() for response, _ in each.judged][:1]
    first = [response for response, _, label in rows if label.index == 0 and label.model == JUDGE]
    return first[::2]


def _judge(responses: Sequence[Response], settings: Settings, work: Work) -> Figures:
    """A small chat model as judge over the eight goals, by the frequencies of its answers; kept by fours."""
    if not responses or not PACKAGED[JUDGE].is_installed:
        return {"model": None, "said": [], "asked": 0, "unread": 0}
    repeats = 1 if settings.short else REPEATS
    model = LocalModel(JUDGE, slots=repeats)
    judge = JudgeClassifier(model, taxonomy=EIGHT, evidence="repeats", repeats=repeats, retries=1)
    said: list[Figures] = []
    for start in range(0, len(responses), _AT_ONCE):
        settings.progress(f"{JUDGE} as judge: {start} of {len(responses)} responses")
        batch = responses[start : start + _AT_ONCE]
        said += work.step(f"judge-{start}", partial(_verdicts, judge, batch))["said"]
    judge.close()
    return {"model": JUDGE, "said": said, "asked": len(responses), "unread": len(responses) - len(said)}


def _verdicts(judge: JudgeClassifier, responses: Sequence[Response]) -> Figures:
    """What the judge said of those that it gave a readable answer about."""
    pairs = zip(responses, attempt(judge, responses), strict=True)
    return {"said": [{"key": key(one), "goal": each.goal} for one, each in pairs if isinstance(each, Verdict)]}


def _judge_figures(judged: Figures, labels: Mapping[str, HandLabel], seed: int) -> Figures:
    """The judge against the rater: agreement over eight goals, and what of the outside it finds."""
    pairs = [(labels[one["key"]], one["goal"]) for one in judged["said"] if one["key"] in labels]
    counts = {goal: sum(one["goal"] == goal for one in judged["said"]) for goal in EIGHT.keys}
    found = {key: judged[key] for key in ("model", "asked", "unread")} | {"goals": counts, "n": len(pairs)}
    if not pairs:
        return found
    truth, said = (
        [EIGHT.index(goal) for goal in each] for each in ([one.goal for one, _ in pairs], [g for _, g in pairs])
    )
    groups = [label.prompt for label, _ in pairs]
    tables = confusion_tables(truth, said, goals=len(EIGHT.goals), groups=np.unique(groups, return_inverse=True)[1])
    usual = Counter(label.goal for label, _ in pairs).most_common(1)[0]
    return found | {
        "accuracy": _share([(label.goal == goal, label.prompt) for label, goal in pairs]).to_dict(),
        "kappa": cohen_kappa(tables, rng=np.random.default_rng(seed)).to_dict(),
        "most_frequent": {"goal": usual[0], "share": usual[1] / len(pairs)},
        "outside_by_hand": _share([(label.goal in OUTSIDE, label.prompt) for label, _ in pairs]).to_dict(),
        "outside_by_judge": _share([(goal in OUTSIDE, label.prompt) for label, goal in pairs]).to_dict(),
        "found": _share(
            [(goal in OUTSIDE, lab.prompt) for lab, goal in pairs if lab.goal in OUTSIDE] or [(False, "")]
        ).to_dict(),
    }


def _entropies(labels: Sequence[HandLabel], seed: int) -> Figures:
    """Pooled S (plug-in, nats) of the labels: eight goals, the five with what is outside put to g2, the difference."""
    prompts = sorted({label.prompt for label in labels})
    eight = np.zeros((len(prompts), len(EIGHT.goals)))
    for label in labels:
        eight[prompts.index(label.prompt), EIGHT.index(label.goal)] += 1
    ways = {
        "eight": _s_of_eight,
        "five": _s_of_five,
        "without": _s_without,
        "hidden": lambda t: _s_of_eight(t) - _s_of_five(t),
    }
    rng = np.random.default_rng(seed)
    most = float(np.log(len(EIGHT.goals)))
    return {
        name: bca(eight, way, Named("S", len(labels), unit="nats", range=(-most, most)), rng=rng).to_dict()
        for name, way in ways.items()
    }


def _s_of_eight(totals: Floats) -> Floats:
    return np.asarray(entropy_of(totals / totals.sum(axis=-1, keepdims=True)))


def _s_of_five(totals: Floats) -> Floats:
    """With everything outside counted as g2, as the definition of g2 has it."""
    five = totals[..., : len(FIVE_GOALS.keys)].copy()
    five[..., FIVE_GOALS.index("g2")] += totals[..., len(FIVE_GOALS.keys) :].sum(axis=-1)
    return _s_of_eight(five)


def _s_without(totals: Floats) -> Floats:
    """With everything outside left out; nan where nothing is left."""
    five = totals[..., : len(FIVE_GOALS.keys)]
    with np.errstate(invalid="ignore"):
        return _s_of_eight(five)
