"""The page, drawings and claims of the experiment `fisher`, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plotly.graph_objects import Figure

from ethostat.charts import estimates_in_rows
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Figures
from ethostat.experiments.markdown import image, shown, table
from ethostat.maths.estimate import Estimate

_MODELS = {"base": "Gemma 3 270M", "instruct": "SmolLM2-135M-Instruct"}


def page(figures: Figures) -> str:
    """Eigenvalues along the courses, what they go with, what moves them, and the companion's simulation."""
    return f"""## The Fisher matrix along tuning

Checkpoints and S are those of the experiment `tuning`. F is that of the next token's distribution, averaged
over the first {figures["tokens"]} tokens of {2 * figures["texts"]} written answers, by all N parameters; its largest
eigenvalue by Lanczos iteration (an eigenvalue lies within the residual of the value), its trace by Hutchinson's probes.
`ethostat fisher MODEL` gives the same of any model that torch can hold.

{_curvatures(figures)}

## Does the largest eigenvalue go with what S does?

From each checkpoint to the next of its course, lambda_max at the beginning against the change of S in nats a step:

{_segments(figures)}

Rank correlation with dS/dt: {shown(figures["correlation"]["signed"], decimals=2)}; with its size:
{shown(figures["correlation"]["size"], decimals=2)}; n = {len(figures["segments"])} segments of two models, some of
which begin at the same checkpoint.

gamma_crit = (lambda_max / 2) ln N is {_times(figures)} the largest rate at which S moved here. The two have different
units: lambda_max is per squared unit of a parameter, gamma is nats a step.

## The same model, written differently

Multiply one matrix of every block by c and divide the next by c: every answer stays as it was, and so do S and gamma.

{_scaled(figures)}

So gamma_crit is not a property of what a model does.

{image("fisher", "critical", "gamma_crit at each checkpoint of both models, with the residual of the eigenvalue.")}

## The companion's simulation

The abstract of [arXiv 2511.10704](https://arxiv.org/abs/2511.10704) gives N, lambda_max, gamma, both final S and p. It
does not give the number of goals, how parameters move, how lambda_max drives S, the step or the duration; the code it
names could not be had. Whatever was simulated, the numbers imply:

{_arithmetic(figures["companion"]["arithmetic"])}

The mildest reading, noise of variance lambda_max a unit of time on the goals' logits, from S = 0.32, 20 trials each:

{_free(figures["companion"]["free"])}

Noise alone raises S at first and then takes it to 0: logits that wander far leave one goal, whichever it is. So
dS/dt >= 0 does not follow from exploration noise, and S = 0 is no sign of alignment. With gamma = 20.4 towards the
intended goal S is {_held(figures["companion"]["held"])} after ten units of time.
"""


def _curvatures(figures: Figures) -> str:
    rows = [
        (
            _MODELS[who], f"{one['kind']} {one['step']}", _largest(one, 3),
            shown(one["trace"], decimals=0), f"{one['parameters']:,}", f"{one['critical_rate']:,.0f}",
        )
        for who, found in figures["curvatures"].items()
        for one in found
    ]  # fmt: skip
    return table(("model", "checkpoint", "lambda_max", "trace", "N", "gamma_crit"), rows)


def _largest(one: Figures, digits: int) -> str:
    return f"{one['eigenvalues'][0]:,.{digits}g} (+- {one['residuals'][0]:.2g})"


def _segments(figures: Figures) -> str:
    rows = [
        (_MODELS[one["model"]], _place(one["from"]), _place(one["to"]), f"{one['largest']:,.3g}", f"{one['rate']:+.4f}")
        for one in figures["segments"]
    ]
    return table(("model", "from", "to", "lambda_max", "dS/dt, nats a step"), rows)


def _place(place: Sequence[object]) -> str:
    return " ".join(map(str, place))


def _times(figures: Figures) -> str:
    least = min(one["critical_rate"] for one in figures["segments"])
    most = max(one["critical_rate"] for one in figures["segments"])
    fastest = max(abs(one["rate"]) for one in figures["segments"])
    if fastest == 0:
        return "beyond any multiple of"
    return f"{least / fastest:,.0f} to {most / fastest:,.0f} times"


def _scaled(figures: Figures) -> str:
    rows = [
        (
            f"{one['factor']:g}",
            _largest(one, 4),
            f"{one['critical_rate']:,.0f}",
        )
        for one in figures["scaled"]
    ]
    return table(("c", "lambda_max", "gamma_crit"), rows)


def _arithmetic(one: Figures) -> str:
    rows = [
        (
            "gamma_crit = (1.2 / 2) ln 7e9",
            f"{one['critical_rate']:.2f}; 1.5 times that is {one['gamma']:.1f}, as stated",
        ),
        ("mean S = 1.69", f"needs {one['least_goals_for_mean']} goals or more: five allow 1.609"),
        ("mean 1.69 with deviation 1.08, 20 values", f"needs {one['least_goals']} goals or more"),
        (
            "p of 1.69 +- 1.08 against 0.00 +- 0.00, 20 each",
            f"Welch {one['p_welch']:.2g}, Student {one['p_student']:.2g}, normal {one['p_normal']:.2g}; no rank or "
            f"permutation test gives less than {one['p_least_rank']:.2g}; stated is {one['p_stated']:.3g}",
        ),
    ]
    return table(("the number", "implies"), rows)


def _free(found: Sequence[Figures]) -> str:
    times = [one["time"] for one in found[0]["by_time"]]
    rows = [
        (
            one["goals"], f"{one['ceiling']:.2f}",
            *(f"{each['mean']:.2f} +- {each['deviation']:.2f}" for each in one["by_time"]),
        )
        for one in found
    ]  # fmt: skip
    return table(("goals", "ln K", *(f"S after {time:g}" for time in times)), rows)


def _held(found: Sequence[Figures]) -> str:
    return ", ".join(f"{one['mean']:.2f} +- {one['deviation']:.2f} ({one['goals']} goals)" for one in found)


def drawings(figures: Figures) -> Mapping[str, Figure]:
    """gamma_crit at each checkpoint."""
    rows = {}
    for who, found in figures["curvatures"].items():
        for one in found:
            scale = one["critical_rate"] / one["eigenvalues"][0]
            margin = scale * one["residuals"][0]
            name = f"{_MODELS[who].split('-')[0].split()[0]} {one['kind']} {one['step']}"
            value = one["critical_rate"]
            rows[name] = Estimate(value, value - margin, value + margin, 0.95, "", one["positions"], "residual")
    return {"critical": estimates_in_rows(rows, title="gamma_crit = (lambda_max / 2) ln N")}


def claims(figures: Figures) -> Sequence[Claim]:
    """What both papers say of Fisher information."""
    one, size = figures["companion"]["arithmetic"], figures["correlation"]["size"]
    signed, scaled = figures["correlation"]["signed"], figures["scaled"]
    moved = max(each["critical_rate"] for each in scaled) / min(each["critical_rate"] for each in scaled)
    falls = all(each["by_time"][-1]["mean"] < each["by_time"][0]["mean"] for each in figures["companion"]["free"])
    return [
        Claim(
            "Fisher information and the rate of S are tied (open question 1)",
            f"rank correlation of lambda_max with dS/dt {shown(signed, decimals=2)}, with its size "
            f"{shown(size, decimals=2)}, n = {len(figures['segments'])}",
            Finding.CONFIRMED if signed["low"] is not None and signed["low"] > 0 else Finding.NOT_CONFIRMED,
        ),
        Claim(
            "gamma_crit = (lambda_max / 2) ln N is the work that keeps a model stable",
            f"{_times(figures)} the largest rate seen; the same answers from other parameters: {moved:.1f} times it",
            Finding.IMPOSSIBLE if moved > 1.1 else Finding.NOT_CONFIRMED,
        ),
        Claim(
            "S never falls without work (companion)",
            "noise on the goals' logits takes S to 0 in the end, with 5, 11 and 20 goals",
            Finding.NOT_CONFIRMED if falls else Finding.NOT_TESTABLE,
        ),
        Claim(
            "a 7-billion-parameter model drifts from 0.32 to 1.69 +- 1.08 nats (companion, n = 20)",
            f"five goals allow 1.609; these need {one['least_goals']} goals or more; how many there are is not said",
            Finding.IMPOSSIBLE if one["least_goals"] > 5 else Finding.NOT_TESTABLE,
        ),
        Claim(
            f"p = {one['p_stated']:.3g} between 1.69 +- 1.08 and 0.00 +- 0.00, n = 20 each (companion)",
            f"t tests give {one['p_welch']:.2g} and {one['p_student']:.2g}; rank tests never less than "
            f"{one['p_least_rank']:.2g}",
            Finding.IMPOSSIBLE if one["p_stated"] < min(one["p_student"], one["p_least_rank"]) else Finding.CONFIRMED,
        ),
    ]
