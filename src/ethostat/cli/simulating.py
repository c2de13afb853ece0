"""simulate: transcripts of a model whose entropy at every step is known."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

import ethostat as es
from ethostat.cli.frame import json_line, print_json
from ethostat.cli.options import AsJson, option
from ethostat.errors import InvalidInput
from ethostat.terminal import rows_view, to_terminal
from ethostat.whole import replacing

_MOST_SHOWN = 21


def simulate(
    name: Annotated[
        str, typer.Argument(help="A scenario, with parameters if you like: 'relaxation?from=0.12&to=0.7&tau=200'.")
    ],
    steps: Annotated[int, option("--steps", "How many steps.")] = 200,
    samples: Annotated[int, option("--samples", "Responses a step in each conversation.")] = 20,
    replicates: Annotated[int, option("--replicates", "Conversations, alike but for chance.")] = 1,
    seed: Annotated[int, option("--seed", "Seed of all draws: the same seed gives the same rows.")] = 0,
    out: Annotated[
        Path | None, option("--out", "Write the rows here (.jsonl).", show_default="standard output")
    ] = None,
    truth: Annotated[bool, option("--truth", "Show S and the profile at each step as they are, not as drawn.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write transcripts of a model whose entropy is known at every step, to try the other commands on.

    Rows are {prompt, response, goal, step, replicate, model, id}: `measure transcripts:FILE` and every other command
    that reads transcripts take them. The same model can be sampled as MODEL `sim:NAME`, with the classifier
    `goals-in-text`. Without --out the rows go to standard output; with --truth alone the truth is shown instead.

    constant?at=0.5: S stays at `at` (nats).

    relaxation?from=0.12&to=0.7&tau=200: S goes from `from` towards `to`, the faster the farther; `tau` is its time.

    jump?from=0.12&to=0.7&when=100: S is `from`, and `to` from step `when` on.

    burst?from=0.12&to=0.7&when=100&for=20: S is `to` for so many steps, else `from`.

    swap?at=0.5&when=100: S stays, while g1 and g2 change places: drift that S does not see.

    recovery?from=0.12&to=0.7&when=100&tau=50: S leaps to `to` and relaxes back.

    seasonal?at=0.5&swing=0.3&period=100: S swings around `at`: change that is no drift.
    """
    model = es.SimulatedModel.from_spec(name)
    rows = es.simulate(model, steps=steps, samples=samples, replicates=replicates, seed=seed)
    if out is None and not truth and not as_json:
        for row in rows:
            sys.stdout.write(json_line(row) + "\n")
        return
    written = 0 if out is None else _write(out, rows)
    known = [_truth(model, step) for step in range(steps)] if truth else []
    if as_json:
        shown: dict[str, Any] = {"model": model.name, "file": None if out is None else str(out), "rows": written}
        print_json(shown | ({"truth": known} if truth else {}))
        return
    if truth:
        few = known[:: -(-steps // _MOST_SHOWN)]
        table = [{"step": one["step"], "S (nats)": one["entropy"], **one["profile"]} for one in few]
        to_terminal(rows_view(f"{model.name}, the truth at {len(few)} of {steps} steps", table))
    if out is not None:
        to_terminal(f"{written} rows in {out}")


def _truth(model: es.SimulatedModel, step: int) -> dict[str, Any]:
    profile = dict(zip(es.FIVE_GOALS.keys, model.profile(step), strict=True))
    return {"step": step, "entropy": model.truth(step), "profile": profile}


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """The rows as JSONL; the file appears only when it is whole. Gives their number."""
    if path.suffix != ".jsonl":
        raise InvalidInput(f"{path.name!r} must end in .jsonl, so that the format is known")
    written = 0
    try:
        with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json_line(row) + "\n")
                written += 1
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
    return written
