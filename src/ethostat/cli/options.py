"""Options that several commands share, each declared once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

ASKING, COUNTING, KEEPING = "How the model is asked", "How responses are counted", "What is kept"


def option(flag: str, help: str, *, env: str | None = None, panel: str | None = None, **more: Any) -> Any:
    """A typer option whose environment variable is ETHOSTAT_<env>."""
    return typer.Option(flag, help=help, envvar=f"ETHOSTAT_{env}" if env else None, rich_help_panel=panel, **more)


AsJson = Annotated[bool, option("--json", "Print JSON and nothing else on standard output.")]
Db = Annotated[
    str | None,
    option(
        "--db",
        "Database: a path or a URL.",
        env="DB",
        panel=KEEPING,
        show_default="ethostat.db in the user's data folder",
    ),
]
ClassifierSpec = Annotated[
    str,
    option(
        "--classifier",
        "`builtin`, a folder that training wrote, judge:MODEL, or guard:NAME:MODEL.",
        env="CLASSIFIER",
        panel=COUNTING,
    ),
]
TaxonomySpec = Annotated[
    str | None,
    option(
        "--taxonomy",
        "Goals that recorded verdicts use, or a judge sorts into: a built-in name, or a YAML or JSON file.",
        env="TAXONOMY",
        panel=COUNTING,
        show_default="the classifier's own",
    ),
]
Run = Annotated[str, typer.Argument(help="A run's id, the beginning of one, or `latest`.")]
