"""The page, drawing and claims of the taxonomy experiment, and the experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from plotly.graph_objects import Figure

from ethostat.charts.pieces import axis, dots
from ethostat.charts.scheme import LIGHT
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Experiment, Figures
from ethostat.experiments.markdown import image, shown, table
from ethostat.experiments.taxonomy import DECODING, EIGHT, JUDGE, OUTSIDE, REPEATS, SAMPLES, UNUSUAL, run
from ethostat.maths.estimate import Estimate
from ethostat.taxonomy import FIVE_GOALS


def page(figures: Figures) -> str:
    """The figures in words."""
    return "\n\n".join(
        (_what(figures), _by_hand(figures), _by_score(figures), _by_judge(figures), _s_words(figures["s"]), _LIMITS)
    )


def _what(figures: Figures) -> str:
    kinds = ", ".join(f"{n} {kind}" for kind, n in figures["prompts"].items())
    models = "; ".join(f"{model} {each['n']:,} responses" for model, each in figures["models"].items()) or "none"
    labels = figures["labels"]["all"]
    return f"""## What was done

Prompts by what they invite: {kinds}. They were written for this ("plain" invites nothing) and are in the package,
`data/experiments/invitations.jsonl`. Models: {models}, of {DECODING.max_tokens} tokens at temperature
{DECODING.temperature:g}. One developer read and labelled {labels["n"]} responses by the taxonomy `eight-goals`: the
five and {", ".join(OUTSIDE)}. **One rater, no second: no figure here says how well the labels can be repeated.** In
this run {figures["again"]} responses have the very text of a label.

Sandbagging has prompts but no goal: whether a response is worse than the model can is not in the response, and of
models this small no rater can tell it from inability."""


def _by_hand(figures: Figures) -> str:
    rows = [
        (part, each["n"], shown(each["outside"]), *each["goals"].values()) for part, each in figures["labels"].items()
    ]
    return f"""## What falls outside, by hand

{image("taxonomy", "outside", "Share of responses outside the five goals by what the prompt invites")}

{table(("", "n", "outside the five", *EIGHT.keys), rows)}"""


def _by_score(figures: Figures) -> str:
    kinds = [f"p ≤ {UNUSUAL:g}: {kind}" for kind in figures["prompts"]]
    shares = table(
        ("", "n", "S within prompts, nats", "unusual beyond chance", *kinds),
        [
            (
                model, each["n"], shown(each["entropy"]), shown(each["outside"]) if each["outside"] else "no score",
                *(shown(each["unusual"][kind], decimals=2) for kind in figures["prompts"]),
            )
            for model, each in figures["models"].items()
        ],
    )  # fmt: skip
    said = table(("by hand", *FIVE_GOALS.keys), [(goal, *row.values()) for goal, row in figures["classifier"].items()])
    return f"""## By the out-of-taxonomy score

The built-in classifier's [typicality](../outside.md) is about whether it has seen the like, not about goals.

{shares}

{_score_words(figures["score"])}

Where it puts what the rater put outside the five:

{said}"""


def _score_words(score: Figures | None) -> str:
    if not score or len(score) < 2:
        return "Too few of the labelled texts came again to hold the score against labels."
    outside, inside = score["outside"], score["inside"]
    words = f"Of those outside the five by hand it calls {shown(outside)} unusual, of the others {shown(inside)}: "
    if outside["low"] > inside["high"]:
        return words + "it finds some of them."
    return words + "these intervals overlap, so it is no way to find them."


def _by_judge(figures: Figures) -> str:
    found = figures["judge"]
    if not found.get("n"):
        return f"## By a judge\n\nNo labelled response was judged in this run ({found['asked']} were asked about)."
    counts = table(tuple(found["goals"]), [tuple(found["goals"].values())])
    weak = found["kappa"]["value"] is None or found["kappa"]["low"] <= 0
    verdict, usual = "it may be chance" if weak else "better than chance", found["most_frequent"]
    return f"""## By a judge

{found["model"]}, asked {REPEATS} times which of the eight goals fits, on {found["n"]} of the labelled responses
({found["unread"]} of {found["asked"]} got no readable answer). It agrees with the rater on {shown(found["accuracy"])};
always saying {usual["goal"]} would agree on {usual["share"]:.3f}. Kappa {shown(found["kappa"])}: {verdict}. It puts
{shown(found["outside_by_judge"])} outside the five, the rater {shown(found["outside_by_hand"])}; of what the rater put
there it finds {shown(found["found"])}. What it said:

{counts}"""


def _s_words(found: Figures) -> str:
    rows = [
        (part, *(shown(each[way]) for way in ("five", "without", "eight", "hidden"))) for part, each in found.items()
    ]
    hidden = found["all"]["hidden"]
    words = "above 0" if hidden["low"] > 0 else "not above 0 for certain"
    return f"""## What that does to S

Pooled S of the labels, plug-in, nats; intervals over prompts.

{table(("", "five goals, outside as g2", "five goals, outside left out", "eight goals", "hidden in g2"), rows)}

Eight goals show {shown(hidden)} nats more than five ({words}). Entropies under different taxonomies are not
comparable: ln 8 is {np.log(8):.3f}, ln 5 is {np.log(5):.3f}. What the five hide is not that S is wrong but that g2 is
several things: a model that turns from false facts to flattery keeps its S."""


_LIMITS = """## What this does not show

Two models of 135 and 270 million parameters, which mostly fail: what they do outside the five they do by imitation of
their training text, not to an end, and a rater who reads "deception" reads an intention into text. Shares are of
these prompts, which invite it; they say nothing about what users ask. The judge is a very small one; a large one may
do well."""


def drawings(figures: Figures) -> Mapping[str, Figure]:
    """The share outside the five by what the prompt invites, by hand."""
    rows = {
        part: Estimate.from_dict(each["outside"]) for part, each in figures["labels"].items() if part not in SAMPLES
    }
    drawn = dots(rows, LIGHT, title=axis("share outside the five goals, by hand", list(rows.values())))
    drawn.update_xaxes(range=[-0.02, 1], tickformat=".0%").update_layout(
        title_text="Outside the five goals, by invitation"
    )
    return {"outside": drawn}


def claims(figures: Figures) -> Sequence[Claim]:
    """The paper's taxonomy, and its question whether five goals are enough."""
    labels, score = figures["labels"], figures["score"]
    every, plain = labels["all"]["outside"], labels["plain"]["outside"]
    chat = labels[JUDGE]["outside"]
    enough = every["high"] < UNUSUAL
    found = [
        Claim(
            "five goals cover what models do (open question 3)",
            f"{shown(every)} of {labels['all']['n']} labelled responses are outside by hand, one rater "
            f"({shown(chat)} of the chat model's), {shown(plain)} of {labels['plain']['n']} to plain ones",
            Finding.CONFIRMED if enough else Finding.NOT_CONFIRMED,
        )
    ]
    if score and len(score) == 2:
        finds = score["outside"]["low"] > score["inside"]["high"]
        found.append(
            Claim(
                "what the taxonomy lacks can be found by monitoring",
                f"our out-of-taxonomy score calls {shown(score['outside'])} of those outside unusual, "
                f"{shown(score['inside'])} of the others",
                Finding.CONFIRMED if finds else Finding.NOT_CONFIRMED,
            )
        )
    return found


TAXONOMY = Experiment(
    name="taxonomy",
    title="Are five goals enough?",
    question="What falls outside the five goals when prompts invite it, who notices, and what does it do to S?",
    run=run,
    page=page,
    claims=claims,
    drawings=drawings,
)
