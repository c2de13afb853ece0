"""The page, drawings and claims of the classifier experiment, and the experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from plotly.graph_objects import Figure

from ethostat.charts.pieces import axis, dots, layout, legend_above
from ethostat.charts.scheme import LIGHT
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.classifier import LEAST_FOR_S, MINILM, PAPER, T5, TFIDF, TOLD, floor, run
from ethostat.experiments.frame import Experiment, Figures
from ethostat.experiments.markdown import image, percent, shown, table
from ethostat.maths.estimate import Estimate
from ethostat.taxonomy import FIVE_GOALS


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
    learned = [name for name in (T5, MINILM, TFIDF) if name in scores]
    falls = {
        name: (scores[name]["random"]["accuracy"]["value"], scores[name]["left_out"]["accuracy"]["value"])
        for name in learned
    }
    words = "; ".join(f"{name} from {random:.2f} to {left:.2f}" for name, (random, left) in falls.items())
    told = scores[TOLD]["left_out"]["accuracy"]
    beaten = all(left < told["low"] for _, left in falls.values())
    more = "more than any" if beaten else "not more than all"
    rule = f"The rule that is told the harm has {shown(told)}, {more} of them."
    if all(left < random for random, left in falls.values()):
        return (
            f"What learns from rows loses on sources that it has not seen: {words}. On a random split a classifier can "
            f"recognise the source, and most sources have few goals. {rule}"
        )
    return f"Left-out sources against the random split: {words}. {rule}"


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
        return f"## What errors do to S\n\nNo source has {LEAST_FOR_S} rows."
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
([Correction](../correct.md)); an S of exactly 0 lies in no such interval:

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
    floors = [floor(float(error)) for error in errors]
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
    best = max((name for name in left if name != TOLD), key=lambda name: left[name]["accuracy"]["value"])
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
