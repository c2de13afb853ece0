"""Webhook and Alertmanager: targets that are posted to."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from ethostat.monitor.alert import CHANGE, CLOSED, DATA_BACK, NO_DATA, RECOVERED
from ethostat.notifying.addresses import ONLY_PUBLIC, Allowed
from ethostat.notifying.notice import TEST, Notice
from ethostat.notifying.posting import DEADLINE, post
from ethostat.notifying.signing import Secret, signed_headers
from ethostat.visible import stripped

_NAMES = {CHANGE: "EthostatChange", NO_DATA: "EthostatNoData"}
_ENDS = {RECOVERED: CHANGE, CLOSED: CHANGE, DATA_BACK: NO_DATA}
_OWN = ("alertname", "stream", "monitor", "severity", "detector")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts the notice's JSON to a URL, signed with every secret given (Standard Webhooks)."""

    url: httpx.URL
    secrets: tuple[Secret, ...] = ()
    allowed: Allowed = ONLY_PUBLIC
    clock: Callable[[], float] = time.time

    def __str__(self) -> str:
        return f"webhook at {self.url.host}"

    @property
    def patience(self) -> float:
        """See `Target`."""
        return DEADLINE

    async def send(self, notice: Notice) -> None:
        """Returns when the receiver answered 2xx; raises DeliveryFailed."""
        body = notice.json
        headers = signed_headers(self.secrets, message_id=notice.message_id, timestamp=int(self.clock()), body=body)
        await post(self.url, body, headers, allowed=self.allowed)


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """Posts to a Prometheus Alertmanager (API v2). `url` is its address, without /api.

    A change fires `EthostatChange`, no data `EthostatNoData`; recovery, a new epoch and the return of data resolve what
    fired, since their labels are the same. An alert that nothing resolves ends after `holds` (a page) or an hour (a
    warning), because nobody repeats it every minute as Prometheus would.
    """

    url: httpx.URL
    allowed: Allowed = ONLY_PUBLIC
    holds: timedelta = timedelta(days=7)
    clock: Callable[[], float] = time.time

    def __str__(self) -> str:
        return f"Alertmanager at {self.url.host}"

    @property
    def patience(self) -> float:
        """See `Target`."""
        return DEADLINE

    async def send(self, notice: Notice) -> None:
        """Returns when it was taken; raises DeliveryFailed."""
        body = json.dumps([self.alert(notice)], ensure_ascii=True, allow_nan=False).encode()
        path = self.url.path.rstrip("/") + "/api/v2/alerts"
        await post(self.url.copy_with(path=path), body, {}, allowed=self.allowed)

    def alert(self, notice: Notice) -> dict[str, Any]:
        """A postableAlert of the API."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        kind, tier = notice.body["kind"], notice.body["tier"]
        fires = _ENDS.get(kind, kind)
        stays = self.holds if tier == "page" or fires == NO_DATA else timedelta(hours=1)
        ends = now if kind in _ENDS else now + (timedelta(minutes=1) if notice.type == TEST else stays)
        labels = {
            "alertname": _NAMES.get(fires, "EthostatTest"),
            "severity": tier,
            "stream": notice.stream,
            "monitor": str(notice.body.get("monitor", "")),
            "detector": str(notice.body.get("detector", "")),
        }
        texts = {"summary": notice.body["message"], "description": notice.text, "alert_id": notice.id}
        found: dict[str, Any] = {
            "labels": _plain(labels | _own_names(notice.labels)),
            "annotations": _plain(texts),
            "endsAt": ends.isoformat(),
        }
        if kind not in _ENDS:
            found["startsAt"] = now.isoformat()
        return found | ({"generatorURL": notice.link} if notice.link else {})


def _own_names(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels under names that Prometheus takes and that are none of ours."""
    found = {}
    for name, value in labels.items():
        plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)[:100] or "_"
        taken = plain in _OWN or not re.match(r"[a-zA-Z_]", plain)
        found[f"label_{plain}" if taken else plain] = value
    return found


def _plain(texts: Mapping[str, str]) -> dict[str, str]:
    """Without control characters; a label that is empty is none to Alertmanager."""
    return {name: stripped(value, most=1000) for name, value in texts.items() if value}
