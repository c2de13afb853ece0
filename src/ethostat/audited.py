"""AuditSet: an Audit's responses, and how many responses of a stream come between two rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethostat.classifiers import Classifier, attempt
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.monitor import Alert, Audit, AuditPlan
from ethostat.response import Response, Verdict
from ethostat.rows import read_rows
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.transcripts.table import read_row
from ethostat.transcripts.transcript import Places


@dataclass(slots=True)
class AuditSet:
    """Responses with the verdicts that they had; a round is due at first, and after `every` responses of the stream."""

    responses: Sequence[Response]
    audit: Audit
    every: int = 500
    _since: int | None = None
    _asked: str | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidInput(f"an audit must come after 1 response or more, got {self.every}")

    @property
    def is_due(self) -> bool:
        """Whether the classifier is to be asked now."""
        return self._since is None or self._since >= self.every

    def count(self) -> None:
        """One response of the stream."""
        self._since = None if self._since is None else self._since + 1

    def ask(self, classifier: Classifier, *, time: str | None = None) -> Alert | None:
        """One round: what the classifier says now. An alert where it moved. Raises InvalidInput as `Audit.take`.

        Another classifier than before, by its hash, is there on purpose, and the audit begins anew.
        """
        if self._asked not in (None, classifier.hash):
            self.audit.begin()
        self._asked = classifier.hash
        said = attempt(classifier, [self.responses[place] for place in self.audit.places])
        self._since = 0
        return self.audit.take([one.goal if isinstance(one, Verdict) else None for one in said], time=time)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the responses."""
        return {"since": self._since, "asked": self._asked, "audit": self.audit.to_dict()}

    def restore(self, fields: Mapping[str, Any] | None) -> None:
        """Go on where `to_dict` was taken. Raises InvalidInput where it was of another set or plan."""
        if fields is None:
            raise InvalidInput("the state was made without an audit; leave it out, or use another state file")
        self._since, self._asked = fields["since"], fields["asked"]
        self.audit.restore(fields["audit"])


def read_audit(
    path: Path | str,
    *,
    taxonomy: Taxonomy = FIVE_GOALS,
    every: int = 500,
    plan: AuditPlan | None = None,
    name: str = "monitor",
) -> AuditSet:
    """The audit set of a file of responses with verdicts, as `classify` writes them.

    Raises InvalidInput naming the first row without a response or a verdict.
    """
    responses, goals, places = [], [], Places(taxonomy)
    for row in read_rows(str(path)):
        if isinstance(row, InvalidRow):
            raise row
        try:
            read = read_row(row, places)
        except InvalidInput as error:
            raise InvalidRow(str(path), row.line, str(error)) from error
        if read.verdict is None or not read.response.text:
            raise InvalidRow(
                str(path), row.line, "an audit needs `response` and the `goal` that it had; classify the file"
            )
        responses.append(read.response)
        goals.append(read.verdict.goal)
    return AuditSet(responses, Audit(goals, taxonomy=taxonomy, plan=plan, name=name), every)
