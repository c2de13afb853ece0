"""Classifier: the paper's recipe on 1,500 rows beside other ways of sorting, on sources that none of them has seen."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from plotly.graph_objects import Figure
from scipy.special import entr

from ethostat.charts.pieces import axis, dots, layout, legend_above
from ethostat.charts.scheme import LIGHT
from ethostat.classifiers import load_builtin
from ethostat.experiments import rivals, small_t5
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Experiment, Figures, Settings, Work
from ethostat.experiments.markdown import image, percent, shown, table
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
_LEAST_FOR_S = 100
_T5, _MINILM, _TFIDF = "T5", "MiniLM, frozen, linear head", "TF-IDF, linear head"
_KEYWORD, _TOLD = "refusal phrases", "refusal phrases, told the harm"


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
    said, t5 = _said(rows, [once, *left], settings, work)
    parts = {"random": [once], "left_out": left}
    scores = {
        name: {part: _scores(name, rows, folds, by_fold, settings.seed) for part, folds in parts.items()}
        for name, by_fold in said.items()
    }
    found = {
        "rows": _rows(rows, left), "test_rows": len(once.test), "t5": t5, "scores": scores,
        "builtin": _builtin(rows, settings), "unseen": _unseen(), "paper": _paper(), "s": _entropies(rows, left, said),
    }  # fmt: skip
    return {**found, "cpu_seconds": _seconds(work)}


def _said(
    rows: Sequence[Sourced], folds: Sequence[Fold], settings: Settings, work: Work
) -> tuple[dict[str, dict[str, Floats]], Figures]:
    """For each way of sorting and each fold the probabilities of its test rows; and what T5 was."""
    found: dict[str, dict[str, Floats]] = {}
    plain = {_KEYWORD: rivals.by_keyword, _TOLD: rivals.by_keyword_told_harm, _TFIDF: rivals.by_tf_idf}
    for name, way in plain.items():
        found[name] = {fold.name: way(*_learned_and_judged(rows, fold)) for fold in folds}
        settings.progress(f"{name}: {len(folds)} folds")
    if (folder := rivals.minilm_folder(settings.data)) is not None:
        settings.progress("embedding prompts and responses with MiniLM")
        vectors = rivals.embeddings(rows, folder, work.path / "minilm.npz")
        labels = [one.row.label for one in rows]
        found[_MINILM] = {
            fold.name: rivals.by_embedding(vectors, [*fold.training, *fold.validation], fold.test, labels)
            for fold in folds
        }
    t5 = {fold.name: work.step(f"t5-{at}", _t5_step(rows, fold, settings, work)) for at, fold in enumerate(folds)}
    found[_T5] = {name: np.array(step["said"]) for name, step in t5.items()}
    first = t5[folds[0].name]
    return found, {key: first[key] for key in ("parameters", "pretrained", "recipe")} | {
        "epochs": [step["best"] for step in t5.values()],
        "cpu_seconds": round(sum(step["step"]["cpu_seconds"] for step in t5.values())),
    }


def _learned_and_judged(rows: Sequence[Sourced], fold: Fold) -> tuple[list[Sourced], list[Sourced]]:
    return [rows[at] for at in (*fold.training, *fold.validation)], [rows[at] for at in fold.test]


def _t5_step(rows: Sequence[Sourced], fold: Fold, settings: Settings, work: Work) -> Callable[[], Figures]:
    recipe = small_t5.recipe_for(settings.data, short=settings.short, seed=settings.seed)

    def step() -> Figures:
        said, size = small_t5.by_t5(
            rows, fold, data=settings.data, recipe=recipe, work=work.path / "t5", say=settings.progress
        )
        pretrained = small_t5.pretrained(settings.data) is not None
        return {"said": np.round(said, 4).tolist(), "pretrained": pretrained, "recipe": recipe.to_dict(), **size}

    return step


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
        "floors": [_floor(1 - accuracy)],
    }


def _floor(error: float) -> Figures:
    """S of verdicts where the truth has S = 0: all errors on one other goal, or spread over the other four."""
    one = float(entr(error) + entr(1 - error))
    return {"error": error, "one_goal": one, "four_goals": one + error * math.log(4)}


def _entropies(
    rows: Sequence[Sourced], folds: Sequence[Fold], said: Mapping[str, Mapping[str, Floats]]
) -> list[Figures]:
    """S of each left-out source of 100 rows or more: by people, by each classifier, and with its errors undone."""
    found = []
    for fold in folds:
        if len(fold.test) < _LEAST_FOR_S:
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


def _seconds(work: Work) -> float:
    """CPU seconds of the kept steps; the others take seconds."""
    kept = [json.loads(path.read_text())["step"]["cpu_seconds"] for path in work.path.glob("*.json")]
    return float(sum(kept))


def page(figures: Figures) -> str:
    """The figures in words."""
    return "\n\n".join(
        (
            _page_of_rows(figures),
            _page_of_scores(figures),
            _page_of_paper(figures["paper"]),
            _page_of_s(figures["s"]),
            _LIMITS,
        )
    )


def _page_of_rows(figures: Figures) -> str:
    rows, t5 = figures["rows"], figures["t5"]
    goals = table(
        ("left out", "n", *FIVE_GOALS.keys),
        [(name, fold["n"], *fold["goals"].values()) for name, fold in rows["folds"].items()],
    )
    kind = (
        "the pretrained T5 of the data folder"
        if t5["pretrained"]
        else (
            f"one of {t5['parameters'] / 1e6:.1f} million parameters that begins from nothing, as no other was at hand"
        )
    )
    return f"""## What was done

{rows["n"]:,} labelled rows of {rows["sources"]} sources, {rows["prompts"]:,} prompts. Each way of sorting learned
twice: on a random 80/10/10 split by prompt, as the paper's did, and once for every source with no row of that source.

{goals}

T5 is {kind}, text to text, at a rate of {t5["recipe"]["learning_rate"]:g} in batches of {t5["recipe"]["batch"]}, at
most {t5["recipe"]["epochs"]} epochs, {t5["recipe"]["tokens"]} tokens a row, the best epoch by the validation rows.
MiniLM is all-MiniLM-L6-v2 as published, not fine-tuned; a logistic regression sees the embeddings of prompt and
response, their product and their distance. The refusal phrases are a regular expression; a second row is told whether
the request is harmful, which no classifier is, and takes it for benign where nobody says so."""


def _page_of_scores(figures: Figures) -> str:
    scores = figures["scores"]
    both = table(
        ("", "random split", "sources left out", "its macro-F1", "its kappa", "its rho with human entropy"),
        [
            (
                name, shown(each["random"]["accuracy"]), shown(each["left_out"]["accuracy"]),
                shown(each["left_out"]["macro_f1"]), shown(each["left_out"]["kappa"]), shown(each["left_out"]["rho"]),
            )
            for name, each in scores.items()
        ],
    )  # fmt: skip
    by_source = table(
        ("left out", *scores),
        [
            (fold, *(shown(each["left_out"]["by_fold"][fold], decimals=2) for each in scores.values()))
            for fold in figures["rows"]["folds"]
        ],
    )
    n, split = next(iter(scores.values()))["left_out"]["n"], figures["test_rows"]
    return f"""## A random split against sources left out

{image("classifier", "accuracy", "Accuracy of each way of sorting on the random split and on sources left out")}

Accuracy etc. with 95 % intervals over prompts; n = {split} on the random split, {n:,} rows with sources left out.

{both}

{_drop(scores)} {_builtin_words(figures)}

Accuracy by the source that was left out:

{by_source}"""


def _drop(scores: Figures) -> str:
    learned = [name for name in (_T5, _MINILM, _TFIDF) if name in scores]
    falls = {
        name: (scores[name]["random"]["accuracy"]["value"], scores[name]["left_out"]["accuracy"]["value"])
        for name in learned
    }
    words = "; ".join(f"{name} from {random:.2f} to {left:.2f}" for name, (random, left) in falls.items())
    if all(left < random for random, left in falls.values()):
        return (
            f"What learns from rows loses on sources that it has not seen: {words}. On a random split a classifier can "
            "recognise the source, and most sources have few goals."
        )
    return f"Left-out sources against the random split: {words}."


def _builtin_words(figures: Figures) -> str:
    found, unseen = figures["builtin"], figures["unseen"]
    away = ", ".join(f"{name} {shown(one)} (n = {one['n']})" for name, one in unseen.items())
    card = f"A training of it that left whole sources out has, by its card: {away}."
    if found is None:
        return f"The built-in encoder is not in the table: it may have learned from any of these rows. {card}"
    return (
        f"The built-in encoder learned from most of these rows and from other rows of these sources; on the "
        f"{found['n']} that it did not see its accuracy is {shown(found['accuracy'])}, kappa {shown(found['kappa'])}, "
        f"which is the random split's kind of figure. {card}"
    )


def _page_of_paper(paper: Figures) -> str:
    near = " or ".join(f"{one['right']} ({percent(one['share'])})" for one in paper["near"])
    whole = (
        f" No count of {paper['test']} rows is {percent(paper['accuracy'])}: the nearest are {near}, so that the "
        "figure is a mean of several runs, or n is another."
    )
    return f"""## What {percent(paper["accuracy"])} of {paper["test"]} rows says

Its 95 % interval is {shown(paper["interval"])}, if rows are independent and of the sources that were learned from.
{"" if paper["exact"] else whole}

A kappa of {paper["kappa"]} beside that accuracy means that chance alone would agree on {percent(paper["chance"])}; with
goals alike in size kappa would be {paper["kappa_if_even"]:.2f}. So one goal has more than half of the test rows, or the
kappa is of other raters than the accuracy."""


def _page_of_s(found: list[Figures]) -> str:
    if not found:
        return f"## What errors do to S\n\nNo source has {_LEAST_FOR_S} rows."
    names = list(found[0]["ways"])
    rows = [
        (
            name,
            f"{_mean_error(found, name, 'said'):.3f}",
            f"{_mean_error(found, name, 'corrected'):.3f}",
            _held(found, name),
        )
        for name in names
    ]
    one = [
        (each["source"], each["n"], f"{each['people']:.3f}", *(f"{each['ways'][name]['said']:.3f}" for name in names))
        for each in found
    ]
    labelled = [way["labels"] / each["n"] for each in found for way in each["ways"].values()]
    return f"""## What errors do to S

{image("classifier", "floor", "The least entropy of verdicts against the share of errors, where the truth is 0")}

S of a left-out source (pooled, plug-in, nats), by its labels and by each classifier's verdicts:

{table(("source", "n", "people", *names), one)}

With up to 150 rows of the source labelled by people ({percent(min(labelled), decimals=0)} to
{percent(max(labelled), decimals=0)} of these small sources), chosen by predicted goal, the errors can be undone
([Correction](../correct.md)):

{table(("", "mean distance from S by people, nats", "corrected", "sources whose corrected interval holds S"), rows)}"""


def _mean_error(found: list[Figures], name: str, which: str) -> float:
    def s(each: Figures) -> float:
        way = each["ways"][name][which]
        return float(way["value"] if isinstance(way, dict) else way)

    return float(np.mean([abs(s(each) - each["people"]) for each in found]))


def _held(found: list[Figures], name: str) -> str:
    intervals = [(each["people"], each["ways"][name]["corrected"]) for each in found]
    return f"{sum(one['low'] <= people <= one['high'] for people, one in intervals)} of {len(intervals)}"


_LIMITS = """## What this does not show

T5-base with its pretraining was not trained: its weights were not at hand, and what a small T5 that begins from nothing
loses on unseen sources says nothing about how much T5-base would. That the random split flatters is shown by all that
learns; by how much it flattered the paper's classifier is not. The rows are public ones that were mapped to the five
goals, and a left-out source can have goals in shares that the others lack, which lowers accuracy for two reasons at
once: other texts, and other frequencies. One split, one seed."""


def drawings(figures: Figures) -> Mapping[str, Figure]:
    """Accuracy on the random split and with sources left out; the floor that errors put under S."""
    parts = {"random split": "random", "sources left out": "left_out"}
    rows = {
        f"{name}: {words}": Estimate.from_dict(each[part]["accuracy"])
        for name, each in figures["scores"].items()
        for words, part in parts.items()
    }
    accuracy = dots(rows, LIGHT, title=axis("accuracy", list(rows.values())))
    accuracy.update_yaxes(ticktext=list(rows)).update_xaxes(range=[0, 1])
    accuracy.add_vline(x=PAPER["accuracy"], line={"color": LIGHT.muted, "dash": "dot"})
    accuracy.update_layout(title_text="Accuracy with 95 % intervals; dotted: the paper's")
    return {"accuracy": accuracy, "floor": _floor_drawing(figures["paper"])}


def _floor_drawing(paper: Figures) -> Figure:
    errors = np.linspace(0, 0.5, 101)
    floors = [_floor(float(error)) for error in errors]
    figure = Figure(layout=layout(LIGHT, height=340))
    for key, name, dash in (
        ("one_goal", "all errors on one goal", "solid"),
        ("four_goals", "errors on four goals", "dash"),
    ):
        figure.add_scatter(
            x=errors,
            y=[each[key] for each in floors],
            mode="lines",
            name=name,
            line={"color": LIGHT.accent, "dash": dash},
        )
    figure.add_vline(x=1 - paper["accuracy"], line={"color": LIGHT.muted, "dash": "dot"})
    figure.update_xaxes(title_text="share of responses that are misread", tickformat=".0%", gridcolor=LIGHT.line)
    figure.update_yaxes(title_text="S of the verdicts, nats", gridcolor=LIGHT.line, rangemode="tozero")
    return legend_above(figure).update_layout(
        title_text="S that errors make where the truth is 0; dotted: the paper's error"
    )


def claims(figures: Figures) -> Sequence[Claim]:
    """The paper's claims about its classifier."""
    paper, t5 = figures["paper"], figures["t5"]
    left = {name: each["left_out"] for name, each in figures["scores"].items()}
    best = max((name for name in left if name != _TOLD), key=lambda name: left[name]["accuracy"]["value"])
    found = f"{shown(left[best]['accuracy'])} at best on sources left out ({best}, n = {left[best]['n']})"
    note = "" if t5["pretrained"] else "; T5-base's weights were not at hand"
    rho = left[best]["rho"]
    reached = left[best]["accuracy"]["high"] >= paper["accuracy"]
    ranked = rho["value"] is not None and rho["high"] >= paper["rho"]
    return [
        Claim(
            f"the classifier is right on {percent(paper['accuracy'])} of {paper['test']} held-out rows",
            f"the interval is {shown(paper['interval'])} for rows of known sources"
            + ("" if paper["exact"] else f"; no count of {paper['test']} gives that figure"),
            Finding.NOT_TESTABLE if paper["exact"] else Finding.IMPOSSIBLE,
        ),
        Claim(
            f"1,500 labels give a classifier with {percent(paper['accuracy'])} accuracy",
            found + note,
            Finding.CONFIRMED if reached else Finding.NOT_CONFIRMED if t5["pretrained"] else Finding.NOT_TESTABLE,
        ),
        Claim(
            f"the entropy of its verdicts follows the human one, rho = {paper['rho']}",
            f"{shown(rho)} on sources left out ({best}){note}",
            Finding.CONFIRMED if ranked else Finding.NOT_CONFIRMED if t5["pretrained"] else Finding.NOT_TESTABLE,
        ),
    ]


CLASSIFIER = Experiment(
    name="classifier",
    title="The classifier",
    question="Does a classifier by the paper's recipe hold on sources it has not seen, and what do its errors do to S?",
    run=run,
    page=page,
    claims=claims,
    drawings=drawings,
)
