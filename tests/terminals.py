"""A real terminal for the real command: a pseudo-terminal, the keys that a person presses, the pictures it was sent."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Self

# The terminal becomes the process's own, so that Ctrl-C and Ctrl-Z reach it.
START = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nfrom ethostat.cli import main; main()"
OWN_SEQUENCES = re.compile(r"\x1b\[(?:\?(?:1049|25|7|2004|2026)[hl]|[0-9;]*m|H|K|J|\d+;\d+H)")
PICTURE = re.compile(r"\x1b\[\?2026h(.*?)\x1b\[\?2026l", re.DOTALL)
PATIENCE = 40.0


def plain(sent: str) -> str:
    """What was sent without the sequences that are ours, and with plain ends of lines."""
    return re.sub(r"\r+\n", "\n", OWN_SEQUENCES.sub("", sent))


class Terminal:
    """`ethostat ARGUMENTS` at a terminal of this size."""

    def __init__(self, *arguments: str, folder: Path, columns: int = 80, rows: int = 24) -> None:
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        self.slave, self.sent = slave, ""
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "XDG_DATA_HOME": str(folder),
            "PYTHONIOENCODING": "utf-8",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=folder, env=environment,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, columns: int, rows: int) -> None:
        """Another size of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Keys in one go, as a terminal sends them."""
        os.write(self.master, keys.encode())

    def press_and_see(self, keys: str, text: str) -> str:
        """Press keys at a person's pace, and wait for a new picture with this text."""
        time.sleep(0.12)
        start = len(self.sent)
        self.press(keys)
        return self.see(text, start=start)

    def see(self, text: str, *, start: int = 0) -> str:
        """Wait until the last picture has this text; gives it without colours."""
        return self.wait(lambda: text in self.picture(start), what=text) and self.picture(start)

    def picture(self, start: int = 0) -> str:
        """The last picture that was sent whole."""
        found = PICTURE.findall(self.sent[start:])
        return plain(found[-1]) if found else ""

    def wait(self, is_so, *, what: str) -> bool:
        """Read what is sent until something is so."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, f"waited for {what!r}; the terminal shows:\n{self.sent[-3000:]!r}"
            had_ended = self.process.poll() is not None
            assert self._read(0.05) or not had_ended or is_so(), f"it ended, having sent:\n{self.sent[-3000:]!r}"
        return True

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        """Wait for the process; gives its exit code, with everything it sent in `sent`."""
        self.wait(lambda: self.process.poll() is not None, what="the end")
        while self._read(0.05):
            pass
        return self.process.returncode

    def is_given_back(self) -> bool:
        """Whether the terminal's mode is what it was."""
        return termios.tcgetattr(self.slave) == self.before

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.sent += os.read(self.master, 65536).decode("utf-8", "replace")
        return True
