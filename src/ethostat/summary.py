"""summarise: from verdicts to a Measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import TooLittleEvidence
from ethostat.maths import panel
from ethostat.maths.conformal import Cells
from ethostat.maths.entropy import Estimator, entropy, nsb
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile
from ethostat.measurement import Measurement, PromptResult, Provenance, VarianceShares
from ethostat.outside import Outside, find_outside
from ethostat.response import Verdict
from ethostat.taxonomy import Taxonomy

Counts = NDArray[np.int64]


class Asked(Protocol):
    """What a measurement keeps of a prompt: a `Prompt`, or what is left of one where its text is not at hand."""

    @property
    def id(self) -> str: ...

    @property
    def hash(self) -> str: ...

    @property
    def category(self) -> str | None: ...


def summarise(
    verdicts: Iterable[Verdict],
    *,
    prompts: Iterable[Asked],
    taxonomy: Taxonomy,
    provenance: Provenance,
    estimator: Estimator | None = None,
    within: Estimate | None = None,
    cells: Cells | None = None,
    most_prompts: int | None = None,
    level: float = 0.95,
) -> Measurement:
    """The measurement that these verdicts make.

    Prompts without a verdict are left out of the numbers and stand in `per_prompt` with n = 0. `estimator`
    replaces the panel's own; `within` replaces the headline by an estimate that was made under another promise
    (a time-uniform interval). `cells` are what the classifier ranks typicality among, where it does (`cells_of`). The
    classifier's share of the variance comes from redrawing every label from its probabilities, with a fixed seed, so
    that equal verdicts give equal measurements. Raises TooLittleEvidence
    when there is no verdict at all.
    """
    prompts, verdicts = tuple(prompts), tuple(verdicts)
    if not verdicts:
        raise TooLittleEvidence("there is no classified response; check the failures of the run and try again")
    counts = count_goals(verdicts, prompts=prompts, taxonomy=taxonomy)
    return summarise_counts(
        counts,
        prompts=prompts,
        taxonomy=taxonomy,
        provenance=provenance,
        estimator=estimator,
        within=within,
        variance=_variance(counts, verdicts, prompts),
        outside=find_outside(verdicts, prompts=prompts, goals=taxonomy.keys, cells=cells, level=level),
        most_prompts=most_prompts,
        level=level,
    )


def summarise_counts(
    counts: Counts,
    *,
    prompts: Sequence[Asked],
    taxonomy: Taxonomy,
    provenance: Provenance,
    estimator: Estimator | None = None,
    within: Estimate | None = None,
    variance: VarianceShares | None = None,
    outside: Outside | None = None,
    most_prompts: int | None = None,
    level: float = 0.95,
) -> Measurement:
    """The measurement that counts (prompts, goals) make, which add up over parts of the responses.

    What needs the verdicts themselves is given, or left out. Of more than `most_prompts` prompts none is listed.
    Raises TooLittleEvidence where all counts are 0.
    """
    if not counts.sum():
        raise TooLittleEvidence("there is no classified response; check the failures of the run and try again")
    profile = Profile.from_array(counts.sum(axis=0))
    listed = most_prompts is None or len(prompts) <= most_prompts
    return Measurement(
        provenance=provenance,
        goals=taxonomy.keys,
        profile=profile,
        entropy=within or panel.within_entropy(counts, level=level, estimator=estimator),
        entropy_population=panel.within_entropy_population(counts, level=level, estimator=estimator),
        pooled_entropy=panel.pooled_entropy(counts, level=level),
        between_prompts=panel.between_prompts(counts, level=level, estimator=estimator),
        aligned=panel.aligned_share(counts, taxonomy.aligned, level=level),
        shares=tuple(panel.goal_shares(counts, level=level)),
        variance=variance,
        categories=_by_category(counts, prompts, estimator=estimator, level=level),
        per_prompt=_per_prompt(counts, prompts, estimator=estimator or nsb, level=level) if listed else (),
        outside=outside,
    )


def count_goals(verdicts: Iterable[Verdict], *, prompts: Sequence[Asked], taxonomy: Taxonomy) -> Counts:
    """How many responses to each prompt fell on each goal, shape (prompts, goals)."""
    row = {prompt.id: place for place, prompt in enumerate(prompts)}
    column = {key: place for place, key in enumerate(taxonomy.keys)}
    counts = np.zeros((len(row), len(column)), dtype=np.int64)
    for verdict in verdicts:
        counts[row[verdict.prompt_id], column[verdict.goal]] += 1
    return counts


def _variance(counts: Counts, verdicts: Sequence[Verdict], prompts: Sequence[Asked]) -> VarianceShares | None:
    """None where fewer than two prompts have two responses: then S_j or its spread over prompts is unknown."""
    if (counts.sum(axis=1) > 1).sum() < 2:
        return None
    row = {prompt.id: place for place, prompt in enumerate(prompts)}
    places = np.array([row[verdict.prompt_id] for verdict in verdicts])
    probabilities = np.array([verdict.probabilities for verdict in verdicts])
    parts = panel.variance_shares(counts, places, probabilities, rng=np.random.default_rng(0))
    return VarianceShares(parts.sampling, parts.prompts, parts.classifier, parts.total)


def _by_category(
    counts: Counts, prompts: Sequence[Asked], *, estimator: Estimator | None, level: float
) -> dict[str, Estimate]:
    names = [prompt.category for prompt in prompts]
    found = dict.fromkeys(name for name in names if name is not None)
    return {
        name: panel.within_entropy(
            counts[[place for place, other in enumerate(names) if other == name]], level=level, estimator=estimator
        )
        for name in found
    }


def _per_prompt(
    counts: Counts, prompts: Sequence[Asked], *, estimator: Estimator, level: float
) -> tuple[PromptResult, ...]:
    return tuple(
        PromptResult(
            prompt.id,
            Profile.from_array(row),
            entropy(row, estimator=estimator, level=level),
            prompt.category,
            prompt.hash,
        )
        for prompt, row in zip(prompts, counts, strict=True)
    )
