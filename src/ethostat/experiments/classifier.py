"""Classifier: the paper's recipe on 1,500 rows beside other ways of sorting, on sources that none of them has seen."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from ethostat.classifiers import load_builtin
from ethostat.experiments import rivals, small_t5
from ethostat.experiments.frame import Figures, Settings, Work
from ethostat.experiments.sources import Fold, Sourced, random_split, read_sources, sources_left_out
from ethostat.labelled import evaluate_rows
from ethostat.maths.agreement import share_of
from ethostat.maths.confusion import choose_rows, labels_wanted, post_stratified
from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.response import Response, Verdict
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

Floats = NDArray[np.float64]
PAPER = {"accuracy": 0.942, "macro_f1": 0.93, "kappa": 0.87, "rho": 0.91, "rows": 1500, "test": 150}
"""What the paper reports of its classifier."""
LEAST_FOR_S = 100
T5, MINILM, TFIDF = "T5", "MiniLM, frozen, linear head", "TF-IDF, linear head"
KEYWORD, TOLD = "refusal phrases", "refusal phrases, told the harm"
_SLUGS = {T5: "t5", MINILM: "minilm", TFIDF: "tf-idf", KEYWORD: "keyword", TOLD: "told"}
Way = Callable[[Fold], Figures]
"""What gives the probabilities of a fold's test rows, as `said`, after learning from its others."""


class Known:
    """A classifier that gives verdicts which were found before, by the row's id."""

    hash = "known"

    def __init__(self, name: str, said: Mapping[str, Sequence[float]]) -> None:
        self.name, self._said = name, said

    @property
    def taxonomy(self) -> Taxonomy:
        return FIVE_GOALS

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """What was found."""
        return [self._verdict(response) for response in responses]

    def _verdict(self, response: Response) -> Verdict:
        chances = tuple(map(float, self._said[response.id]))
        return Verdict(response.prompt.id, response.id, FIVE_GOALS.keys[int(np.argmax(chances))], chances)


def run(settings: Settings) -> Figures:
    """Each way of sorting on the random split and on every source left out. Raises as `read_sources` does."""
    rows = read_sources(settings.data, short=settings.short, seed=settings.seed)
    work = Work.of("classifier", settings)
    once, left = random_split(rows, seed=settings.seed), sources_left_out(rows, seed=settings.seed)
    steps = {name: _steps(name, way, [once, *left], work) for name, way in _ways(rows, settings, work).items()}
    said = {name: {fold: np.array(step["said"]) for fold, step in each.items()} for name, each in steps.items()}
    parts = {"random": [once], "left_out": left}

    def scores(name: str, part: str) -> Figures:
        found = partial(_scores, name, rows, parts[part], said[name], settings.seed)
        return work.step(f"scores-{_SLUGS[name]}-{part}", found)

    found = {
        "rows": _rows(rows, left), "test_rows": len(once.test), "t5": _t5(steps[T5]),
        "scores": {name: {part: scores(name, part) for part in parts} for name in said},
        "builtin": work.step("builtin", lambda: {"found": _builtin(rows, settings)})["found"],
        "unseen": _unseen(), "paper": _paper(), "s": _entropies(rows, left, said),
    }  # fmt: skip
    return {**found, "cpu_seconds": work.cpu_seconds}


def _ways(rows: Sequence[Sourced], settings: Settings, work: Work) -> dict[str, Way]:
    """The ways of sorting that can be had here; MiniLM where its weights are."""
    found = {
        name: _plain(way, rows)
        for name, way in ((KEYWORD, rivals.by_keyword), (TOLD, rivals.by_keyword_told_harm), (TFIDF, rivals.by_tf_idf))
    }
    if (folder := rivals.minilm_folder(settings.data)) is not None:
        found[MINILM] = _embedded(rows, folder, work.path / "minilm.npz")
    return {**found, T5: _trained(rows, settings, work)}


def _steps(name: str, way: Way, folds: Sequence[Fold], work: Work) -> dict[str, Figures]:
    """What a way of sorting says of the test rows of each fold, each kept once it is known."""
    return {fold.name: work.step(f"{_SLUGS[name]}-{at}", partial(way, fold)) for at, fold in enumerate(folds)}


def _plain(way: Callable[[Sequence[Sourced], Sequence[Sourced]], Floats], rows: Sequence[Sourced]) -> Way:
    def judge(fold: Fold) -> Figures:
        learned = [rows[at] for at in (*fold.training, *fold.validation)]
        return {"said": np.round(way(learned, [rows[at] for at in fold.test]), 4).tolist()}

    return judge


def _embedded(rows: Sequence[Sourced], folder: Path, kept: Path) -> Way:
    labels = [one.row.label for one in rows]

    def judge(fold: Fold) -> Figures:
        vectors = rivals.embeddings(rows, folder, kept)
        said = rivals.by_embedding(vectors, [*fold.training, *fold.validation], fold.test, labels)
        return {"said": np.round(said, 4).tolist()}

    return judge


def _trained(rows: Sequence[Sourced], settings: Settings, work: Work) -> Way:
    recipe = small_t5.recipe_for(settings.data, short=settings.short, seed=settings.seed)

    def judge(fold: Fold) -> Figures:
        said, size = small_t5.by_t5(
            rows, fold, data=settings.data, recipe=recipe, work=work.path / "t5", say=settings.progress
        )
        pretrained = small_t5.pretrained(settings.data) is not None
        return {"said": np.round(said, 4).tolist(), "pretrained": pretrained, "recipe": recipe.to_dict(), **size}

    return judge


def _t5(steps: Mapping[str, Figures]) -> Figures:
    """What T5 was: its size, its recipe, the best epoch of each fold, CPU seconds of all trainings."""
    first = next(iter(steps.values()))
    return {key: first[key] for key in ("parameters", "pretrained", "recipe")} | {
        "epochs": [step["best"] for step in steps.values()],
        "cpu_seconds": round(sum(step["step"]["cpu_seconds"] for step in steps.values())),
    }


def _scores(
    name: str, rows: Sequence[Sourced], folds: Sequence[Fold], said: Mapping[str, Floats], seed: int
) -> Figures:
    """Accuracy, macro-F1, kappa and rho over the test rows of all folds together, and accuracy by fold."""
    judged = [rows[at].row for fold in folds for at in fold.test]
    chances = np.vstack([said[fold.name] for fold in folds])
    by_id = {row.response.id: chance for row, chance in zip(judged, chances, strict=True)}
    found = evaluate_rows(Known(name, by_id), judged, name=name, seed=seed)
    return {
        "n": found.n, "groups": found.groups, "accuracy": found.scores.accuracy.to_dict(),
        "macro_f1": found.scores.macro_f1.to_dict(), "kappa": found.scores.kappa.to_dict(), "rho": found.rho.to_dict(),
        "calibration_error": found.calibration_error.to_dict(),
        "by_fold": {fold.name: _accuracy(rows, fold.test, said[fold.name]).to_dict() for fold in folds},
    }  # fmt: skip


def _accuracy(rows: Sequence[Sourced], places: Sequence[int], chances: Floats) -> Estimate:
    """With Wilson's interval on the effective number of rows, since rows of a prompt depend on each other."""
    right: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for at, chance in zip(places, chances, strict=True):
        sizes[rows[at].row.group] += 1
        right[rows[at].row.group] += FIVE_GOALS.keys[int(np.argmax(chance))] == rows[at].row.label
    groups = sorted(sizes)
    return share_of([right[group] for group in groups], [sizes[group] for group in groups])


def _rows(rows: Sequence[Sourced], folds: Sequence[Fold]) -> Figures:
    labels = Counter((one.source, one.row.label) for one in rows)
    return {
        "n": len(rows),
        "prompts": len({one.row.group for one in rows}),
        "harm_told": sum(one.harmful is not None for one in rows),
        "goals": {goal: sum(one.row.label == goal for one in rows) for goal in FIVE_GOALS.keys},
        "folds": {
            fold.name: {
                "sources": sorted({rows[at].source for at in fold.test}), "n": len(fold.test),
                "goals": {goal: sum(rows[at].row.label == goal for at in fold.test) for goal in FIVE_GOALS.keys},
            }
            for fold in folds
        },
        "sources": len({source for source, _ in labels}),
    }  # fmt: skip


def _builtin(rows: Sequence[Sourced], settings: Settings) -> Figures | None:
    """The built-in encoder on the fold that it did not learn from; None where rows name no fold."""
    unseen = [one for one in rows if one.fold == 0]
    if not unseen:
        return None
    settings.progress(f"the built-in encoder on {len(unseen)} rows that it did not learn from")
    judged = [one.row for one in unseen]
    found = evaluate_rows(load_builtin(), judged, name="fold 0", seed=settings.seed)
    return {
        "n": found.n, "accuracy": found.scores.accuracy.to_dict(), "macro_f1": found.scores.macro_f1.to_dict(),
        "kappa": found.scores.kappa.to_dict(), "rho": found.rho.to_dict(),
    }  # fmt: skip


def _unseen() -> Figures:
    """What the built-in's card says of a training that left whole sources out: accuracy of each of them."""
    card = json.loads((resources.files("ethostat") / "classifiers" / "builtin" / "card.json").read_text("utf-8"))
    [found] = card["unseen_sources"]
    return {source: {**found["figures"]["sources"][source], "method": "Wilson"} for source in found["without"]}


def _paper() -> Figures:
    """What the paper's figures imply: the interval of its accuracy, whole counts near it, chance behind its kappa."""
    n, accuracy, kappa = PAPER["test"], PAPER["accuracy"], PAPER["kappa"]
    near = [count for count in range(int(n) + 1) if abs(count / n - accuracy) < 1 / n]
    chance = (accuracy - kappa) / (1 - kappa)
    return {
        **PAPER,
        "interval": share_of(np.array([accuracy * n]), np.array([n])).to_dict(),
        "near": [{"right": count, "share": count / n} for count in near],
        "exact": any(round(count / n, 3) == accuracy for count in near),
        "chance": chance,
        "kappa_if_even": (accuracy - 1 / len(FIVE_GOALS.goals)) / (1 - 1 / len(FIVE_GOALS.goals)),
        "floors": [floor(1 - accuracy)],
    }


def floor(error: float) -> Figures:
    """S of verdicts where the truth has S = 0: all errors on one other goal, or spread over the other four."""
    one = float(entr(error) + entr(1 - error))
    return {"error": error, "one_goal": one, "four_goals": one + error * math.log(4)}


def _entropies(
    rows: Sequence[Sourced], folds: Sequence[Fold], said: Mapping[str, Mapping[str, Floats]]
) -> list[Figures]:
    """S of each left-out source of 100 rows or more: by people, by each classifier, and with its errors undone."""
    found = []
    for fold in folds:
        if len(fold.test) < LEAST_FOR_S:
            continue
        truth = np.array([FIVE_GOALS.index(rows[at].row.label) for at in fold.test])
        ways = {name: _corrected(truth, by_fold[fold.name].argmax(axis=1)) for name, by_fold in said.items()}
        people = abs(float(entropy_of(np.bincount(truth, minlength=len(FIVE_GOALS.goals)) / len(truth))))
        found.append({"source": fold.name, "n": len(truth), "people": people, "ways": ways})
    return found


def _corrected(truth: NDArray[np.int64], said: NDArray[np.int64]) -> Figures:
    goals = len(FIVE_GOALS.goals)
    rng = np.random.default_rng(0)
    counts = np.bincount(said, minlength=goals)
    labelled = choose_rows(said, np.minimum(labels_wanted(counts), counts), goals=goals, rng=rng)
    labels = np.zeros((goals, goals), dtype=np.int64)
    np.add.at(labels, (truth[labelled], said[labelled]), 1)
    corrected = post_stratified(counts, labels, rng=rng).entropy()
    return {
        "said": abs(float(entropy_of(counts / counts.sum()))), "corrected": corrected.to_dict(),
        "labels": len(labelled), "wrong": float((truth != said).mean()),
    }  # fmt: skip
