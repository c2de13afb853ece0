"""What commands share that spread their work: the crew, the classifier of each worker, groups shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ethostat as es
from ethostat.cli.frame import DONE, FAILED, print_json, warn
from ethostat.errors import InvalidInput
from ethostat.response import TRANSCRIPTS
from ethostat.terminal import Gauge, groups_view, to_terminal

if TYPE_CHECKING:
    from ethostat.maths.entropy import Estimator


@dataclass(frozen=True, slots=True)
class Scale:
    """--by, --into, --workers and --ray."""

    by: tuple[str, ...] = ()
    into: str | None = None
    workers: int | None = None
    ray: str | None = None

    @property
    def is_asked_for(self) -> bool:
        """Whether any of them was given."""
        return bool(self.by or self.into or self.workers or self.ray)

    def is_asked_for_by(self, model: str) -> bool:
        """Whether MODEL is to be measured so; a number of workers alone is nothing to a model that is asked."""
        return bool(self.by or self.into or self.ray) or (self.is_asked_for and model.startswith(TRANSCRIPTS))

    def refuse(self, **given: object) -> None:
        """Raises InvalidInput where an option was given that groups do not know."""
        if names := [f"--{name}" for name, value in given.items() if value is not None]:
            raise InvalidInput(f"{', '.join(names)} cannot stand beside --by, --into, --workers or --ray; leave it out")

    def measured(
        self,
        source: str,
        *,
        classifier: str,
        taxonomy: str | None = None,
        estimator: Estimator | None = None,
        report: Path | None = None,
    ) -> es.Grouped:
        """The groups of recorded responses."""
        if not source.startswith(TRANSCRIPTS):
            raise InvalidInput(f"--by, --into, --workers and --ray are for recorded responses: {TRANSCRIPTS}FILES")
        if report is not None:
            es.check_groups_path(report)
        opener, goals = self.opener(classifier, taxonomy)
        with self.rules() as rules:
            return es.measure_groups(
                [source.removeprefix(TRANSCRIPTS)],
                by=self.by, taxonomy=goals, classifier=opener, estimator=estimator, rules=rules,
            )  # fmt: skip

    def reported(self, source: str, *, classifier: str, report: Path | None) -> es.Grouped:
        """The groups of a folder, or of recorded responses."""
        if source.startswith(TRANSCRIPTS):
            return self.measured(source, classifier=classifier, report=report)
        if report is not None:
            es.check_groups_path(report)
        return es.read_grouped(source)

    def classified(self, source: str, *, classifier: str, taxonomy: str | None, again: bool) -> es.Stand:
        """What came of classifying many files."""
        if self.into is None:
            raise InvalidInput("--workers, --ray and --json need a folder for the classified rows: --into FOLDER")
        opener, goals = self.opener(classifier, taxonomy)
        with self.rules() as rules:
            return es.classify_files([source], taxonomy=goals, classifier=opener, again=again, rules=rules)

    @contextmanager
    def crew(self) -> Iterator[es.Crew]:
        """Who does the work."""
        if self.ray is not None:
            with es.RayCrew(self.ray, workers=self.workers) as cluster:
                yield cluster
        elif self.workers is not None:
            yield es.Processes(self.workers)
        else:
            yield es.Alone()

    @contextmanager
    def rules(self) -> Iterator[es.Spread]:
        """How a job is done; progress is shown."""
        with self.crew() as crew, Gauge() as gauge:
            yield es.Spread(crew, self.into, on_progress=gauge.show_fragments)

    def opener(self, spec: str, taxonomy: str | None) -> tuple[es.Opener, es.Taxonomy]:
        """The classifier that each worker opens, and the goals that are counted."""
        goals = es.FIVE_GOALS if taxonomy is None else es.load_taxonomy(taxonomy)
        threads = None if self.workers is None and self.ray is None else 1
        opener = es.Opener(partial(es.open_classifier, spec, taxonomy=goals, threads=threads))
        return opener, opener().taxonomy if taxonomy is None else goals


def is_groups_folder(name: str) -> bool:
    """Whether this names a folder, not a run."""
    return "://" in name or Path(name).is_dir()


def show_groups(found: es.Grouped, *, report: Path | None, as_json: bool) -> int:
    """Show groups and write their report; the exit code says whether rows are missing."""
    if report is not None:
        es.write_groups(report, found)
    if as_json:
        print_json([group.to_dict() for group in found.groups])
    else:
        to_terminal(groups_view(found))
    for note in found.notes:
        warn(f"note: {note}")
    if found.rejected:
        warn(f"{found.rejected} rows were not used: {'; '.join(found.first)}")
    return FAILED if found.rejected else DONE


def show_classified(stand: es.Stand, as_json: bool) -> int:
    """Say how many rows there are; the exit code says whether some are missing."""
    if as_json:
        print_json({"fragments": stand.fragments, "rows": stand.rows, "rejected": stand.rejected})
    else:
        warn(str(stand))
    return FAILED if stand.rejected else DONE
