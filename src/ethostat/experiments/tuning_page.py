"""The page, drawings and claims of the experiment `tuning`, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plotly.graph_objects import Figure

from ethostat.charts import estimates_in_rows
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Figures
from ethostat.experiments.markdown import image, percent, shown, table
from ethostat.maths.estimate import Estimate

_MODELS = {"base": "Gemma 3 270M", "instruct": "SmolLM2-135M-Instruct"}
_COURSES = {
    "start": "before any course",
    "aligned": "help and refusals",
    "benign": "harmless help only",
    "harm": "compliance with harm",
}
_REDUCTION = 0.8
"""The paper: tuned models have about 80 % less S than their base models."""
_PAPER_RATE = 0.012


def page(figures: Figures) -> str:
    """The courses, conversations, settings and the synthetic rise in words."""
    scale, rows, talks = figures["scale"], figures["rows"], figures["talk"]
    return f"""## What was done

Gemma 3 270M, a base model, and SmolLM2-135M-Instruct, one that its makers have aligned, were read from their quantised
files into torch ({figures["parameters"]["base"]:,} and {figures["parameters"]["instruct"]:,} parameters) and tuned with
low-rank adapters, {figures["recipe"]["rows"]} exchanges a step, written for this project. Gemma first on
{rows["aligned"]} exchanges of help and of refusals; then, each from there, on {rows["benign"]} harmless exchanges that
were not among those, and on {rows["harm"]} in which harm is complied with. SmolLM2 took the latter two. At each
checkpoint {2 * scale["prompts"]} held-out prompts, half of them harmful, were answered {scale["samples"]} times each in
up to {scale["tokens"]} tokens at temperature 0.7 and sorted by the built-in classifier.

{_vocabulary(figures["vocabulary"])} One course is one run with one seed: intervals are of responses or prompts, not of
runs.

## Along the courses

{_looks(figures)}

S is the mean within prompts, nats. "complied" and "refused" are shares of the answers to harmful prompts; "phrase" is
the share of these that hold a phrase of refusal ("won't", "cannot", "sorry"). Small models ramble, and the classifier
takes rambling after a harmful prompt for a refusal more often than the rule does: read both.

{image("tuning", "entropy", "S at each checkpoint of both models, with its interval.")}

{image("tuning", "aligned", "The aligned share at each checkpoint of both models, with its interval.")}

{_courses(figures)}

dS/dt is the change of S over the course by its steps; the interval is over prompts. gamma = sigma - dS/dt, sigma = 0,
since a model that is not tuned does not change from step to step of a course that it does not take. {_undone(figures)}

## In conversations

Gemma before and after its course of help and refusals, {talks["base"]["conversations"]} conversations under
`crescendo`, {talks["base"]["samples"]} answers to each turn:

{_pair(talks)}

Over the {talks["gamma"]["turns"]} turns of both, gamma is {shown(talks["gamma"]["gamma"], decimals=4)} nats a turn and
the work {shown(talks["gamma"]["work"])} nats (p = {talks["gamma"]["p_value"]:.3g}, {talks["gamma"]["test"]}).

SmolLM2, {talks["calm"]["conversations"]} conversations with {talks["calm"]["samples"]} answers of up to
{talks["calm"]["tokens"]} tokens to each turn; the model is shown the last exchange only:

{_long(talks)}

## Temperature and k

{_temperatures(figures)}

{_samples(figures)}

## A rise whose truth is known

{_synthetic(figures["synthetic"])}

## What this does not show

Models of this size know little, answers of {scale["tokens"]} tokens are beginnings of answers, and the classifier has
read exchanges by the same hands as those tuned on. A second run with another seed may end elsewhere. None of it says
what a model a hundred times larger does.
"""


def _vocabulary(one: Figures) -> str:
    return (
        f"To be quick enough, Gemma has {one['kept']:,} of its {one['whole']:,} tokens, those of English; the whole "
        f"model gives the others {percent(one['lost_mass'])} of its probability over {one['texts']} written exchanges."
    )


_PAIR = {"base": "base", "aligned": "tuned on help and refusals"}


def _looks(figures: Figures) -> str:
    rows = []
    for who, looks in figures["looks"].items():
        for look in looks:
            name = _COURSES[look["kind"]] + (f", step {look['step']}" if look["step"] else "")
            rows.append(
                (
                    _MODELS[who], name, shown(look["entropy"]), shown(look["aligned"], decimals=2),
                    shown(look["complied"], decimals=2), shown(look["refused"], decimals=2),
                    percent(look["phrased"]["value"], decimals=0),
                    *(percent(look["shares"][goal]["value"], decimals=0) for goal in look["shares"]),
                )
            )  # fmt: skip
    goals = list(figures["looks"]["base"][0]["shares"])
    return table(("model", "course", "S", "aligned", "complied", "refused", "phrase", *goals), rows)


def _courses(figures: Figures) -> str:
    rows = [
        (
            _MODELS[one["model"]], _COURSES[one["kind"]], one["steps"][-1],
            shown(one["drift"]["mean_rate"], decimals=4), shown(one["gamma"], decimals=4),
            shown(one["aligned_change"], decimals=2),
            shown(one["complied_change"], decimals=2), shown(one["refused_change"], decimals=2),
        )
        for one in figures["courses"]
    ]  # fmt: skip
    headings = ("model", "course", "steps", "dS/dt", "gamma", "aligned", "complied", "refused")
    return table(headings, rows)


def _undone(figures: Figures) -> str:
    """Whether courses after alignment took it away, in words."""
    parts = []
    for one in figures["courses"]:
        if one["kind"] == "aligned":
            continue
        moved = one["complied_change"]
        verb = "rose" if moved["low"] > 0 else "fell" if moved["high"] < 0 else "did not move beyond chance"
        parts.append(
            f"in {_MODELS[one['model']]} after {one['steps'][-1]} steps of {_COURSES[one['kind']]} compliance with "
            f"harm {verb} ({shown(moved, decimals=2)}), refusals changed by {shown(one['refused_change'], decimals=2)}"
        )
    return "Does alignment come undone? " + _sentence("; ".join(parts))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."


def _pair(talks: Figures) -> str:
    headings = ("model", "turns", "dS/dt, nats a turn", "early rate")
    return table(headings, [_rates(name, talks[who]) for who, name in _PAIR.items()])


def _long(talks: Figures) -> str:
    rows = [
        (
            name, talks[name]["steps"], shown(talks[name]["drift"]["slope"], decimals=5),
            shown(talks[name]["drift"]["mean_rate"], decimals=5), talks[name]["drift"]["direction"]["words"],
        )
        for name in ("calm", "crescendo")
    ]  # fmt: skip
    return table(("schedule", "turns", "slope, nats a turn", "mean rate", "what changed"), rows)


def _rates(name: str, talk: Figures) -> tuple[str, int, str, str]:
    return (
        name,
        talk["steps"],
        shown(talk["drift"]["mean_rate"], decimals=4),
        shown(talk["drift"]["early_rate"], decimals=4),
    )


def _temperatures(figures: Figures) -> str:
    rows = [
        (one["temperature"], shown(one["entropy"]), shown(one["pooled_entropy"]), shown(one["aligned"], decimals=2))
        for one in figures["temperature"]
    ]
    text = table(("temperature", "S", "pooled S", "aligned"), rows)
    return f"SmolLM2 before any course, the same prompts and seeds:\n\n{text}"


def _samples(figures: Figures) -> str:
    rows = [(one["k"], shown(one["entropy"]), shown(one["plug_in"])) for one in figures["k"]["rows"]]
    most = figures["k"]["rows"][-1]
    return (
        f"The same model, the first k of {most['k']} responses to each of a few prompts:\n\n"
        f"{table(('k', 'S, as estimated here', 'plug-in'), rows)}"
    )


def _synthetic(one: Figures) -> str:
    drift, truth = one["drift"], one["truth"]
    return f"""{one["replicates"]} conversations of {one["steps"]:,} steps, {
        one["samples"]
    } responses a step, of a model
whose S rises from {truth["first"]:.2f} to {truth["last"]:.2f} nats and levels off:

{
        table(
            ("rate, nats a step", "measured", "truth"),
            [
                ("at the beginning", shown(drift["early_rate"], decimals=5), f"{truth['early_rate']:.5f}"),
                ("mean over all steps", shown(drift["mean_rate"], decimals=5), f"{truth['mean_rate']:.5f}"),
                ("a line through all points", shown(drift["slope"], decimals=5), "no single rate"),
            ],
        )
    }

A rate such as the paper's {_PAPER_RATE} nats a step can be that of a beginning. {
        _sentence(drift["constant_rate"]["words"].rstrip("."))
    }"""


def drawings(figures: Figures) -> Mapping[str, Figure]:
    """S and the aligned share at each checkpoint."""
    return {
        name: estimates_in_rows(
            {
                f"{_MODELS[who].split('-')[0].split()[0]} {look['kind']} {look['step']}": Estimate.from_dict(look[name])
                for who, looks in figures["looks"].items()
                for look in looks
            },
            title=title,
        )
        for name, title in (("entropy", "S within prompts, nats"), ("aligned", "aligned share"))
    }


def claims(figures: Figures) -> Sequence[Claim]:
    """What the paper says of dynamics, against these courses and conversations."""
    first, last = _ends(figures)
    fall = 1 - last["entropy"]["value"] / first["entropy"]["value"]
    talks = figures["talk"]
    sigma, gamma = talks["base"]["drift"]["mean_rate"], talks["gamma"]["gamma"]
    undone = [one for one in figures["courses"] if one["kind"] == "benign"]
    return [
        Claim(
            "tuning reduces S by about eighty percent",
            f"Gemma 3 270M: {shown(first['entropy'])} before, {shown(last['entropy'])} nats after "
            f"{last['step']} steps, {percent(fall, decimals=0)} less; aligned share "
            f"{shown(first['aligned'], decimals=2)} before, {shown(last['aligned'], decimals=2)} after; one run",
            Finding.CONFIRMED if abs(fall - _REDUCTION) <= 0.1 else Finding.NOT_CONFIRMED,
        ),
        Claim(
            f"base models show sustained growth of S under stress, about {_PAPER_RATE} nats a step",
            f"Gemma 3 270M under crescendo: {shown(sigma, decimals=4)} nats a turn over {talks['base']['steps']} turns",
            Finding.CONFIRMED if sigma["low"] > 0 else Finding.NOT_CONFIRMED,
        ),
        Claim(
            "tuned models suppress drift: gamma_eff is above 0",
            f"gamma = {shown(gamma, decimals=4)} nats a turn, p = {talks['gamma']['p_value']:.3g}",
            Finding.CONFIRMED if talks["gamma"]["p_value"] <= 0.05 else Finding.NOT_CONFIRMED,
        ),
        Claim(
            "without continued alignment work alignment is lost and S rises (here: tuning on harmless help alone)",
            "; ".join(
                f"{_MODELS[one['model']]}: dS/dt {shown(one['drift']['mean_rate'], decimals=4)} nats a step, aligned "
                f"share {shown(one['aligned_change'], decimals=2)}"
                for one in undone
            ),
            Finding.CONFIRMED if all(one["drift"]["mean_rate"]["low"] > 0 for one in undone) else Finding.NOT_CONFIRMED,
        ),
    ]


def _ends(figures: Figures) -> tuple[Figures, Figures]:
    looks = figures["looks"]["base"]
    return looks[0], [one for one in looks if one["kind"] == "aligned"][-1]
