"""The catalog: from what a user types as --classifier to a Classifier."""

from __future__ import annotations

from ethostat.classifiers import Classifier, load_builtin, open_encoder
from ethostat.classifiers.stated import StatedGoals
from ethostat.errors import InvalidInput
from ethostat.judges.asking import Evidence
from ethostat.judges.guards import GuardClassifier, LlamaGuard, WildGuard
from ethostat.judges.judge import JudgeClassifier
from ethostat.judges.served import SCHEME, ServedClassifier
from ethostat.models import open_model
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

_EVIDENCE: tuple[Evidence, ...] = ("logprobs", "repeats")
_GUARDS = ("wildguard", "llamaguard")


def open_classifier(spec: str, *, taxonomy: Taxonomy = FIVE_GOALS, threads: int | None = None) -> Classifier:
    """The classifier that `spec` names; `taxonomy` is what a judge sorts into, the others bring their own.

    `threads` is how many rows an encoder runs at a time, by default one a core, at most two.

        builtin                          the encoder that comes with the package
        DIRECTORY                        an encoder that training wrote
        judge:MODEL                      any model, prompted from the taxonomy
        guard:wildguard:base:URL#NAME    WildGuard; refusals and both harms from the guard
        guard:llamaguard:URL#NAME        Llama Guard; refusals and missed questions from the built-in encoder
        ray://HOST:PORT/NAME             a classifier that Ray Serve runs (`ethostat.scaling.deployment`)
        goals-in-text                    the goal that a simulated answer begins with

    MODEL is what `open_model` takes. `logprobs:` or `repeats:` before it says where probabilities come from
    (judge:repeats:https://host/v1#my-model). Raises InvalidInput, ClassifierError or ModelError where there is none.
    """
    if spec.startswith("judge:"):
        evidence, model = _evidence_of(spec.removeprefix("judge:"))
        return JudgeClassifier(open_model(model), taxonomy=taxonomy, evidence=evidence)
    if spec.startswith("guard:"):
        return _open_guard(spec.removeprefix("guard:"))
    if spec.startswith(SCHEME):
        return ServedClassifier(spec, taxonomy=taxonomy)
    if spec == StatedGoals.name:
        return StatedGoals(taxonomy)
    return open_encoder(spec, threads=threads)


def _open_guard(spec: str) -> GuardClassifier:
    name, _, rest = spec.partition(":")
    if name not in _GUARDS:
        raise InvalidInput(f"guard {name!r} must be one of {', '.join(_GUARDS)}: guard:wildguard:base:URL#NAME")
    evidence, model = _evidence_of(rest)
    guard = WildGuard() if name == "wildguard" else LlamaGuard(load_builtin())
    return GuardClassifier(open_model(model), guard, evidence=evidence)


def _evidence_of(spec: str) -> tuple[Evidence | None, str]:
    for evidence in _EVIDENCE:
        if spec.startswith(f"{evidence}:"):
            return evidence, spec.removeprefix(f"{evidence}:")
    return None, spec
