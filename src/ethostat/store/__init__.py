"""The store: runs, prompts, responses, verdicts, labels and failures in any SQL database.

`records` holds what is kept, `tables` how it lies on disk, `database` opens and migrates, `store` reads and
writes, `labels` is what people did, `keeping` writes from an event loop, `export` copies a run into a file.
"""

from __future__ import annotations

from ethostat.store.export import export, transcript_row
from ethostat.store.keeping import RunKeeper
from ethostat.store.labels import Act, Choice, ChosenRow, Standing, Voice, after
from ethostat.store.opening import default_path, opened
from ethostat.store.records import CONVERSATION, Run, RunSetup, Tally, content_hash
from ethostat.store.store import Store

__all__ = [
    "CONVERSATION",
    "Act",
    "Choice",
    "ChosenRow",
    "Run",
    "RunKeeper",
    "RunSetup",
    "Standing",
    "Store",
    "Tally",
    "Voice",
    "after",
    "content_hash",
    "default_path",
    "export",
    "opened",
    "transcript_row",
]
