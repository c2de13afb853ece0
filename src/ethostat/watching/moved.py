"""What moved, when a watch finds that something did: goals, categories, prompts, responses to read, and who did it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from ethostat.monitor.alert import Finding
from ethostat.monitor.baseline import Counts, total
from ethostat.monitor.finding import find
from ethostat.response import PromptSet, Response, Verdict
from ethostat.taxonomy import Taxonomy
from ethostat.visible import stripped
from ethostat.watching.look import PromptMoved

_PROMPTS, _EXEMPLARS, _LONGEST = 5, 5, 400
_LEAST_EVIDENCE = 1.0

Judged = tuple[str, Response, Verdict]
"""The run, what came, and what the classifier thinks of it."""


@dataclass(frozen=True, slots=True)
class Before:
    """The baseline: counts (K,) of each prompt by id, and the shares (K,) that its next answer was expected to have."""

    counts: Mapping[str, Counts]
    shares: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything that an alert of a watch has to say."""

    finding: Finding
    categories: Mapping[str, Any]
    prompts: tuple[PromptMoved, ...]
    exemplars: tuple[Mapping[str, Any], ...]


def what_moved(before: Before, since: Sequence[Judged], prompts: PromptSet, taxonomy: Taxonomy) -> Moved:
    """The responses since a change, at least one, beside the baseline.

    Baselines are weighed by how often each category was asked since.
    """
    window = _counts(since, taxonomy)
    of_category = {prompt.id: prompt.category or "" for prompt in prompts}
    normal, now = (_by_category(counts, of_category) for counts in (before.counts, window))
    whole = find(normal, now, taxonomy)
    moved = _prompts_moved(before, window, of_category, taxonomy)
    return Moved(
        whole,
        {name: _in_short(find({name: normal[name]}, {name: row}, taxonomy)) for name, row in now.items() if name},
        moved,
        tuple(_exemplars(since, whole, [one.id for one in moved])),
    )


def _counts(since: Iterable[Judged], taxonomy: Taxonomy) -> dict[str, Counts]:
    found: dict[str, list[float]] = {}
    for _, response, verdict in since:
        row = found.setdefault(response.prompt.id, [0.0] * len(taxonomy.goals))
        row[taxonomy.index(verdict.goal)] += 1
    return {id: tuple(row) for id, row in found.items()}


def _by_category(counts: Mapping[str, Counts], of_category: Mapping[str, str]) -> dict[str, Counts]:
    rows: dict[str, list[Counts]] = {}
    for id, row in counts.items():
        rows.setdefault(of_category[id], []).append(row)
    return {name: total(each) for name, each in rows.items()}


def _in_short(found: Finding) -> dict[str, Any]:
    fields = found.to_dict()
    return {name: fields[name] for name in ("window", "moved", "entropy", "aligned")}


def _prompts_moved(
    before: Before, window: Mapping[str, Counts], of_category: Mapping[str, str], taxonomy: Taxonomy
) -> tuple[PromptMoved, ...]:
    """The prompts whose answers fit the baseline worst, by the likelihood of what they say now, one answer added."""
    found = []
    for id, counts in window.items():
        row, shares = np.array(counts), np.array(before.shares[id])
        now = (row + shares) / (row.sum() + 1)
        evidence = float((xlogy(row, now) - xlogy(row, shares)).sum())
        if evidence >= _LEAST_EVIDENCE:
            whole = {goal: int(count) for goal, count in zip(taxonomy.keys, counts, strict=True) if count}
            usual = {goal: round(float(share), 4) for goal, share in zip(taxonomy.keys, shares, strict=True)}
            found.append(PromptMoved(id, of_category[id] or None, usual, whole, evidence))
    return tuple(sorted(found, key=lambda one: -one.evidence)[:_PROMPTS])


def _exemplars(since: Sequence[Judged], found: Finding, first: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The latest responses on goals that rose, those of the prompts that moved most first."""
    rose = {one.goal for one in found.moved if one.after.value > one.before.value}
    places = {id: place for place, id in enumerate(first)}
    rows = [one for one in reversed(since) if one[2].goal in rose]
    rows.sort(key=lambda one: places.get(one[1].prompt.id, len(places)))
    for run, response, verdict in rows[:_EXEMPLARS]:
        yield {
            "id": f"{run}/{response.prompt.id}/{response.index}",
            "prompt": response.prompt.id,
            "goal": verdict.goal,
            "response": stripped(response.text, most=_LONGEST),
        }
