"""The command line: each command parses, calls the library, prints.

frame.py        settings, JSON, errors, exit codes      options.py      options that commands share
measuring.py    measure, classify, report               listing.py      runs, models, prompts, schedules, taxonomy
evaluating.py   evaluate                                labelling.py    label, agreement
reviewing.py    review                                  training.py     train
simulating.py   simulate                                comparing.py    compare
following.py    trajectory                              monitoring.py   monitor
streams.py      streams of a monitor's state            watching.py     watch
selftesting.py  selftest                                calibrating.py  calibrate
serving.py      serve                                   access.py       keys, users, audit
notifying.py    notify                                  reproducing.py  reproduce, fisher
keeping.py      db                                      backfilling.py  backfill
scale.py        how work is spread
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from ethostat import __version__
from ethostat.cli.access import audit, keys_app, users_app
from ethostat.cli.backfilling import backfill
from ethostat.cli.calibrating import calibrate
from ethostat.cli.comparing import compare
from ethostat.cli.evaluating import evaluate
from ethostat.cli.following import trajectory
from ethostat.cli.frame import run
from ethostat.cli.keeping import db_app
from ethostat.cli.labelling import agreement, label
from ethostat.cli.listing import models, prompts_app, runs_app, schedules_app, taxonomy
from ethostat.cli.measuring import classify, measure, report
from ethostat.cli.monitoring import monitor
from ethostat.cli.notifying import notify_app
from ethostat.cli.reproducing import fisher, reproduce
from ethostat.cli.reviewing import review
from ethostat.cli.selftesting import selftest
from ethostat.cli.serving import serve
from ethostat.cli.simulating import simulate
from ethostat.cli.streams import streams_app
from ethostat.cli.training import train
from ethostat.cli.watching import watch

app = typer.Typer(
    name="ethostat",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings: flag, then environment (ETHOSTAT_...), then ethostat.toml, then the default shown.",
)
app.command()(measure)
app.command()(classify)
app.command()(report)
app.command()(trajectory)
app.command()(review)
app.command()(compare)
app.command()(monitor)
app.command()(backfill)
app.add_typer(streams_app, name="streams")
app.command()(calibrate)
app.command()(watch)
app.command()(serve)
app.add_typer(notify_app, name="notify")
app.add_typer(keys_app, name="keys")
app.add_typer(users_app, name="users")
app.command()(audit)
app.add_typer(db_app, name="db")
app.command()(evaluate)
app.command()(label)
app.command()(agreement)
app.command()(train)
app.command()(simulate)
app.command()(selftest)
app.command()(reproduce)
app.command()(fisher)
app.add_typer(runs_app, name="runs")
app.command()(models)
app.add_typer(prompts_app, name="prompts")
app.add_typer(schedules_app, name="schedules")
app.command()(taxonomy)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ethostat {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """What a language model does with what it is asked, and whether that is changing."""


def main() -> None:
    """The console script."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("stamina").setLevel(logging.ERROR)  # retries are part of the work
    logging.captureWarnings(capture=True)
    sys.exit(run(app, sys.argv[1:]))
