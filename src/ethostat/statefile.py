"""StateFile: one JSON value on disk, replaced as a whole, and one writer at a time."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import IO, Any, Self

from ethostat.errors import InUse, InvalidInput
from ethostat.whole import replacing

_FORMAT = 1


class StateFile:
    """Opened, it holds a lock beside the file until it is closed; a process that dies gives it back.

    Raises InUse where another process holds it, InvalidInput where it is no state, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._lock = self._beside(".lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.__exit__()
            raise InUse(f"{self.path} is in use by another process; stop it, or use another file") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidInput(f"{str(self.path)!r} cannot be written: {reason}; choose another path") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    def read(self) -> dict[str, Any] | None:
        """What was written last; None where nothing was."""
        try:
            fields = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{self.path} cannot be read as a state: {error}; remove it to begin anew") from error
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise InvalidInput(f"{self.path} is no state of format {_FORMAT}; remove it to begin anew")
        return fields

    def write(self, fields: dict[str, Any]) -> None:
        """Replace it: after a crash it holds the old value or the new one, whole."""
        try:
            with replacing(self.path) as unfinished:
                unfinished.write_bytes(json.dumps({"format": _FORMAT, **fields}, ensure_ascii=True).encode())
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be written: {error.strerror or error}; choose another") from error

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)
