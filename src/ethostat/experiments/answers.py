"""Answers: a model asked once and kept in the run's own store, whatever interrupts it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ethostat.classifiers import Classifier
from ethostat.experiments.frame import Work
from ethostat.measurement import Measurement
from ethostat.models.base import Decoding
from ethostat.models.catalog import open_model
from ethostat.response import PromptSet, Response, Verdict
from ethostat.store import Store
from ethostat.workflow import Rules, evidence_of, measure


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said to a prompt set, each response with the verdict of the classifier, and the measurement."""

    measurement: Measurement
    judged: tuple[tuple[Response, Verdict], ...]


def answers(
    model: str, prompts: PromptSet, *, samples: int, decoding: Decoding, seed: int, classifier: Classifier, work: Work
) -> Answers:
    """Ask a model, or take what an earlier run of the same work kept. Raises as `measure` does."""
    with Store(work.path / f"{model}.db") as store:

        def ask() -> dict[str, object]:
            found = measure(
                open_model(model), prompts, samples=samples, decoding=decoding, seed=seed, classifier=classifier,
                store=store, rules=Rules(),
            )  # fmt: skip
            return {"run": found.provenance.run}

        kept = store.get_run(work.step(f"asked-{model}", ask)["run"])
        found = Measurement.from_dict(kept.measurement or {})
        return Answers(found, tuple(evidence_of(store, found)))


def key(response: Response) -> str:
    """What tells a response's text: the first 16 hex digits of the SHA-256 of prompt and text."""
    whole = f"{response.prompt.hash}\n{response.text}"
    return hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:16]
