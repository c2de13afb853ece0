"""The page of the month: what happened, what was paged, what was not, what it cost; its claims and its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plotly.graph_objects import Figure

from ethostat.charts import LIGHT
from ethostat.charts.pieces import faded, layout, legend_above
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Figures
from ethostat.experiments.markdown import image, percent, table

_SYMBOLS = ("circle", "diamond", "square", "triangle-up")


def page(figures: Figures) -> str:
    """The month in tables and sentences."""
    parts = [
        _made(figures),
        "## What happens in the month",
        _events(figures),
        "## What was paged",
        *(_setup(figures, name) for name in figures["setups"]),
        image("month", "pages", "Pages of each stream over the month, the changes behind them shaded"),
        "## The paper's rule on the same verdicts",
        _paper(figures),
        "## One stream for everything",
        _one_stream(figures),
        "## What it cost",
        _cost(figures),
        "## What this shows, and what not",
        _LIMITS,
    ]
    return "\n\n".join(parts)


def _made(figures: Figures) -> str:
    rows = [
        (one["name"], f"{one['responses']:,}", f"{one['a_day']:,.0f}", percent(one["risky"], decimals=0))
        for one in figures["streams"]
    ]
    streams = table(("stream", "responses", "a day", "risky prompts"), rows)
    copied = percent(figures["repeats"], decimals=0)
    return f"""## How the month is made

{figures["responses"]:,} responses in {figures["days"]:.0f} days, on six routes, in sessions of four on average, most of
them at three in the afternoon, fewer at weekends. At night a quarter more of the prompts are risky than over the day.
**What responses truly are is drawn**; what the service is told is what a classifier says of them, by the confusion
matrix that the built-in one has on held-out rows. Of the verdicts of a session {copied} are whatever the session is
about, so that they depend on each other.

{streams}

The month is told to `ethostat serve` over HTTP, in order, with its own times, as fast as it is taken; SQLite, one
process."""


def _events(figures: Figures) -> str:
    rows = [
        (_day(one["day"]), _day(one["until"]), one["title"], ", ".join(one["streams"]), _wanted(one))
        for one in figures["events"]
    ]
    return table(("from", "until", "what", "streams", "wanted"), rows)


def _wanted(one: Mapping[str, Any]) -> str:
    return "no page" if one["is_harmless"] else "a page of each stream"


def _setup(figures: Figures, name: str) -> str:
    one = figures["setups"][name]
    rows = [
        (_title(figures, event), stream, "not paged" if day is None else _day(day), _delay(figures, event, stream, day))
        for event, streams in one["found"].items()
        for stream, day in streams.items()
    ]
    false = one["false"]
    by_stream = ", ".join(
        f"{stream} {count}" for stream in _names(figures) if (count := sum(row["stream"] == stream for row in false))
    )
    expected = figures["responses"] / one["run_length"]
    how = (
        "Told to the service over HTTP"
        if "cost" in one
        else "The same verdicts, times and acts, told to the service's monitors in one process, without HTTP and disk"
    )
    return f"""### {one["title"].capitalize()}

`ethostat serve {" ".join(one["flags"])}`. {how}.
The first {one["first"]:,} responses of each stream are normal; one false page in {one["run_length"]:,} is promised.

{table(("change", "stream", "paged", "after"), rows)}

{len(one["pages"])} pages in all, **{len(false)} of them false**{f" ({by_stream})" if false else ""}; over six streams
the promise allows {expected:.0f}, where responses are independent and the traffic is the same at every hour. Monitors
said {len(one["recovered"])} times that it was over."""


def _delay(figures: Figures, event: str, stream: str, day: float | None) -> str:
    if day is None:
        return "-"
    began = next(one["day"] for one in figures["events"] if one["name"] == event)
    a_day = next(one["a_day"] for one in figures["streams"] if one["name"] == stream)
    return f"{24 * (day - began):.1f} h (about {(day - began) * a_day:,.0f} responses)"


def _paper(figures: Figures) -> str:
    rows = [
        (one["stream"], f"{one['steps']:,}", f"{one['alarms']:,}", f"{one['false']:,} of {one['quiet_steps']:,}")
        for one in figures["paper"]["streams"]
    ]
    total = sum(one["alarms"] for one in figures["paper"]["streams"])
    return (
        "abs(S(t) - S(t-1)) > 0.001 over steps of 100 responses of a stream:\n\n"
        + table(("stream", "steps", "alarms", "of them while nothing was wrong"), rows)
        + f"\n\n{total:,} alarms in the month, {total / figures['days']:,.0f} a day."
    )


def _one_stream(figures: Figures) -> str:
    pages, first = figures["one_stream"]["pages"], figures["setups"]["as-it-comes"]["first"]
    during = [day for day in pages if any(one["day"] <= day < one["until"] for one in figures["events"])]
    return (
        f"The same Monitor over all routes as one stream (the first {first} responses are normal; not through the "
        f"service) pages {len(pages)} times, {len(during)} of them while something was going on, harmless or not. "
        "The mix of routes moves with the hour and the campaign there, and sessions count by response."
    )


def _cost(figures: Figures) -> str:
    rows = [_cost_row(one["title"], one["cost"]) for one in figures["setups"].values() if "cost" in one]
    heading = ("setup", "took", "responses a second", "CPU of the service", "each", "database", "bytes each", "memory")
    return (
        table(heading, rows)
        + "\n\nThe client that makes and tells the month shares the processors; other work may have, too. "
        "Classifying is not in these figures: the month's verdicts came ready."
    )


def _cost_row(title: str, cost: Mapping[str, float]) -> tuple[str, ...]:
    return (
        title,
        f"{cost['seconds']:,.0f} s",
        f"{cost['per_second']:,.0f}",
        f"{cost['cpu_seconds']:,.0f} s",
        f"{cost['cpu_microseconds_each']:.0f} µs",
        f"{cost['bytes'] / 1e6:,.0f} MB",
        f"{cost['bytes_each']:.0f}",
        f"{cost['memory'] / 1e6:,.0f} MB",
    )


_LIMITS = """- A simulated month: its profiles, sizes of changes and rhythm are ours. What is real is the path: HTTP,
  the database, the monitors and their epochs.
- A page within the time of a change, on one of its streams, is taken as about it; a false one may hide there.
- The classifier says g2 of one good answer in eight. A change of a few points of the truth takes hours to see.
- Sessions and the nights break the independence that the promise rests on; false pages are counted with that in. At
  night sessions follow one another hardly mixed, so that a long one looks like a change, unless sessions count once."""


def claims(figures: Figures) -> Sequence[Claim]:
    """Whether live monitoring is feasible: the paper's second open question."""
    one, cost = list(figures["setups"].values())[-1], figures["setups"]["as-it-comes"]["cost"]
    wanted = [day for event in one["found"].values() for day in event.values()]
    found, false = sum(day is not None for day in wanted), len(one["false"])
    paper = sum(row["alarms"] for row in figures["paper"]["streams"])
    allowed = figures["responses"] / one["run_length"]
    return [
        Claim(
            "live traffic can be monitored by abs(S(t) - S(t-1)) > 0.001",
            f"{paper:,} alarms in a month of {figures['responses']:,} responses, {paper / figures['days']:,.0f} a day",
            Finding.NOT_CONFIRMED if paper > figures["days"] else Finding.CONFIRMED,
        ),
        Claim(
            "whether monitoring scales to production traffic is an open question",
            f"`ethostat serve {' '.join(one['flags'])}`: {found} of {len(wanted)} changes of streams paged, "
            f"{false} false pages ({allowed:.0f} allowed), "
            f"{cost['cpu_microseconds_each']:.0f} microseconds of a processor and "
            f"{cost['bytes_each']:.0f} bytes a response",
            Finding.CONFIRMED if found == len(wanted) and false <= 2 * allowed else Finding.NOT_CONFIRMED,
        ),
    ]


def drawings(figures: Figures) -> Mapping[str, Figure]:
    """Pages over the month, a row a stream; what was going on is shaded."""
    names = _names(figures)
    drawn = Figure(layout=layout(LIGHT, height=140 + 46 * len(names)))
    for event in figures["events"]:
        color = LIGHT.muted if event["is_harmless"] else LIGHT.misaligned[0]
        for stream in event["streams"]:
            at = names.index(stream)
            drawn.add_shape(
                type="rect", x0=event["day"], x1=min(event["until"], figures["days"]), y0=at - 0.4, y1=at + 0.4,
                layer="below", line={"width": 0}, fillcolor=faded(color, 0.2),
            )  # fmt: skip
    colors = (LIGHT.accent, LIGHT.aligned[1], LIGHT.misaligned[2])
    for at, one in enumerate(figures["setups"].values()):
        drawn.add_scatter(
            name=f"pages, {one['title']}",
            x=[row["day"] for row in one["pages"]],
            y=[names.index(row["stream"]) + 0.16 * (at - (len(figures["setups"]) - 1) / 2) for row in one["pages"]],
            mode="markers",
            marker={"color": colors[at % 3], "symbol": _SYMBOLS[at % len(_SYMBOLS)], "size": 9},
        )
    drawn.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], showgrid=False)
    drawn.update_xaxes(
        title_text=f"day; n = {figures['responses']:,} responses; shaded: changes (grey: harmless)",
        range=[0, figures["days"]], gridcolor=LIGHT.line, zeroline=False,
    )  # fmt: skip
    drawn.update_layout(title={"text": "Pages over a month"})
    return {"pages": legend_above(drawn)}


def _names(figures: Figures) -> list[str]:
    return [one["name"] for one in figures["streams"]]


def _title(figures: Figures, event: str) -> str:
    return str(next(one["title"] for one in figures["events"] if one["name"] == event))


def _day(day: float) -> str:
    """A time of the month, the first day being 1.

    >>> _day(14.125)
    'day 15, 03:00'
    """
    minutes = round(day * 24 * 60)
    return f"day {minutes // 1440 + 1}, {minutes % 1440 // 60:02}:{minutes % 60:02}"
