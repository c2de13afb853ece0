"""Chat: mail, Slack, Teams, Telegram and a hundred other services, through apprise (extra `notify`)."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ethostat.errors import DeliveryFailed, InvalidInput, MissingExtra
from ethostat.notifying.addresses import ONLY_PUBLIC, Allowed, reachable
from ethostat.notifying.notice import Notice
from ethostat.visible import stripped

_DEADLINE = 60.0
# Our own webhook signs, retries and looks where it connects; these of apprise's would do neither.
_OURS = ("json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises")


@dataclass(frozen=True, slots=True)
class Chat:
    """A service of apprise, named by its URL (`slack://...`, `mailtos://...`), which holds its password.

    `host` is the machine that the URL names, where the service is not a fixed one; it is judged before each message.
    """

    scheme: str
    service: Any = field(repr=False)
    host: str | None = None
    allowed: Allowed = ONLY_PUBLIC

    @classmethod
    def read(cls, url: str, *, allowed: Allowed = ONLY_PUBLIC) -> Chat:
        """Raises InvalidInput where apprise does not know the URL, MissingExtra where there is no apprise."""
        try:
            import apprise
        except ModuleNotFoundError as error:
            raise MissingExtra("apprise", "notify") from error
        scheme = url.split("://", 1)[0].lower()
        if scheme in _OURS:
            raise InvalidInput(f"{scheme}:// is not sent through apprise; use an https:// webhook, which is signed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what apprise itself loads here
            service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            raise InvalidInput(
                f"apprise cannot read this {stripped(scheme, most=20)}:// URL; its pages show the form of each service"
            )
        named = getattr(service, "host", None)
        is_machine = isinstance(named, str) and ("." in named or named == "localhost")
        return cls(scheme, service, named if is_machine else None, allowed)

    def __str__(self) -> str:
        return f"{self.scheme} (apprise)"

    @property
    def patience(self) -> float:
        """See `Target`."""
        return _DEADLINE

    async def send(self, notice: Notice) -> None:
        """Returns when the service took it; raises DeliveryFailed with what apprise wrote to its log."""
        if self.host is not None:
            await reachable(self.host, 443, self.allowed)
        try:
            async with asyncio.timeout(_DEADLINE):
                is_sent, said = await asyncio.to_thread(self._send, notice)
        except TimeoutError as error:
            raise DeliveryFailed(f"{self} did not end within {_DEADLINE:g} s") from error
        if not is_sent:
            raise DeliveryFailed(f"{self} did not take the message{said and f': {said}'}")

    def _send(self, notice: Notice) -> tuple[bool, str]:
        import apprise

        kind = apprise.NotifyType.FAILURE if notice.body["tier"] == "page" else apprise.NotifyType.WARNING
        with _overheard() as lines:
            sender = apprise.Apprise()
            sender.add(self.service)
            is_sent = sender.notify(
                title=notice.title, body=notice.text, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
        return bool(is_sent), stripped("; ".join(lines()), most=200)


class _overheard:  # noqa: N801 - a context
    """What apprise says at level WARNING or above while the block lasts."""

    def __enter__(self) -> Callable[[], list[str]]:
        self._lines: list[str] = []
        self._ear = logging.Handler(logging.WARNING)
        self._ear.emit = lambda record: self._lines.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("apprise").addHandler(self._ear)
        return lambda: self._lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self._ear)
