"""Command: a program that is started with the alert on its standard input: retrain, roll back."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from ethostat.errors import DeliveryFailed, InvalidInput
from ethostat.notifying.notice import Notice
from ethostat.visible import stripped

_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Command:
    """A list of arguments, run as it is, without a shell; nothing of an alert becomes an argument.

    The notice's JSON comes on standard input. Exit code 0 is delivered. After `timeout` seconds the program and what it
    started are killed. It may be run again for the same alert id, and must bear that.
    """

    arguments: tuple[str, ...]
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if not self.arguments or not all(isinstance(one, str) and "\0" not in one for one in self.arguments):
            raise InvalidInput(f"a command must be a list of at least one text, got {self.arguments!r:.80}")
        if not 0 < self.timeout <= 86_400:
            raise InvalidInput(f"a command's timeout must be above 0 and at most 86400 seconds, got {self.timeout}")

    def __str__(self) -> str:
        return f"command {stripped(self.arguments[0], most=80)}"

    @property
    def patience(self) -> float:
        """See `Target`."""
        return self.timeout

    async def send(self, notice: Notice) -> None:
        """Returns when it ended with 0; raises DeliveryFailed with the end of what it wrote to standard error."""
        # Files, not pipes: what it leaves running in the background may keep them, and nobody waits for it.
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
            told.write(notice.json)
            told.seek(0)
            code = await self._run(told, said)
            if code != 0:
                said.seek(max(said.seek(0, os.SEEK_END) - _KEPT, 0))
                words = stripped(said.read().decode("utf-8", "replace"))[-300:]
                raise DeliveryFailed(f"{self} ended with {code}{words and f': {words}'}")

    async def _run(self, told: IO[bytes], said: IO[bytes]) -> int:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.arguments,
                stdin=told,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                env=_environment(os.environ),
                start_new_session=True,
            )
        except OSError as error:
            raise DeliveryFailed(
                f"{self} cannot be started: {error.strerror}; check the path", for_good=True
            ) from error
        try:
            async with asyncio.timeout(self.timeout):
                return await process.wait()
        except TimeoutError as error:
            raise DeliveryFailed(f"{self} did not end within {self.timeout:g} s and was killed") from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """All but our own settings, which hold keys of models and secrets of webhooks."""
    return {name: value for name, value in given.items() if not name.startswith("ETHOSTAT_")}
