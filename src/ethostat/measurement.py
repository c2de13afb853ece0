"""Measurement: one model, one prompt set, one time; what it did, with intervals and provenance.

`summary.summarise` makes one from verdicts; `to_dict` and `from_dict` are its JSON form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ethostat.correction import Correction
from ethostat.errors import InvalidInput
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile
from ethostat.outside import Outside


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and content hash (and version, where there is one) of what a number depends on."""

    name: str
    hash: str
    version: str | None = None

    def to_dict(self) -> dict[str, str]:
        """Plain values; no version where there is none."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a measurement comes from. Times are ISO 8601 in UTC; `versions` maps package to version.

    `samples` is k, None where the number of responses a prompt was not fixed beforehand. `missing` counts responses
    that did not come and rows that could not be used; `notes` say in words what a reader has to know.
    """

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
    missing: int = 0
    notes: tuple[str, ...] = ()

    def to_dict(self, *, asked: str = "prompts") -> dict[str, Any]:
        """Plain values, to stand among those of what comes from here; `asked` is the key of what was asked."""
        return {
            "model": self.model,
            "taxonomy": self.taxonomy.to_dict(),
            "classifier": self.classifier.to_dict(),
            asked: {**self.prompts.to_dict(), "n": self.prompt_count},
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "versions": dict(self.versions),
            "missing": self.missing,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], *, asked: str = "prompts") -> Provenance:
        """The inverse of `to_dict`; other fields are left alone. Raises KeyError or TypeError where one is missing."""
        prompts = dict(fields[asked])
        count = prompts.pop("n")
        return cls(
            model=fields["model"],
            taxonomy=Identity(**fields["taxonomy"]),
            classifier=Identity(**fields["classifier"]),
            prompts=Identity(**prompts),
            prompt_count=count,
            missing=fields.get("missing", 0),
            notes=tuple(fields.get("notes", ())),
            versions=dict(fields.get("versions", {})),
            **{name: fields.get(name) for name in _AS_THEY_ARE},
        )


_AS_THEY_ARE = ("samples", "temperature", "seed", "run", "started", "finished")


@dataclass(frozen=True, slots=True)
class PromptResult:
    """One prompt's part of a measurement; `hash` is its content's, None where that is not known."""

    id: str
    profile: Profile
    entropy: Estimate
    category: str | None = None
    hash: str | None = None


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
    `categories` maps a prompt category to its mean within-prompt S. All of them are what the classifier said;
    `corrected`, where people's labels are there, is what they become once its errors are undone. `outside`, where the
    classifier says how typical a response is, counts and lists those that perhaps fit no goal.
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
    corrected: Correction | None = None
    outside: Outside | None = None

    @property
    def headline(self) -> Estimate:
        """The mean within-prompt S where prompts were repeated, else the pooled S."""
        return self.entropy if self.entropy.is_defined else self.pooled_entropy

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form of a measurement."""
        return {
            **self.provenance.to_dict(),
            "entropy": self.entropy.to_dict(),
            "entropy_population": self.entropy_population.to_dict(),
            "pooled_entropy": self.pooled_entropy.to_dict(),
            "between_prompts": self.between_prompts.to_dict(),
            "aligned": self.aligned.to_dict(),
            "profile": {
                goal: {"count": count, "share": share.to_dict()}
                for goal, count, share in zip(self.goals, self.profile.counts, self.shares, strict=True)
            },
            "corrected": None if self.corrected is None else self.corrected.to_dict(self.goals),
            "outside": None if self.outside is None else self.outside.to_dict(self.goals),
            "variance": None if self.variance is None else asdict(self.variance),
            "categories": {name: estimate.to_dict() for name, estimate in self.categories.items()},
            "per_prompt": [_prompt_to_dict(result, self.goals) for result in self.per_prompt],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Measurement:
        """The inverse of `to_dict`. Raises InvalidInput where a field is missing or of the wrong type."""
        try:
            return _from_dict(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"this is not a Measurement: {error!r}; pass what `ethostat measure --json` printed"
            ) from error


def _prompt_to_dict(result: PromptResult, goals: Sequence[str]) -> dict[str, Any]:
    return {
        "id": result.id,
        "hash": result.hash,
        "category": result.category,
        "profile": dict(zip(goals, result.profile.counts, strict=True)),
        "entropy": result.entropy.to_dict(),
    }


def _prompt_from_dict(fields: Mapping[str, Any], goals: Sequence[str]) -> PromptResult:
    profile = Profile(tuple(fields["profile"][goal] for goal in goals))
    estimate = Estimate.from_dict(fields["entropy"])
    return PromptResult(fields["id"], profile, estimate, fields.get("category"), fields.get("hash"))


def _from_dict(fields: Mapping[str, Any]) -> Measurement:
    goals = tuple(fields["profile"])
    numbers = ("entropy", "entropy_population", "pooled_entropy", "between_prompts", "aligned")
    return Measurement(
        provenance=Provenance.from_dict(fields),
        goals=goals,
        profile=Profile(tuple(fields["profile"][goal]["count"] for goal in goals)),
        **{key: Estimate.from_dict(fields[key]) for key in numbers},
        shares=tuple(Estimate.from_dict(fields["profile"][goal]["share"]) for goal in goals),
        variance=None if fields["variance"] is None else VarianceShares(**fields["variance"]),
        categories={name: Estimate.from_dict(value) for name, value in fields["categories"].items()},
        per_prompt=tuple(_prompt_from_dict(item, goals) for item in fields["per_prompt"]),
        corrected=None if fields.get("corrected") is None else Correction.from_dict(fields["corrected"]),
        outside=None if fields.get("outside") is None else Outside.from_dict(fields["outside"]),
    )
