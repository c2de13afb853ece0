"""Measured: a measurement from wherever it is kept, with what stands behind it: a run, a JSON file, a transcript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ethostat.classifiers import Classifier
from ethostat.corrected import correct, stored_labels
from ethostat.errors import InvalidInput
from ethostat.measurement import Measurement
from ethostat.recorded import measure_transcripts
from ethostat.response import TRANSCRIPTS, Response, Verdict
from ethostat.store import Store, default_path, opened
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.workflow import evidence_of, stored_measurement

Source = Measurement | Path | str


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement, its goals where they are known, and the store and run that hold its responses, where they do."""

    measurement: Measurement
    taxonomy: Taxonomy | None
    store: Store | None = None
    run: str | None = None

    def evidence(self) -> Iterator[tuple[Response, Verdict]]:
        """The responses with their verdicts; none where no store holds them."""
        if self.store is not None:
            yield from evidence_of(self.store, _of_run(self.measurement, self.run))


@dataclass(slots=True)
class Shelf:
    """Where measurements are looked up; `open_shelf` opens one.

    `taxonomy` is of recorded verdicts and of files that name other goals than the five; `classifier` is asked for rows
    without a verdict, by default the built-in one. Transcripts are measured in a store that is gone when the shelf is
    closed, so that comparing leaves nothing behind.
    """

    store: Store | None
    taxonomy: Taxonomy | None
    classifier: Classifier | None
    _open: ExitStack = field(default_factory=ExitStack)
    _scratch: Store | None = None

    def find(self, source: Source) -> Measured:
        """The measurement that this names: itself, a JSON file of one, a transcript, or a run of the store.

        `transcripts:FILE` is always a transcript; any other name of an existing file is told apart by its content.
        Where people labelled a run's responses, its measurement carries corrected figures. Raises InvalidInput for
        what is none of these, StoreError, and TooLittleEvidence for a transcript without a usable row.
        """
        if isinstance(source, Measurement):
            return self._given(source)
        name = str(source)
        if name.startswith(TRANSCRIPTS):
            return self._transcript(name.removeprefix(TRANSCRIPTS))
        if Path(name).exists():
            found = _measurement_in(Path(name))
            return self._transcript(name) if found is None else self._given(found)
        return self._run(name)

    def _given(self, measurement: Measurement) -> Measured:
        """A measurement that came with its numbers; its responses are known where the store holds its run."""
        run = measurement.provenance.run
        return Measured(measurement, self._goals_of(measurement), self._holding(run), run)

    def _run(self, name: str) -> Measured:
        store = self._kept()
        try:
            measured, taxonomy = stored_measurement(store, name)
        except InvalidInput as error:
            raise InvalidInput(f"{name!r} is no file, and no run either: {error}") from error
        labels = stored_labels(store, measured)
        if labels is not None:
            measured = correct(measured, evidence_of(store, measured), taxonomy=taxonomy, labels=labels)
        return Measured(measured, taxonomy, store, measured.provenance.run)

    def _transcript(self, path: str) -> Measured:
        if self._scratch is None:
            self._scratch = self._open.enter_context(opened(None))
        goals = self.taxonomy or (self.classifier.taxonomy if self.classifier else FIVE_GOALS)
        found = measure_transcripts(path, taxonomy=goals, classifier=self.classifier, store=self._scratch)
        return Measured(_of_run(found, None), goals, self._scratch, found.provenance.run)

    def _kept(self) -> Store:
        """The store of runs, the user's own where none was given."""
        if self.store is None:
            self.store = self._open.enter_context(Store(default_path()))
        return self.store

    def _holding(self, run: str | None) -> Store | None:
        """The store, where it holds this very run."""
        if self.store is None or run is None:
            return None
        try:
            return self.store if self.store.get_run(run).id == run else None
        except InvalidInput:
            return None

    def _goals_of(self, measurement: Measurement) -> Taxonomy | None:
        wanted = measurement.provenance.taxonomy.hash
        known = (self.taxonomy, self.classifier.taxonomy if self.classifier else None, FIVE_GOALS)
        return next((one for one in known if one is not None and one.hash == wanted), None)


def _of_run(measurement: Measurement, run: str | None) -> Measurement:
    return replace(measurement, provenance=replace(measurement.provenance, run=run))


@contextmanager
def open_shelf(
    store: Store | None = None, *, taxonomy: Taxonomy | None = None, classifier: Classifier | None = None
) -> Iterator[Shelf]:
    """A shelf over the caller's store, left open, or the user's own, opened when a run is first named."""
    shelf = Shelf(store, taxonomy, classifier)
    with shelf._open:
        yield shelf


def _measurement_in(path: Path) -> Measurement | None:
    """The measurement of a JSON file; None where the file is something else, a transcript perhaps."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}; check the path") from error
    except ValueError:
        return None
    return Measurement.from_dict(fields) if isinstance(fields, dict) and "per_prompt" in fields else None
