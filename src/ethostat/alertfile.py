"""AlertFile: a JSONL file that gets each alert exactly once, over crashes, whoever else writes to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.whole import append


@dataclass(frozen=True, slots=True)
class AlertFile:
    """Alerts are added at its end; with no `path` they go nowhere.

    Whoever adds one first keeps it, and the file's `size`, in a state that outlives a crash. After a crash the same
    `add` writes what is missing of it and nothing else. Raises InvalidInput where the file cannot be read or written.
    """

    path: Path | None

    @property
    def size(self) -> int:
        """Bytes that it holds by now."""
        return self.path.stat().st_size if self.path is not None and self.path.exists() else 0

    def add(self, alert: Mapping[str, Any], *, since: int) -> None:
        """Add an alert as a line, unless it stands behind the first `since` bytes; half of it is completed."""
        if self.path is None:
            return
        line = json.dumps(alert, ensure_ascii=True, allow_nan=False).encode() + b"\n"
        behind = self._behind(since)
        ended = behind.rfind(b"\n") + 1
        if line in behind[:ended].splitlines(keepends=True):
            return
        unfinished = behind[ended:]
        missing = line.removeprefix(unfinished) if line.startswith(unfinished) else b"\n" + line
        try:
            append(self.path, missing)
        except OSError as error:
            raise self._problem("written", error) from error

    def _behind(self, since: int) -> bytes:
        """What stands behind so many bytes; all of it where it is shorter, since it is another file then."""
        try:
            assert self.path is not None  # noqa: S101 - `add` has seen to it
            with self.path.open("rb") as file:
                file.seek(since if since <= self.size else 0)
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self._problem("read", error) from error

    def _problem(self, done: str, error: OSError) -> InvalidInput:
        return InvalidInput(f"{self.path} cannot be {done}: {error.strerror or error}; choose another path")
