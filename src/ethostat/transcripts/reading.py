"""read_transcripts: recorded responses from any format that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.rows import Row, read_rows
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts import inspect_log, openai_batch, table
from ethostat.transcripts.transcript import Places, TranscriptRow


def read_transcripts(
    source: Path | str, *, taxonomy: Taxonomy | None, requests: Path | None = None
) -> Iterator[TranscriptRow | InvalidRow]:
    """The responses of a file, in order, as they are read; a row that cannot be used as an InvalidRow in its place.

    JSONL, CSV, TSV and Parquet rows, OpenAI batch output (`requests`: the file that the batch was made from, for
    the prompts) and Inspect .eval logs. "-" is JSONL on standard input. Rows with equal prompts, or with the same
    `prompt_id`, are samples of one prompt. Without a taxonomy the verdicts that rows carry are not read. Raises
    InvalidInput when the whole file is unusable, MissingExtra for a log without inspect-ai.
    """
    places = Places(taxonomy)
    if Path(source).suffix.lower() == ".eval":
        if not Path(source).is_file():
            raise InvalidInput(f"{source}: is not a file; check the path")
        return inspect_log.read_log(Path(source), places)
    asked = None if requests is None else openai_batch.read_requests(requests)
    return responses_of(read_rows(source), places, name=str(source), requests=asked)


def responses_of(
    rows: Iterable[Row | InvalidRow], places: Places, *, name: str, requests: openai_batch.Requests | None = None
) -> Iterator[TranscriptRow | InvalidRow]:
    """The responses that rows of a file hold, in order; a row that cannot be used as an InvalidRow in its place."""
    for row in rows:
        if isinstance(row, InvalidRow):
            yield row
            continue
        try:
            if openai_batch.is_batch(row):
                yield from openai_batch.read_row(row, places, requests)
            else:
                yield table.read_row(row, places)
        except InvalidInput as error:
            yield InvalidRow(name, row.line, str(error))
