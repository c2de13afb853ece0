"""Files on disk: whole or not there, written beside their place and moved; or added to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"
"""How the name ends of what a process that was killed left unfinished beside its place."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path`; what the block writes there takes the place of `path` when it ends without an error.

    Whenever the process or the machine dies, `path` holds what it held before or all of the new. Raises OSError.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        yield unfinished
        _to_disk(unfinished)
        unfinished.replace(path)
        _to_disk(path.absolute().parent)
    finally:
        unfinished.unlink(missing_ok=True)


def append(path: Path, added: bytes) -> None:
    """Add to the end of a file, and return once that is on disk. Raises OSError."""
    with path.open("ab") as file:
        file.write(added)
        file.flush()
        os.fsync(file.fileno())


def _to_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
