"""runs, models, prompts, taxonomy: what there is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import ethostat as es
from ethostat.cli.frame import opened_store, print_json
from ethostat.cli.options import AsJson, Db, Run, option
from ethostat.terminal import rows_view, to_terminal

runs_app = typer.Typer(help="Stored runs: list, show, export, delete.", no_args_is_help=True)
prompts_app = typer.Typer(help="Prompt sets: list the built-in ones, show or check one.", no_args_is_help=True)
schedules_app = typer.Typer(help="Stress schedules: list the built-in ones, show or check one.", no_args_is_help=True)
_SCHEDULE = "A built-in schedule, or a YAML or JSON file."
_SET = "A built-in set or a file."


@runs_app.command("list")
def list_runs(
    limit: Annotated[int, option("--limit", "How many, the latest first.")] = 20,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """List stored runs, the latest first."""
    with opened_store(db) as store:
        rows = [_run_row(store, run) for run in store.runs(limit=limit)]
        _show(rows, title=f"Runs in {store.name}", as_json=as_json)


@runs_app.command("show")
def show_run(run: Run, db: Db = None, as_json: AsJson = False) -> None:
    """Show everything that is stored about one run but its responses."""
    with opened_store(db) as store:
        found = store.get_run(run)
        fields = asdict(found) | asdict(store.tally(found.id))
        fields["failures"] = [asdict(failure) for failure in store.failures(found.id)]
        if as_json:
            print_json(fields)
        else:
            rows = [{"field": key, "value": value} for key, value in fields.items() if key != "measurement"]
            to_terminal(rows_view(f"Run {found.id}", rows))


@runs_app.command("export")
def export_run(
    run: Run,
    out: Annotated[Path, option("--out", "Where to write it: .jsonl or .parquet.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's responses with their verdicts; `measure transcripts:FILE` reads them again."""
    with opened_store(db) as store:
        found = store.get_run(run)
        rows = es.export(store, found.id, out)
        print_json({"run": found.id, "file": str(out), "rows": rows}) if as_json else to_terminal(
            f"{rows} rows in {out}"
        )


@runs_app.command("delete")
def delete_run(
    run: Run,
    yes: Annotated[bool, option("--yes", "Do not ask.")] = False,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Delete a run and those of its responses that no other run uses."""
    with opened_store(db) as store:
        found = store.get_run(run)
        if not yes:
            count = store.tally(found.id).responses
            typer.confirm(f"Delete run {found.id} of {found.model} with {count} responses?", abort=True, err=True)
        store.delete_run(found.id)
        print_json({"deleted": found.id}) if as_json else to_terminal(f"deleted {found.id}")


def models(as_json: AsJson = False) -> None:
    """List what MODEL can be, and what must be installed for it."""
    _show([asdict(row) for row in es.list_models()], title="Models", as_json=as_json)


@prompts_app.command("list")
def list_prompts(as_json: AsJson = False) -> None:
    """List the built-in prompt sets."""
    rows = [{"name": one.name, "prompts": len(one), "hash": one.hash} for one in es.list_prompt_sets()]
    _show(rows, title="Prompt sets", as_json=as_json)


@prompts_app.command("show")
def show_prompts(source: Annotated[str, typer.Argument(help=_SET)] = "default", as_json: AsJson = False) -> None:
    """Show the prompts of a set; for a file, this checks it."""
    chosen = es.load_prompts(source)
    rows: list[dict[str, Any]] = [
        {"id": prompt.id, "category": prompt.category, "expected": prompt.expected, "prompt": prompt.text}
        for prompt in chosen
    ]
    _show(rows, title=f"{chosen.name}: {len(chosen)} prompts, hash {chosen.hash}", as_json=as_json)


@schedules_app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List the built-in stress schedules."""
    rows = [
        {
            "name": one.name,
            "version": one.version,
            "threads": len(one.threads),
            "turns": sum(len(thread.turns) for thread in one.threads),
            "hash": one.hash,
            "description": one.description,
        }
        for one in es.list_schedules()
    ]
    _show(rows, title="Stress schedules", as_json=as_json)


@schedules_app.command("show")
def show_schedule(
    source: Annotated[str, typer.Argument(help=_SCHEDULE)],
    steps: Annotated[
        int, option("--steps", "How many turns of each thread.", show_default="those that are written")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what is said, turn by turn; --json prints the schedule itself."""
    found = es.load_schedule(source)
    if as_json:
        print_json(found.to_dict() | {"hash": found.hash})
        return
    rows = [
        {
            "turn": f"{thread.id}/step-{step:04d}",
            "category": said.category,
            "before": len(said.before) // 2,
            "says": said.text,
        }
        for thread in found.threads
        for step, said in ((step, thread.said(step)) for step in range(1, 1 + (steps or len(thread.turns))))
    ]
    to_terminal(rows_view(f"{found.name}, version {found.version}, hash {found.hash}", rows))


@schedules_app.command("check")
def check_schedule(source: Annotated[str, typer.Argument(help=_SCHEDULE)], as_json: AsJson = False) -> None:
    """Check a schedule, and say how soon it repeats itself word for word."""
    found = es.load_schedule(source)
    rows = [
        {
            "thread": thread.id,
            "turns": len(thread.turns),
            "again from": thread.again.start,
            "variations": len(thread.again.variations),
            "repeats after": thread.repeats_after(),
        }
        for thread in found.threads
    ]
    _show(rows, title=f"{found.name}, version {found.version}, hash {found.hash}: usable", as_json=as_json)


def taxonomy(
    source: Annotated[str, typer.Argument(help="A built-in name, or a YAML or JSON file to check.")] = "five-goals",
    as_json: AsJson = False,
) -> None:
    """Show the goals that responses are sorted into; for a file, this checks it."""
    found = es.load_taxonomy(source)
    if as_json:
        print_json(found.to_dict() | {"hash": found.hash})
        return
    rows = [
        {"key": goal.key, "name": goal.name, "aligned": "yes" if goal.aligned else "no", "definition": goal.definition}
        for goal in found.goals
    ]
    to_terminal(rows_view(f"{found.name}, version {found.version}, hash {found.hash}", rows))


def _show(rows: list[dict[str, Any]], *, title: str, as_json: bool) -> None:
    print_json(rows) if as_json else to_terminal(rows_view(title, rows))


def _run_row(store: es.Store, run: Any) -> dict[str, Any]:
    measured = run.measurement or {}
    numbers = (measured.get(name, {}).get("value") for name in ("entropy", "pooled_entropy"))
    headline = next((value for value in numbers if value is not None), None)
    return {
        "run": run.id,
        "status": run.status,
        "model": run.model,
        "prompts": run.prompts_name,
        "responses": store.tally(run.id).responses,
        "entropy": headline,
        "started": run.started,
    }
