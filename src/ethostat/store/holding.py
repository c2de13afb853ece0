"""Holds: which runs are being sampled, so that no two processes ask for the same responses."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Holds:
    """Locks on numbers, held by this process and seen by all on this machine.

    The kernel frees them when the process ends, however it ends: a run whose process was killed can be resumed at
    once. Where `path` is None (a database that is not a file) nothing is held and every number can be had.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None

    def take(self, number: int) -> bool:
        """Hold a number; False where another process holds it."""
        file = self._open()
        if file is None:
            return True
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except BlockingIOError:
            return False
        return True

    def wait_for(self, number: int) -> None:
        """Hold a number, as soon as no other process does."""
        file = self._open()
        if file is not None:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, number)

    def release(self, number: int) -> None:
        """Let others have a number."""
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)

    def close(self) -> None:
        """Let others have all numbers. Safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int | None:
        if self._file is None and self._path is not None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._file
