"""Files that are whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ethostat.whole import append, replacing


def test_the_new_takes_the_place_of_the_old(tmp_path: Path) -> None:
    """After the block the file holds what was written, and nothing lies beside it."""
    path = tmp_path / "state.json"
    path.write_text("old")

    with replacing(path) as unfinished:
        unfinished.write_text("new")

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old(tmp_path: Path) -> None:
    """Where the block raises, the file stays as it was and the unfinished one goes."""
    path = tmp_path / "state.json"
    path.write_text("old")

    with pytest.raises(UnicodeEncodeError), replacing(path) as unfinished:
        unfinished.write_text("half and \udc80")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_old(tmp_path: Path) -> None:
    """A process that dies while it writes has changed nothing at the file's place."""
    path = tmp_path / "state.json"
    path.write_text("old")
    script = (
        "import os, pathlib, signal, sys; from ethostat.whole import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )

    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False, env=os.environ)

    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    """The caller hears what the operating system says."""
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "state.json") as unfinished:
        unfinished.write_text("new")


def test_what_is_added_stands_at_the_end(tmp_path: Path) -> None:
    """A file that is not there begins with it; what was there stays before it."""
    path = tmp_path / "log.jsonl"

    append(path, b"one\n")
    append(path, b"two\n")

    assert path.read_bytes() == b"one\ntwo\n"
