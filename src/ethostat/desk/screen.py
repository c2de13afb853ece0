"""Screen: a terminal taken over for as long as a block lasts. Keys come one at a time, pictures go out whole.

It knows nothing of what is shown. Text given to it must already be safe to show (see `visible`).
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.text import Text

from ethostat.errors import InvalidInput

RESIZED, ENDED, PASTED, ESCAPE, UNKNOWN = "resized", "ended", "pasted", "escape", "unknown"
_LOOK_EVERY = 0.2
"""Seconds between looks at the terminal's size."""
_REST_OF_A_KEY = 0.05
"""Seconds in which the rest of an escape sequence comes; later, it was the escape key."""
_NAMES = {
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\t": "tab", "\x15": "ctrl-u",
    "\x17": "ctrl-w", "\x0c": "ctrl-l", "\x04": ENDED,
}  # fmt: skip
_SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "1~": "home", "7~": "home", "4~": "end", "8~": "end", "5~": "page up", "6~": "page down",
}  # fmt: skip
_SEQUENCE = re.compile(rb"\x1b(?:\[([0-?]*[ -/]*[@-~])|O(.)|(\[?\Z))", re.DOTALL)
_PASTE, _PASTE_END = "200~", b"\x1b[201~"
# Alternate screen, no cursor, no wrapping at the edge (a width that the terminal sees otherwise spoils one line, not
# all), and pasted text in brackets, so that it is not taken for keys.
_TAKE, _GIVE_BACK = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h", "\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"


@dataclass(frozen=True, slots=True)
class Key:
    """A key press: a character, or a name such as "up", "enter", "resized".

    `text` is what was pasted; `after` is the time since the key before it, in seconds, and 0 for a key that was pressed
    before the last picture was there.
    """

    name: str
    text: str = ""
    after: float = float("inf")


class Screen:
    """The terminal of standard input and output, given back as it was however the block ends.

    Raises InvalidInput where there is no terminal that can move its cursor.
    """

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InvalidInput(
                "labelling needs a terminal for keys and picture, and standard input or output is none; run it in one, "
                "without pipes (over ssh: ssh -t)"
            )
        if os.environ.get("TERM", "dumb") == "dumb":
            raise InvalidInput("labelling needs a terminal that can move its cursor; TERM is 'dumb' or not set")
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._colours: Any = Console().color_system
        self._waiting = b""
        self._seen = (0, 0)
        self._is_interrupted = False
        self._pressed = float("-inf")
        self._before: list[Any] = []
        self._signals: dict[signal.Signals, Any] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, each at least 1."""
        columns, rows = os.get_terminal_size(self._out)
        return max(columns, 1), max(rows, 1)

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._in)
        self._signals = {
            signal.SIGTSTP: signal.signal(signal.SIGTSTP, self._stop),
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._interrupt),
            signal.SIGHUP: signal.signal(signal.SIGHUP, self._interrupt),
        }
        self._take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._give_back()
        for number, before in self._signals.items():
            signal.signal(number, before)

    def draw(self, lines: Sequence[Text], *, cursor: tuple[int, int] | None = None) -> None:
        """Show these lines, from the top; what does not fit is cut. `cursor` is (row, column), from 0."""
        columns, rows = self._seen = self.size
        console = Console(
            width=columns, force_terminal=True, color_system=self._colours, highlight=False, legacy_windows=False
        )
        picture = ["\x1b[?2026h\x1b[?25l\x1b[H"]
        for number, line in enumerate(lines[:rows]):
            with console.capture() as capture:
                console.print(line, end="", no_wrap=True, overflow="crop", crop=True)
            picture.append(("\r\n" if number else "") + capture.get().rstrip("\n") + "\x1b[0m\x1b[K")
        picture.append("\x1b[J")
        if cursor is not None:
            picture.append(f"\x1b[{min(cursor[0], rows - 1) + 1};{min(cursor[1], columns - 1) + 1}H\x1b[?25h")
        self._say("".join(picture) + "\x1b[?2026l")
        while self._is_ready(0) and self._read():
            pass  # pressed before this picture was there: `key` has to know

    def key(self) -> Key:
        """The next key; waits for it. A window of another size is a key, and so is the end of the input."""
        is_early = bool(self._waiting)
        while not self._waiting:
            if self._is_interrupted:
                raise KeyboardInterrupt
            if self._is_ready(_LOOK_EVERY):
                if not self._read():
                    return Key(ENDED)
            elif self.size != self._seen:
                return Key(RESIZED)
        now = time.monotonic()
        after, self._pressed = now - self._pressed, now
        name, text = self._next()
        return Key(name, text, 0.0 if is_early else after)

    def _next(self) -> tuple[str, str]:
        """The first key of what is waiting, and the text if it was pasted."""
        if self._waiting[:1] != b"\x1b":
            return self._character(), ""
        while (found := _SEQUENCE.match(self._waiting)) and found[3] is not None and self._more():
            pass
        if found is None or found[3] is not None:  # alone, or before a character: Alt and a key
            is_alone = len(self._waiting) == 1
            self._waiting = b"" if is_alone else self._waiting[2:]
            return (ESCAPE if is_alone else UNKNOWN), ""
        self._waiting = self._waiting[found.end() :]
        code = (found[1] or found[2]).decode("ascii", "replace")
        return (PASTED, self._pasted()) if code == _PASTE else (_SEQUENCES.get(code, UNKNOWN), "")

    def _character(self) -> str:
        first = self._waiting[0]
        size = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        while len(self._waiting) < size and self._more():
            pass
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        try:
            character = taken.decode()
        except UnicodeDecodeError:
            return UNKNOWN
        return _NAMES.get(character, character if character.isprintable() else UNKNOWN)

    def _pasted(self) -> str:
        while _PASTE_END not in self._waiting and self._more():
            pass
        text, _, self._waiting = self._waiting.partition(_PASTE_END)
        return text.decode("utf-8", "replace")

    def _more(self) -> bool:
        """Read more of a key that has begun; False where nothing comes."""
        return self._is_ready(_REST_OF_A_KEY) and self._read()

    def _read(self) -> bool:
        """Take up what was pressed; False at the end of the input."""
        read = os.read(self._in, 65536)
        self._waiting += read
        return bool(read)

    def _is_ready(self, seconds: float) -> bool:
        return bool(select.select([self._in], [], [], seconds)[0])

    def _take(self) -> None:
        tty.setcbreak(self._in)  # Ctrl-C and Ctrl-Z stay signals
        mode = termios.tcgetattr(self._in)
        mode[0] &= ~(termios.IXON | termios.ICRNL)  # Ctrl-S must not freeze the picture
        termios.tcsetattr(self._in, termios.TCSAFLUSH, mode)  # what was typed before the first picture judges nothing
        self._say(_TAKE)

    def _give_back(self) -> None:
        try:
            self._say(_GIVE_BACK)
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)
        except (OSError, termios.error):
            return  # the terminal is gone

    def _say(self, text: str) -> None:
        # Not through sys.stdout: a partial flush must not leave half a picture in its buffer.
        rest = text.encode(sys.stdout.encoding or "utf-8", "replace")
        while rest:
            rest = rest[os.write(self._out, rest) :]

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        # Where it is raised in the midst of clean-up, Python drops the exception: the next wait for a key raises it.
        self._is_interrupted = True
        raise KeyboardInterrupt

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: give the terminal back, sleep, and take it again."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._seen = (0, 0)
