"""Transcripts: responses that were recorded elsewhere.

transcript.py    TranscriptRow, and what all formats share: places among the k samples, ids, verdicts
table.py         rows of JSONL, CSV, Parquet
openai_batch.py  the output of an OpenAI batch, with its requests where they are at hand
inspect_log.py   Inspect's .eval logs, through Inspect's own reader
reading.py       read_transcripts: the one way in
"""

from ethostat.transcripts.reading import read_transcripts
from ethostat.transcripts.table import NO_PROMPT
from ethostat.transcripts.transcript import TranscriptRow

__all__ = ["NO_PROMPT", "TranscriptRow", "read_transcripts"]
