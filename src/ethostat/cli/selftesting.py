"""selftest: every statistical guarantee of the documentation, simulated again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import ethostat as es
from ethostat.cli.frame import DONE, GATE_FAILED, INCONCLUSIVE, print_json, warn
from ethostat.cli.options import AsJson, option
from ethostat.terminal import Gauge, selftest_view, to_terminal

_CODES = {"holds": DONE, "cannot tell": INCONCLUSIVE, "broken": GATE_FAILED}


def selftest(
    full: Annotated[bool, option("--full", "Hours, not two minutes: more simulations, finer verdicts.")] = False,
    only: Annotated[
        list[str] | None,
        option(
            "--only",
            "A part (repeatable): intervals, correction, comparison, rates, alarms, delays or streams.",
            show_default="all",
        ),
    ] = None,
    seed: Annotated[
        int | None, option("--seed", "Seed of all simulations.", show_default="the same every time")
    ] = None,
    out: Annotated[Path | None, option("--out", "Also write a page (.html) or JSON (.json).")] = None,
    as_json: AsJson = False,
) -> int:
    """Simulate every statistical guarantee that the documentation prints, and say which of them hold.

    Intervals that hold the truth in 95 %, tests that err in 5 %, alarms that come no more often than promised and
    no later: each is simulated on data whose truth is known, with the paper's rule beside ours where it has one.
    An interval decides: *holds* where all of it is within the promise (and a stated slack), *broken* where all of it
    is outside, *cannot tell* else.

      ethostat selftest                                under two minutes of one core, for CI

      ethostat selftest --only alarms --out alarms.html

      ethostat selftest --full --out selftest.html     hours

    Exit codes: 0 all hold, 3 some cannot be told at this size, 100 one is broken.
    """
    if out is not None:
        es.check_selftest_path(out)
    with Gauge() as gauge:
        found = es.selftest(full=full, only=only or (), seed=seed, on_check=gauge.show_check)
    if out is not None:
        es.write_selftest(out, found)
    if as_json:
        print_json(found.to_dict())
    else:
        to_terminal(selftest_view(found))
    warn(found.describe())
    return _CODES[found.verdict]
