"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ethostat.errors import InvalidInput

if TYPE_CHECKING:  # --help need not load it
    from ethostat.monitor import Baseline

ASKING, COUNTING, KEEPING = "How the model is asked", "How responses are counted", "What is kept"
PROMISED = "What is promised"
SCALED = "How the work is spread"
CORRECTING = "How the classifier's errors are undone"


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
Temperature = Annotated[float, option("--temperature", "Sampling temperature.", env="TEMPERATURE", panel=ASKING)]
TopP = Annotated[float, option("--top-p", "Nucleus sampling mass.", env="TOP_P", panel=ASKING)]
MaxTokens = Annotated[int, option("--max-tokens", "Longest answer, in tokens.", env="MAX_TOKENS", panel=ASKING)]
System = Annotated[str | None, option("--system", "System message before every prompt.", env="SYSTEM", panel=ASKING)]
SamplingSeed = Annotated[
    int | None,
    option("--seed", "Seed of all sampling.", env="SEED", panel=ASKING, show_default="drawn and recorded"),
]
Timeout = Annotated[float, option("--timeout", "Seconds until a request is given up.", env="TIMEOUT", panel=ASKING)]
DryRun = Annotated[bool, option("--dry-run", "Ask nothing; forecast requests, tokens, time and price.", panel=ASKING)]
Fresh = Annotated[bool, option("--fresh", "Start anew even where an unfinished run could be resumed.", panel=KEEPING)]
ClassifierSpec = Annotated[
    str,
    option(
        "--classifier",
        "`builtin`, a folder that training wrote, judge:MODEL, guard:NAME:MODEL, ray://HOST:PORT/, or goals-in-text "
        "(simulated answers).",
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
LabelsFile = Annotated[
    Path | None,
    option(
        "--labels",
        "People's labels of these responses (rows as `evaluate` reads them, with the id of the response): shows "
        "figures with the classifier's errors undone beside its own.",
        panel=CORRECTING,
        show_default="the run's labels in the store",
    ),
]
CalibrationFile = Annotated[
    Path | None,
    option(
        "--calibration",
        "What `evaluate --json` printed for this classifier on other rows; it is tested on these before it is used.",
        panel=CORRECTING,
    ),
]
CorrectionName = Annotated[
    str,
    option(
        "--correction",
        "auto (joint with a calibration that holds, else post-stratified), post-stratified, joint, or soft (from "
        "probabilities, where the calibration shows that they are calibrated).",
        panel=CORRECTING,
    ),
]
Run = Annotated[str, typer.Argument(help="A run's id, the beginning of one, or `latest`.")]
DetectorName = Annotated[
    str,
    option(
        "--detector",
        "profile, directed, ewma-entropy, page-hinkley or paper-threshold; the last two keep no promise.",
        panel=PROMISED,
    ),
]
Soft = Annotated[
    bool, option("--soft", "Weigh verdicts by probabilities, which must be calibrated; needs first:N.", panel=PROMISED)
]
Warnings = Annotated[
    bool, option("--warn/--no-warn", "Also warn at a tenth of the evidence, without a promise.", panel=PROMISED)
]

RunLength = Annotated[
    float, option("--run-length", "Responses between false pages, on average, at least.", panel=PROMISED)
]
Renotify = Annotated[
    int | None, option("--renotify", "Say again after so many responses that an alert stands.", panel=KEEPING)
]

STREAMS = "Which streams there are"
StreamKey = Annotated[
    list[str] | None,
    option("--key", "A field whose values tell streams apart (repeatable): model, route, tenant.", panel=STREAMS),
]
MonitorName = Annotated[str, option("--name", "The monitor's name in alerts.", panel=STREAMS)]
Stratum = Annotated[
    str | None,
    option(
        "--stratum",
        "A field (with `serve` a label of events, or `model`) whose values each have a baseline of their own, so that "
        "a change of the mix is no alarm.",
        panel=STREAMS,
    ),
]
SessionField = Annotated[
    str | None,
    option(
        "--session",
        "A field (with `serve` a label of events, or `session`) that names the conversation or user; its responses "
        "depend on each other and count once.",
        panel=STREAMS,
    ),
]
SessionIdle = Annotated[
    int,
    option("--session-idle", "With --session: responses of the stream until a silent session is over.", panel=STREAMS),
]


def check_soft(soft: bool, baseline: Baseline) -> None:
    """Raises InvalidInput where probabilities would be held against counts of most probable goals."""
    if soft and not baseline.first:
        raise InvalidInput("--soft needs a baseline that is learned from probabilities: pass --baseline first:N")


By = Annotated[
    list[str] | None,
    option(
        "--by",
        "With transcripts: a field of the rows; a measurement for each of its values. May be given several times; "
        "month, day and hour are told from `time`.",
        panel=SCALED,
    ),
]
Into = Annotated[
    str | None,
    option(
        "--into",
        "A folder or URL for what is done so far and its result: the same command goes on there.",
        panel=SCALED,
        show_default="nothing is kept",
    ),
]
Workers = Annotated[
    int | None,
    option(
        "--workers", "Processes (with --ray: actors) at once.", panel=SCALED, show_default="1; with --ray all cores"
    ),
]
RayAddress = Annotated[
    str | None,
    option(
        "--ray", "Work on a Ray cluster: HOST:PORT, auto, or local (this machine's cores).", env="RAY", panel=SCALED
    ),
]
