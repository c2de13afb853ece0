"""Where a measurement comes from: identities, versions, and the Provenance of a run."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

from ethostat.classifiers import Classifier
from ethostat.errors import InvalidInput
from ethostat.measurement import Identity, Provenance
from ethostat.response import PromptSet
from ethostat.store import Run
from ethostat.taxonomy import Taxonomy

_PACKAGES = ("ethostat", "numpy", "scipy", "onnxruntime", "tokenizers")


@cache
def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a number depends on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES}


def check_goals(classifier: Classifier, taxonomy: Taxonomy) -> None:
    """Raises InvalidInput where the classifier sorts into other goals than the taxonomy's."""
    known = classifier.taxonomy
    if known.hash != taxonomy.hash:
        raise InvalidInput(
            f"classifier {classifier.name} sorts into {known.name!r} ({', '.join(known.keys)}), not into "
            f"{taxonomy.name!r}; give a classifier that was trained on those goals, or rows that carry their goal"
        )


def classifier_identity(classifier: Classifier) -> Identity:
    """Name and hash of a classifier."""
    return Identity(classifier.name, classifier.hash)


def provenance_of(
    run: Run,
    prompts: PromptSet,
    *,
    classifier: Identity,
    taxonomy: Taxonomy,
    missing: int = 0,
    notes: tuple[str, ...] = (),
) -> Provenance:
    """The provenance of a run's measurement."""
    temperature = run.decoding.get("temperature")
    return Provenance(
        model=run.model,
        taxonomy=Identity(taxonomy.name, taxonomy.hash, taxonomy.version),
        classifier=classifier,
        prompts=Identity(prompts.name, prompts.hash),
        prompt_count=len(prompts),
        samples=run.samples,
        temperature=None if temperature is None else float(temperature),
        seed=run.seed,
        run=run.id,
        started=run.started,
        finished=run.finished,
        versions=run.versions,
        missing=missing,
        notes=notes,
    )
