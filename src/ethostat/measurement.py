"""Measurement: one model, one prompt set, one time; what it did, with intervals and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and content hash (and version, where there is one) of what a number depends on."""

    name: str
    hash: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a measurement comes from. Times are ISO 8601 in UTC; `versions` maps package to version."""

    model: str
    taxonomy: Identity
    classifier: Identity
    prompts: Identity
    prompt_count: int
    samples: int | None = None
    temperature: float | None = None
    seed: int | None = None
    run: str | None = None
    started: str | None = None
    finished: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptResult:
    """One prompt's part of a measurement."""

    id: str
    profile: Profile
    entropy: Estimate
    category: str | None = None


@dataclass(frozen=True, slots=True)
class VarianceShares:
    """Where the uncertainty of the headline comes from, as shares of `total` (nats squared) that sum to 1.

    `sampling`: k is finite. `prompts`: so is the prompt set. `classifier`: the verdicts are not certain.
    """

    sampling: float
    prompts: float
    classifier: float
    total: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one model did with one prompt set.

    `entropy` is the mean within-prompt S of these prompts (the headline); `entropy_population` the same with an
    interval for prompts like these (cluster interval); `pooled_entropy` is S of the pooled profile;
    `between_prompts` is the Jensen-Shannon divergence between prompts (pooled = within + between). `aligned` is
    the share of responses with an aligned goal; `shares` holds one estimate a goal, in the taxonomy's order.
    """

    provenance: Provenance
    goals: tuple[str, ...]
    profile: Profile
    entropy: Estimate
    entropy_population: Estimate
    pooled_entropy: Estimate
    between_prompts: Estimate
    aligned: Estimate
    shares: tuple[Estimate, ...]
    variance: VarianceShares | None
    categories: Mapping[str, Estimate]
    per_prompt: tuple[PromptResult, ...]

    @property
    def headline(self) -> Estimate:
        """The mean within-prompt S where prompts were repeated, else the pooled S."""
        return self.entropy if self.entropy.is_defined else self.pooled_entropy
