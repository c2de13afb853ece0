"""Hook: a command that is run for each alert, with the alert as JSON on its standard input. Never a shell."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

from ethostat.errors import InvalidInput
from ethostat.monitor import Alert, Screened
from ethostat.visible import stripped

_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Hook:
    """Runs a program with arguments, and waits for it up to `timeout` seconds; then it and its children are killed.

    A command that fails does not stop anything: `tell` is called with what went wrong. It may see an alert again after
    a crash, under the same `id`.
    """

    command: tuple[str, ...]
    tell: Callable[[str], None]
    timeout: float = 30.0

    @classmethod
    def from_words(cls, words: str, tell: Callable[[str], None], *, timeout: float = 30.0) -> Self:
        """From one line, taken apart as a shell would and not given to one.

        Raises InvalidInput where a quotation does not end, or there is no program of this name.
        """
        try:
            command = tuple(shlex.split(words))
        except ValueError as error:
            raise InvalidInput(
                f"the command {words[:80]!r} cannot be taken apart: {error}; close the quotation"
            ) from error
        if not command or not _is_program(command[0]):
            raise InvalidInput(f"the command {words[:80]!r} names no program that can be run; give its path")
        if not timeout > 0:
            raise InvalidInput(f"the timeout of a command must be above 0 seconds, got {timeout}")
        return cls(command, tell, timeout)

    def __call__(self, alert: Alert | Screened) -> None:
        """Run it for one alert."""
        problem = self._run(json.dumps(alert.to_dict(), ensure_ascii=True).encode() + b"\n")
        if problem is not None:
            self.tell(f"{self.command[0]} failed for alert {alert.id}: {problem}")

    def _run(self, given: bytes) -> str | None:
        """What went wrong, None where nothing did. Files, not pipes: no child can make this wait for longer."""
        with TemporaryFile() as told, TemporaryFile() as said:
            told.write(given)
            told.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603 - the user's own command, as a list
                    self.command, stdin=told, stdout=said, stderr=said, start_new_session=True
                )
            except OSError as error:
                return error.strerror or str(error)
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                return f"it took longer than {self.timeout:g} seconds"
            finally:
                _end(process)
            return f"exit code {code}{_tail(said)}" if code else None


def _is_program(name: str) -> bool:
    folders = [Path()] if os.sep in name else [Path(folder) for folder in os.get_exec_path()]
    return any((folder / name).is_file() and os.access(folder / name, os.X_OK) for folder in folders)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(said: IO[bytes]) -> str:
    """The end of what it wrote, for a message."""
    said.seek(0, os.SEEK_END)
    said.seek(max(said.tell() - _SHOWN, 0))
    text = stripped(said.read().decode(errors="replace").strip(), most=_SHOWN)
    return f": {text}" if text else ""
