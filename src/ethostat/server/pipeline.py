"""The pipeline: from what is told to alerts, all of it over one ledger.

offer -> Intake -> log on disk -> Classifying (what has no verdict) -> Following (monitors) -> alerts
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ethostat.errors import EthostatError
from ethostat.ledger import Ledger
from ethostat.monitor import Alert, Monitor
from ethostat.server.classifying import Classifying, Judged
from ethostat.server.evaluations import Evaluations
from ethostat.server.following import Following, Routes
from ethostat.server.intake import Full, Intake
from ethostat.server.settings import ServeSettings
from ethostat.taxonomy import Taxonomy

__all__ = ["Full", "Hooks", "Intake", "Pipeline"]

_log = logging.getLogger("ethostat.server.pipeline")
_DAY, _HOUR = 86_400.0, 3_600.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told of what: where alerts go, each alert that is on disk (tenant, stream), and how long things took."""

    routes: Routes = lambda _position, _alert: ()
    on_alert: Callable[[str, str, Alert], None] = lambda _tenant, _stream, _alert: None
    on_commit: Callable[[float, int], None] = lambda _seconds, _events: None
    on_step: Callable[[float, int], None] = lambda _seconds, _events: None


class Pipeline:
    """Intake, classification and monitors of one process over one ledger."""

    def __init__(self, ledger: Ledger, settings: ServeSettings, hooks: Hooks | None = None) -> None:
        told = hooks or Hooks()
        self.ledger, self.settings = ledger, settings
        keep = settings.texts.keep
        self.following = Following(
            ledger,
            settings.template,
            grouping=settings.grouping,
            routes=told.routes,
            on_alert=told.on_alert,
            on_step=told.on_step,
        )
        self.classifying = Classifying(
            ledger,
            self.following,
            classifier=settings.classifier,
            taxonomy=settings.template.taxonomy,
            workers=settings.workers,
            keeps_text=keep,
            on_judged=self._judged,
        )
        self.intake = Intake(
            ledger,
            keeps_text=lambda event: keep(event.id),
            bounds=settings.bounds,
            on_written=self._written,
            on_commit=told.on_commit,
        )
        taxonomy, endpoint = settings.template.taxonomy, settings.evaluations
        self.evaluations = None if endpoint is None else Evaluations(endpoint, taxonomy, self._named)
        self._forgetting = threading.Thread(target=self._forget, name="forgetting", daemon=True)
        self._stopping = threading.Event()

    @property
    def template(self) -> Monitor:
        """What a new stream's monitor begins as."""
        return self.settings.template

    @property
    def taxonomy(self) -> Taxonomy:
        """The goals of all streams."""
        return self.settings.template.taxonomy

    def start(self) -> None:
        """Take the ledger, and begin. Raises StoreError where another process serves the same file."""
        self.ledger.hold()
        template = self.settings.template
        edition = self.ledger.publish(template.taxonomy.to_dict(), template.taxonomy.hash, template.baseline.to_dict())
        self.intake.edition = self.classifying.edition = edition.number
        if self.evaluations is not None:
            self.evaluations.start()
        self.following.start()
        self.classifying.start()
        self.intake.start()
        if self.settings.retention is not None:
            self._forgetting.start()

    def stop(self) -> None:
        """Write what waits, finish the step under way, end the workers. What is on disk is taken up the next time."""
        self._stopping.set()
        self.intake.stop()
        self.classifying.stop()
        self.following.stop()
        if self.evaluations is not None:
            self.evaluations.stop()
        if self._forgetting.is_alive():
            self._forgetting.join()
        self.ledger.close()

    @property
    def is_alive(self) -> bool:
        """Whether its threads run."""
        return self.intake.is_alive and self.classifying.is_alive and self.following.is_alive

    def errors(self) -> dict[str, str | None]:
        """Why a part cannot work now, by part; None where it can."""
        return {
            "intake": self.intake.error,
            "classifying": self.classifying.error,
            "following": self.following.error,
        }

    @staticmethod
    def now() -> float:
        """Seconds since 1970."""
        return time.time()

    def _judged(self, judged: Sequence[Judged]) -> None:
        self.following.wake()
        if self.evaluations is not None:
            self.evaluations.offer(judged)

    def _named(self, key: int) -> tuple[str, str] | None:
        found = self.ledger.position(key)
        return None if found is None else (found.tenant, found.stream)

    def _written(self, begins: bool, waits: bool) -> None:
        self.following.wake(claim=begins)
        if waits:
            self.classifying.wake()

    def _forget(self) -> None:
        assert self.settings.retention is not None  # noqa: S101 - started only then
        began = time.time() - time.monotonic()  # a clock that is set forward by mistake must not delete anything
        while not self._stopping.wait(min(_HOUR, self.settings.retention * _DAY / 10)):
            try:
                gone = self.ledger.forget(began + time.monotonic() - self.settings.retention * _DAY)
                _log.info("old events deleted", extra={"fields": {"events": gone}})
            except EthostatError as error:
                _log.warning("old events stay", extra={"fields": {"error": str(error)}})
