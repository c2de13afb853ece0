"""watch: the same prompts now and then, held against what the model did with them before."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import (
    DONE,
    GATE_FAILED,
    INCONCLUSIVE,
    json_line,
    opened_classifier,
    opened_store,
    print_json,
    warn,
)
from ethostat.cli.measuring import known_price
from ethostat.cli.options import (
    ASKING,
    KEEPING,
    PROMISED,
    ClassifierSpec,
    Db,
    DryRun,
    MaxTokens,
    SamplingSeed,
    System,
    TaxonomySpec,
    Temperature,
    Timeout,
    TopP,
    option,
)
from ethostat.errors import InvalidInput
from ethostat.terminal import Gauge, forecast_view, look_view, to_terminal

_MODEL = "As for `measure`: a name, `gguf:PATH`, `hf:NAME`, `URL#NAME`, `base:URL#NAME` or `sim:NAME`."
_PACE = "How much is asked"
_CODES = {"yes": GATE_FAILED, "no": DONE, "unknown": INCONCLUSIVE}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def watch(
    model: Annotated[str, typer.Argument(help=_MODEL)],
    baseline: Annotated[
        str,
        option(
            "--baseline",
            "What is normal: `first` (made before the first look), a run of the store, or a Measurement file.",
            env="BASELINE",
        ),
    ] = "first",
    prompts: Annotated[
        str, option("--prompts", "A built-in set or a file (JSONL, CSV, Parquet, text).", env="PROMPTS", panel=ASKING)
    ] = "default",
    alpha: Annotated[
        float, option("--alpha", "The chance that a false alert ever comes, at most.", panel=PROMISED)
    ] = 0.01,
    run_length: Annotated[
        float | None,
        option(
            "--run-length",
            "In place of --alpha: responses between false alerts, on average, at least.",
            panel=PROMISED,
        ),
    ] = None,
    responses: Annotated[
        int | None,
        option("--responses", "Responses of a quiet look.", panel=_PACE, show_default="one a prompt"),
    ] = None,
    budget: Annotated[
        int | None,
        option(
            "--budget",
            "Responses of a look at most, where evidence grows.",
            panel=_PACE,
            show_default="four times --responses",
        ),
    ] = None,
    total: Annotated[
        int | None, option("--total", "Responses in all at most, a baseline included.", panel=_PACE)
    ] = None,
    baseline_samples: Annotated[
        int, option("--baseline-samples", "With --baseline first: responses a prompt.", panel=_PACE)
    ] = 10,
    every: Annotated[
        str | None,
        option(
            "--every", "Look again after so long (90s, 15m, 1h, 1d), for ever.", panel=_PACE, show_default="one look"
        ),
    ] = None,
    accept: Annotated[
        bool, option("--accept", "What the model does now is normal: begin anew, with a new baseline.", panel=PROMISED)
    ] = False,
    temperature: Temperature = 0.7,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 128,
    system: System = None,
    seed: SamplingSeed = None,
    timeout: Timeout = 120.0,
    dry_run: DryRun = False,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    name: Annotated[str, option("--name", "The watch's name in alerts.", panel=KEEPING)] = "watch",
    state: Annotated[
        Path | None,
        option(
            "--state",
            "Go on from this file, and keep it up to date; it survives kill -9.",
            panel=KEEPING,
            show_default="one for each name and model, beside the user's database",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", "Also append each look that found something to this JSONL file, once.", panel=KEEPING),
    ] = None,
    db: Db = None,
    as_json: Annotated[bool, option("--json", "Print one JSON object a look and nothing else.")] = False,
) -> int:
    """Ask a model the same prompts now and then, and say whether it still does with them what it did.

    One command begins: it makes a baseline (10 responses a prompt) and takes a first look (one a prompt). The same
    command, in a crontab, takes the next one; with --dry-run it says what each costs and asks nothing.

      ethostat watch https://host/v1#model --dry-run         what it will cost

      ethostat watch https://host/v1#model                   one look; run it from cron

      ethostat watch https://host/v1#model --every 1h        a service

      ethostat watch https://host/v1#model --baseline RUN    against what `ethostat measure` stored

    Exit codes of a look: 0 no evidence of a change, 3 not known (the model is down, too few responses came, the
    classifier failed), 100 the model changed and has not changed back. A look that died goes on where it was.
    """
    sorter, goals = opened_classifier(classifier, taxonomy)
    es.check_goals(sorter, goals)
    asked, chosen = es.open_model(model, timeout=timeout), es.load_prompts(prompts)
    pause = None if every is None else _seconds(every)
    with opened_store(db, create=True) as store, Gauge() as gauge:
        watched = es.Watch(
            asked,
            chosen,
            store,
            state or es.default_state(asked, name=name),
            baseline=baseline,
            alpha=alpha,
            run_length=run_length,
            pace=es.Pace(responses, budget, total, baseline_samples),
            decoding=es.Decoding(temperature=temperature, top_p=top_p, max_tokens=max_tokens, system=system),
            classifier=sorter,
            name=name,
            seed=seed,
            out=out,
            rules=es.Rules(price=known_price(asked, None), on_progress=gauge.show, on_stage=gauge.say),
        )
        if dry_run:
            return _forecast(watched, as_json=as_json)
        if accept:
            watched.accept()
        while True:
            began = time.monotonic()
            look = watched.look()
            _show(look, as_json=as_json, is_line=pause is not None)
            if pause is None:
                return _CODES[look.answer]
            time.sleep(max(0.0, pause - (time.monotonic() - began)))


def _forecast(watched: es.Watch, *, as_json: bool) -> int:
    found = watched.forecast()
    if as_json:
        print_json({name: expected.to_dict() for name, expected in found.items()})
        return DONE
    for name, expected in found.items():
        to_terminal(f"{name}:")
        to_terminal(forecast_view(expected))
    return DONE


def _show(look: es.Look, *, as_json: bool, is_line: bool) -> None:
    if as_json:
        sys.stdout.write(json_line(look.to_dict()) + "\n") if is_line else print_json(look.to_dict())
    else:
        to_terminal(look_view(look))
    sys.stdout.flush()
    if as_json and look.answer == "unknown":
        warn(f"not known: {look.reason}")


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.replace(".", "", 1).isdigit() or float(number) <= 0:
        raise InvalidInput(f"--every must be a number and s, m, h or d, as 15m, got {text[:40]!r}")
    return float(number) * _UNITS[unit]
