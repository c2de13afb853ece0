"""streams: what a monitor's state file holds, and what people say about its alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import print_json
from ethostat.cli.options import AsJson, option
from ethostat.terminal import rows_view, streams_view, to_terminal

streams_app = typer.Typer(
    help="Streams of a monitor's state file: list, acknowledge, snooze, expect, save.", no_args_is_help=True
)
State = Annotated[Path, typer.Argument(help="The file of `ethostat monitor --state`; the monitor may be running.")]
Stream = Annotated[
    str | None,
    typer.Argument(
        help="The stream, by its monitor's name as alerts give it; may be left out where there is one only."
    ),
]


@streams_app.command("list")
def list_streams(state: State, as_json: AsJson = False) -> None:
    """List the streams: their states, since when, how far the evidence is, what is normal."""
    rows = es.stream_rows(es.read_streams(state))
    print_json({"streams": rows}) if as_json else to_terminal(rows_view(f"Streams of {state}", streams_view(rows)))


@streams_app.command("acknowledge")
def acknowledge(state: State, stream: Stream = None, as_json: AsJson = False) -> None:
    """Say that somebody looks at the alert that stands, so that it is not repeated."""
    _order(state, es.Order("acknowledge", stream), as_json=as_json)


@streams_app.command("snooze")
def snooze(
    state: State,
    stream: Stream = None,
    responses: Annotated[int, option("--responses", "For so many responses of the stream.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Hold alerts about changes back for a while; what still stands then is said then."""
    _order(state, es.Order("snooze", stream, responses), as_json=as_json)


@streams_app.command("expect")
def expect(state: State, stream: Stream = None, as_json: AsJson = False) -> None:
    """Take what came since the change as normal from now on, because it was meant to change."""
    _order(state, es.Order("expect", stream), as_json=as_json)


@streams_app.command("save")
def save(
    state: State,
    out: Annotated[Path, option("--out", "Where to write it: .jsonl.")],
    as_json: AsJson = False,
) -> None:
    """Write what is normal for each stream by now; `monitor --baselines FILE` begins with it."""
    saved = es.write_baselines(out, es.read_streams(state))
    print_json({"file": str(out), "streams": saved}) if as_json else to_terminal(f"{saved} baselines in {out}")


def _order(state: Path, order: es.Order, *, as_json: bool) -> None:
    done = es.give_order(state, order)
    if as_json:
        print_json({"stream": order.stream, "order": order.verb, "done": done})
    else:
        to_terminal("done" if done else "handed to the process that holds the state; it follows within a second")
