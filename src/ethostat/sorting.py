"""Rows of a stream with their verdicts: the fields that say where each belongs, and the goal that it lies on."""

from __future__ import annotations

from dataclasses import dataclass

from ethostat import fields
from ethostat.classifiers import Classifier, attempt, load_builtin
from ethostat.errors import InvalidInput, InvalidRow, UnreadableAnswer
from ethostat.feed import Fed, Place
from ethostat.monitor.baseline import UNSTRATIFIED
from ethostat.provenance import check_goals
from ethostat.response import Verdict
from ethostat.rows import Row
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts.table import read_row
from ethostat.transcripts.transcript import Places, TranscriptRow

_NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Columns:
    """Fields of a row: those whose values make the key of its stream; its stratum, its session, the model's version."""

    key: tuple[str, ...] = ()
    stratum: str | None = None
    version: str | None = None
    session: str | None = None

    def key_of(self, row: Row) -> tuple[str, ...]:
        """The values, "(none)" for a field that the row lacks."""
        return tuple(fields.identifier(row, name) or _NONE for name in self.key)

    def stratum_of(self, row: Row) -> str:
        """The value, "(none)" where the row lacks it."""
        return UNSTRATIFIED if self.stratum is None else fields.identifier(row, self.stratum) or _NONE

    def version_of(self, row: Row) -> str | None:
        """The value, None where the row lacks it."""
        return None if self.version is None else fields.identifier(row, self.version)

    def session_of(self, row: Row) -> str | None:
        """The value, None where the row lacks it."""
        return None if self.session is None else fields.identifier(row, self.session)


@dataclass(frozen=True, slots=True)
class Sorted:
    """A row with its verdict, and the classifier's hash where the row did not bring it."""

    row: TranscriptRow
    fields: Row
    verdict: Verdict
    classifier: str | None


@dataclass(slots=True)
class Sorter:
    """Gives rows their verdicts: their own, or the classifier's, the built-in one unless another is given."""

    taxonomy: Taxonomy
    classifier: Classifier | None = None

    def sort(self, batch: list[Fed], name: str) -> list[tuple[Sorted | InvalidRow, Place]]:
        """Each row with its verdict, in order; one that has none, or is none, as an InvalidRow."""
        read = [(self._read(row, name), row, place) for row, place in batch]
        waiting = [one for one, _, _ in read if isinstance(one, TranscriptRow) and one.verdict is None]
        said = iter(attempt(self.opened(), [one.response for one in waiting]) if waiting else ())
        found: list[tuple[Sorted | InvalidRow, Place]] = []
        for one, row, place in read:
            if isinstance(one, InvalidRow) or isinstance(row, InvalidRow):
                found.append((one if isinstance(one, InvalidRow) else InvalidRow(name, one.line, "no row"), place))
                continue
            verdict = one.verdict or next(said)
            if isinstance(verdict, UnreadableAnswer):
                found.append((InvalidRow(name, one.line, str(verdict)), place))
                continue
            by = None if one.verdict or self.classifier is None else self.classifier.hash
            found.append((Sorted(one, row, verdict, by), place))
        return found

    def _read(self, row: Row | InvalidRow, name: str) -> TranscriptRow | InvalidRow:
        if isinstance(row, InvalidRow):
            return row
        try:
            return read_row(row, Places(self.taxonomy))  # places of its own: memory must not grow with the stream
        except InvalidInput as error:
            return InvalidRow(name, row.line, str(error))

    def opened(self) -> Classifier:
        """The classifier, which is loaded when it is first needed. Raises InvalidInput where it has other goals."""
        if self.classifier is None:
            self.classifier = load_builtin()
        check_goals(self.classifier, self.taxonomy)
        return self.classifier
