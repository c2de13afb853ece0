"""RunFolder: where a run keeps what it has, and whose run a folder holds."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethostat.classifiers.encoder import CARD
from ethostat.errors import InvalidInput
from ethostat.whole import replacing

RUN = "run.json"
"""What the run was told and given; the same again continues it, anything else is refused."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run: `work` holds checkpoints and files that are not finished, and goes when it is."""

    path: Path

    @property
    def work(self) -> Path:
        return self.path / "unfinished"

    @property
    def finished(self) -> Path:
        """In `work`: what is moved into place at the end."""
        return self.work / "finished"

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def check_usable(self) -> None:
        """Raises InvalidInput for a file, a folder with other files, or one that holds a finished run."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInput(f"{self.path} is a file; --out names a folder, new or of an interrupted run")
        if (self.path / CARD).exists():
            raise InvalidInput(f"{self.path} holds a trained classifier; name another folder, or evaluate this one")
        if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / RUN).exists():
            raise InvalidInput(f"{self.path} holds files of something else; name a new folder")

    def claim(self, told: Mapping[str, Any]) -> bool:
        """Make the folder this run's; True where it was so already, and the run is to be continued.

        Raises InvalidInput where it holds another run, naming what differs.
        """
        path = self.path / RUN
        if not path.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(told, indent=1) + "\n")
            return False
        if differing := _differing(_read(path), json.loads(json.dumps(told))):
            raise InvalidInput(
                f"{self.path} holds an interrupted run that differs in {', '.join(differing)}; "
                "repeat its command, or name another folder"
            )
        self.work.mkdir(exist_ok=True)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only this process trains here; the kernel lets go when it ends, however it ends.

        Raises InvalidInput where another one does.
        """
        handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _locked(handle):
                raise InvalidInput(
                    f"{self.path} is being trained in by another process; wait for it, or name another folder"
                )
            yield
        finally:
            os.close(handle)

    def finish(self) -> None:
        """Move what is finished into place, the card last, and drop the checkpoints."""
        finished = sorted(self.finished.iterdir(), key=lambda each: each.name == CARD)
        for each in finished:
            each.replace(self.path / each.name)
        shutil.rmtree(self.work)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_whole(path: Path, text: str) -> None:
    """The whole text or no file. Raises InvalidInput where it cannot be written."""
    try:
        with replacing(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another folder") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}; name a new folder") from error
    return found if isinstance(found, dict) else {}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], above: str = "") -> list[str]:
    """Names of the settings that are not the same in both."""
    found: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        here, there = one.get(key), other.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            found += _differing(here, there, f"{above}{key}.")
        elif here != there:
            found.append(f"{above}{key}")
    return found
