"""Runs of the store: their measurements, their reports, comparisons of two; and a run drawn from what a stream said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethostat.comparing import MARGIN, SHARE_MARGIN, Margins, compare_measured
from ethostat.corrected import correct, stored_labels
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.ledger import Event, Ledger
from ethostat.maths.estimate import Estimate
from ethostat.measured import Measured
from ethostat.measurement import Identity
from ethostat.provenance import installed_versions, provenance_of
from ethostat.recorded import RECORDED
from ethostat.report.compared import comparison_html
from ethostat.report.page import html
from ethostat.response import PromptSet
from ethostat.rows import Row
from ethostat.server.service import NotFound
from ethostat.shift import Shift
from ethostat.store import Run, RunSetup, Store, content_hash
from ethostat.summary import summarise
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts import TranscriptRow
from ethostat.transcripts.table import read_row
from ethostat.transcripts.transcript import Places
from ethostat.workflow import evidence_of, stored_measurement

MOST_RUNS = 100
MOST_DRAWN = 2_000
"""Responses of a stream that become a run."""
_LOOKED_AT = 200_000
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as it is listed: its headline S and aligned share where it was measured."""

    run: Run
    entropy: Estimate | None
    aligned: Estimate | None

    @property
    def is_measured(self) -> bool:
        """Whether it has a report."""
        return self.entropy is not None


def runs_listed(store: Store) -> list[RunLine]:
    """Runs, the latest first."""
    return [_line(run) for run in store.runs(limit=MOST_RUNS)]


def run_of(store: Store, id: str) -> Run:
    """The run of this very id. Raises NotFound."""
    try:
        found = store.get_run(id)
    except InvalidInput as error:
        raise NotFound("there is no such run; the page of runs lists all") from error
    if found.id != id:
        raise NotFound("there is no such run; the page of runs lists all")
    return found


def measured_of(store: Store, id: str) -> Measured:
    """The measurement of a run, with the figures that people's labels correct. Raises NotFound where it has none."""
    run = run_of(store, id)
    if run.measurement is None or run.taxonomy is None:
        raise NotFound("this run was not measured to its end, so that it has no report yet")
    found, taxonomy = stored_measurement(store, run.id)
    labels = stored_labels(store, found)
    if labels is not None:
        found = correct(found, evidence_of(store, found), taxonomy=taxonomy, labels=labels)
    return Measured(found, taxonomy, store, run.id)


def report_of(store: Store, id: str) -> str:
    """The report of a run: the very page that `ethostat report` writes."""
    found = measured_of(store, id)
    assert found.taxonomy is not None  # noqa: S101 - a stored measurement has one
    return html(found.measurement, taxonomy=found.taxonomy, responses=found.evidence())


def shift_of(store: Store, a: str, b: str) -> Shift:
    """B against A, as `ethostat compare` has it. Raises InvalidInput where they are one."""
    if a == b:
        raise InvalidInput("a comparison needs two different runs, one as A and one as B")
    first, second = measured_of(store, a), measured_of(store, b)
    return compare_measured(first, second, Margins.checked(MARGIN, SHARE_MARGIN), np.random.default_rng(0))


def comparison_of(store: Store, a: str, b: str) -> str:
    """The very page that `ethostat compare` writes. Raises as `shift_of`."""
    return comparison_html([shift_of(store, a, b)])


def draw_run(store: Store, ledger: Ledger, *, tenant: str, stream: str, taxonomy: Taxonomy, classifier: str) -> Run:
    """A run of the latest responses of a stream whose texts are kept, with the verdicts that they were given.

    Which texts are kept is decided by a hash of their ids, so that they are a random sample. Drawn again while nothing
    new was kept, it is the same run. Raises NotFound for no such stream, TooLittleEvidence where no text is kept.
    """
    position = ledger.find_stream(tenant, stream)
    if position is None:
        raise NotFound("there is no such stream; the first page lists all")
    kept = _kept(ledger, position.stream_key, position.cursor)
    rows = _rows(kept, taxonomy)
    if not rows:
        raise TooLittleEvidence(
            f"no response of {stream!r} is kept with its text; serve with --store-text sampled or all"
        )
    prompts = PromptSet(
        f"stream {stream}", tuple({row.response.prompt.id: row.response.prompt for row in rows}.values())
    )
    hashes = {one.classifier for one in kept}
    by = next(iter(hashes)) if len(hashes) == 1 else None
    identity = Identity(RECORDED, taxonomy.hash) if by is None else Identity(classifier, by)
    setup = RunSetup(
        model=f"stream:{stream}",
        identity={"stream": stream, "rows": content_hash([row.response.id for row in rows])},
        prompts=prompts,
        taxonomy=taxonomy.to_dict(),
        classifier=identity.to_dict(),
        versions=installed_versions(),
    )
    known = next((run for run in store.runs() if run.identity == setup.identity and run.measurement is not None), None)
    return known or _recorded(store, setup, rows, taxonomy, identity)


def _recorded(
    store: Store, setup: RunSetup, rows: Sequence[TranscriptRow], taxonomy: Taxonomy, identity: Identity
) -> Run:
    run, verdicts = store.start_run(setup), [row.verdict for row in rows if row.verdict is not None]
    responses = [row.response for row in rows]
    store.add_responses(run.id, responses)
    store.add_verdicts(run.id, identity.hash, responses, verdicts)
    where = provenance_of(run, setup.prompts, classifier=identity, taxonomy=taxonomy)
    found = summarise(verdicts, prompts=setup.prompts, taxonomy=taxonomy, provenance=where)
    return store.finish_run(run.id, found.to_dict())


def _kept(ledger: Ledger, stream_key: int, cursor: int) -> list[Event]:
    """The latest events with a verdict and a text, the oldest first."""
    found: list[Event] = []
    end = cursor
    while end > max(cursor - _LOOKED_AT, 0) and len(found) < MOST_DRAWN:
        start = max(end - _PAGE, 0)
        page = ledger.events(stream_key, after=start, most=end - start)
        here = [one for one in page if one.seq <= end and one.goal is not None and one.response is not None]
        found = here + found
        end = start
    return found[-MOST_DRAWN:]


def _rows(events: Sequence[Event], taxonomy: Taxonomy) -> list[TranscriptRow]:
    places, rows = Places(taxonomy), []
    for event in events:
        try:
            rows.append(read_row(Row(event.seq, _fields(event)), places))
        except InvalidInput:  # no goal of this taxonomy any more, or a prompt that answers itself
            continue
    return rows


def _fields(event: Event) -> Mapping[str, Any]:
    turns = None
    if event.prompt is not None:
        turns = [{"role": turn.role, "content": turn.content} for turn in event.prompt.messages]
    probabilities = None if event.probabilities is None else list(event.probabilities)
    return {
        "id": event.id,
        "messages": turns,
        "response": event.response,
        "goal": event.goal,
        "probabilities": probabilities,
        "typicality": event.typicality,
        "model": event.model,
        "time": event.time,
    }


def _line(run: Run) -> RunLine:
    found = run.measurement or {}
    if "entropy" not in found:
        return RunLine(run, None, None)
    within, pooled, aligned = (Estimate.from_dict(found[key]) for key in ("entropy", "pooled_entropy", "aligned"))
    return RunLine(run, within if within.is_defined else pooled, aligned)
