"""trajectory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import ethostat as es
from ethostat.cli.frame import DONE, FAILED, opened_classifier, opened_store, print_json, warn
from ethostat.cli.measuring import known_price
from ethostat.cli.options import (
    ASKING,
    KEEPING,
    AsJson,
    ClassifierSpec,
    Db,
    DryRun,
    Fresh,
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
from ethostat.picture import alignment_view, trajectory_view
from ethostat.response import TRANSCRIPTS
from ethostat.terminal import Gauge, forecast_view, to_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ethostat.forecast import Forecast

STRESSING, FOLLOWING = "How a conversation goes", "How versions and rows become steps"
_RUN = re.compile(r"latest|\d{8}T\d{6}(-[0-9a-f]{0,6})?")
_TARGETS = (
    "One model (as for `measure`): conversations under a stress schedule. Several models: versions, in order. "
    "A file of rows with `step` or `time` (JSONL, CSV, Parquet), or what `trajectory --json` printed. "
    "Stored runs: their ids, in the order of their times."
)


def trajectory(
    targets: Annotated[list[str], typer.Argument(metavar="MODEL...|FILE|RUN...", help=_TARGETS)],
    against: Annotated[
        str | None,
        option(
            "--against",
            "The base model (or its file, or its run): gamma, what tuning held back of its drift, and the work W.",
        ),
    ] = None,
    margin: Annotated[
        float, option("--margin", "Change of S over the whole, nats, that counts as no drift.", env="MARGIN")
    ] = 0.1,
    schedule: Annotated[
        str,
        option(
            "--schedule", "What is said: a built-in schedule, or a YAML or JSON file.", env="SCHEDULE", panel=STRESSING
        ),
    ] = "crescendo",
    steps: Annotated[int, option("--steps", "Turns of each conversation.", env="STEPS", panel=STRESSING)] = 50,
    samples: Annotated[
        int | None,
        option(
            "--samples",
            "Responses to each turn, k; of versions, to each prompt.",
            env="SAMPLES",
            panel=ASKING,
            show_default="20; of versions 100",
        ),
    ] = None,
    replicates: Annotated[
        int | None,
        option(
            "--replicates",
            "Conversations; beyond the threads of the schedule, threads begin again with other seeds.",
            panel=STRESSING,
            show_default="one a thread",
        ),
    ] = None,
    exchanges: Annotated[
        int, option("--exchanges", "The model is shown at most so many of the last exchanges.", panel=STRESSING)
    ] = 20,
    context: Annotated[
        int,
        option(
            "--context",
            "And no more of them than fit, with the turn, into so many tokens (estimated at four characters each).",
            panel=STRESSING,
        ),
    ] = 1500,
    draw: Annotated[
        int | None,
        option(
            "--draw",
            "Seed that draws which of the k responses the conversation goes on from.",
            panel=STRESSING,
            show_default="the first",
        ),
    ] = None,
    prompts: Annotated[
        str, option("--prompts", "For versions: a built-in set or a file.", env="PROMPTS", panel=FOLLOWING)
    ] = "default",
    window: Annotated[
        str | None,
        option(
            "--window",
            "For rows: a step is so many rows (200), or so much of their time (90s, 15min, 6h, 1d).",
            panel=FOLLOWING,
            show_default="the rows' own `step`",
        ),
    ] = None,
    temperature: Temperature = 0.7,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 128,
    system: System = None,
    seed: SamplingSeed = None,
    concurrency: Annotated[
        int | None,
        option("--concurrency", "Most requests at once.", env="CONCURRENCY", panel=ASKING, show_default="adapts"),
    ] = None,
    timeout: Timeout = 120.0,
    max_cost: Annotated[
        float | None,
        option("--max-cost", "Stop before a run would cost more (US dollars).", env="MAX_COST", panel=ASKING),
    ] = None,
    dry_run: DryRun = False,
    out: Annotated[
        Path | None,
        option("--out", "Write it too: .html (a page), .md, .json, or S over time as .png or .svg.", panel=KEEPING),
    ] = None,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    db: Db = None,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> int:
    """Follow S and the profile over time: turns under stress, versions of a model, stored runs, recorded rows.

    A conversation adds a turn of the schedule at each step, takes k responses to it, and goes on from one of them.
    Every response is stored the moment it arrives: the same command resumes a run that was interrupted.
    """
    if not margin > 0:
        raise InvalidInput(f"margin must be above 0 nats, got {margin:g}")
    if out is not None:
        es.check_report_path(out)
    sorter, goals = opened_classifier(classifier, taxonomy)
    es.check_goals(sorter, goals)
    decoding = es.Decoding(temperature=temperature, top_p=top_p, max_tokens=max_tokens, system=system)
    rule = es.Conversation(es.Window(exchanges, context), draw)
    following = _Following(
        schedule=es.load_schedule(schedule),
        steps=steps,
        samples=samples,
        replicates=replicates or 0,
        rule=rule,
        prompts=prompts,
        cut=es.Cut.read(window) if window else es.Cut(),
        decoding=decoding,
        seed=seed,
        concurrency=concurrency,
        timeout=timeout,
        max_cost=max_cost,
        fresh=fresh,
        sorter=sorter,
        goals=goals,
    )
    with opened_store(db, create=True) as store:
        if dry_run:
            expected = following.forecast(targets, store)
            print_json(expected.to_dict()) if as_json else to_terminal(forecast_view(expected))
            return DONE
        found = replace(following.find(targets, store), margin=margin)
        if against is None:
            _write(out, found, goals)
            return _conclude(store, found, as_json=as_json)
        base = replace(following.find([against], store), margin=margin)
        compared = es.alignment_work(base, found)
        _write(out, compared, goals)
        print_json(compared.to_dict()) if as_json else to_terminal(alignment_view(compared))
        return FAILED if base.provenance.missing or found.provenance.missing else DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Following:
    """The flags, and how a trajectory is made of each kind of target."""

    schedule: es.Schedule
    steps: int
    samples: int | None
    replicates: int
    rule: es.Conversation
    prompts: str
    cut: es.Cut
    decoding: es.Decoding
    seed: int | None
    concurrency: int | None
    timeout: float
    max_cost: float | None
    fresh: bool
    sorter: es.Classifier
    goals: es.Taxonomy

    def find(self, targets: Sequence[str], store: es.Store) -> es.Trajectory:
        """The trajectory of what was named. Raises InvalidInput for targets of different kinds."""
        if all(_RUN.fullmatch(name) for name in targets):
            return es.trajectory_of_runs(store, targets, open_classifier=lambda: self.sorter)
        if any(_is_file(name) for name in targets):
            return self._of_files(targets)
        if len(targets) > 1:
            return self._of_versions(targets, store)
        model = self._open(targets[0])
        with Gauge() as gauge:
            return es.trajectory(
                model,
                self._stress(),
                decoding=self.decoding,
                seed=self.seed,
                classifier=self.sorter,
                store=store,
                rules=self._rules(gauge, model),
            )

    def forecast(self, targets: Sequence[str], store: es.Store) -> Forecast:
        """What a conversation would take."""
        if len(targets) != 1 or _is_file(targets[0]) or _RUN.fullmatch(targets[0]):
            raise InvalidInput("--dry-run forecasts one model's conversations; for versions use `measure --dry-run`")
        return es.forecast_trajectory(self._open(targets[0]), self._stress(), self.decoding, store=store)

    def _of_files(self, names: Sequence[str]) -> es.Trajectory:
        kept = [_read_json(name) for name in names]
        if len(names) == 1:
            if kept[0] is not None and "points" in kept[0]:
                return es.Trajectory.from_dict(kept[0])
            if kept[0] is None:
                source = names[0].removeprefix(TRANSCRIPTS)
                return es.trajectory_of_rows(source, self.cut, taxonomy=self.goals, classifier=self.sorter)
        measured = [es.Measurement.from_dict(fields) for fields in kept if fields is not None]
        if len(measured) != len(names):
            raise InvalidInput("several targets must be of one kind: models, stored runs, or Measurement files")
        return es.trajectory_of_measurements(measured, taxonomy=self.goals)

    def _of_versions(self, names: Sequence[str], store: es.Store) -> es.Trajectory:
        chosen = es.load_prompts(self.prompts)
        with Gauge() as gauge:
            return es.trajectory_of_models(
                map(self._open, names),
                chosen,
                samples=self.samples,
                decoding=self.decoding,
                seed=self.seed,
                classifier=self.sorter,
                store=store,
                rules=self._rules(gauge, None),
            )

    def _open(self, spec: str) -> es.Model:
        return es.open_model(spec, max_concurrency=self.concurrency, timeout=self.timeout)

    def _stress(self) -> es.Stress:
        return es.Stress(self.schedule, self.steps, self.samples or 20, self.replicates, self.rule)

    def _rules(self, gauge: Gauge, model: es.Model | None) -> es.Rules:
        if model is None and self.max_cost is not None:
            raise InvalidInput("--max-cost bounds one model's run; measure the versions one by one, or leave it out")
        return es.Rules(
            fresh=self.fresh,
            price=None if model is None else known_price(model, self.max_cost),
            max_cost=self.max_cost,
            on_progress=gauge.show,
            on_stage=gauge.say,
        )


def _is_file(name: str) -> bool:
    return name.startswith(TRANSCRIPTS) or name == "-" or Path(name).is_file()


def _read_json(name: str) -> dict[str, Any] | None:
    """The object of a .json file; None for any other file."""
    if Path(name).suffix.lower() != ".json":
        return None
    try:
        fields = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{name}: cannot be read as JSON: {error}") from error
    return fields if isinstance(fields, dict) else None


def _write(out: Path | None, found: es.Trajectory | es.Alignment, goals: es.Taxonomy) -> None:
    """The report, where one is asked for; goals are named where they are those that the trajectory was sorted into."""
    if out is not None:
        sorted_into = (found.base if isinstance(found, es.Alignment) else found).provenance.taxonomy
        es.write_trajectory(out, found, taxonomy=goals if goals.hash == sorted_into.hash else None)


def _conclude(store: es.Store, found: es.Trajectory, *, as_json: bool) -> int:
    """Show a trajectory; the exit code says whether anything is missing."""
    if as_json:
        print_json(found.to_dict())
        for note in found.provenance.notes:
            warn(f"note: {note}")
    else:
        to_terminal(trajectory_view(found))
        if found.provenance.run:
            to_terminal(f"run {found.provenance.run} in {store.name}")
    return FAILED if found.provenance.missing else DONE
