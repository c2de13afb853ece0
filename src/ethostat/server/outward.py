"""Alerts out: the courier beside the pipeline, and what people see and do of targets and deliveries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ethostat.errors import DeliveryFailed, InvalidInput
from ethostat.ledger import Position
from ethostat.monitor import Alert
from ethostat.notifying import Claim, Courier, Notice, Routing
from ethostat.notifying.kept import LedgerOutbox
from ethostat.notifying.outbox import DEAD, QUEUED, SENT, Delivery
from ethostat.server.service import NotFound, Service, as_json, route, tenant_of
from ethostat.visible import stripped

_MOST = 1_000
_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Outward:
    """Where alerts go. `address` is how people reach the service, for links; None gives none."""

    outbox: LedgerOutbox
    routing: Routing
    address: str | None = None

    def routes(self, position: Position, alert: Alert) -> Sequence[str]:
        """The targets of an alert, as the pipeline asks for them when it writes one."""
        if not self.routing.targets:
            return ()
        labels = self.outbox.labels_of(position.stream_key, {"exemplars": alert.exemplars})
        return self.routing.targets_of(
            stream=position.stream, tier=alert.tier, kind=alert.kind, labels=labels, tenant=position.tenant
        )

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """While this lasts, what is due is delivered."""
        courier = asyncio.create_task(Courier(self.outbox, self.routing.targets, link=self._link).run())
        try:
            yield
        finally:
            courier.cancel()
            with suppress(asyncio.CancelledError):
                await courier
            await asyncio.to_thread(self.outbox.close)

    def _link(self, claim: Claim) -> str | None:
        return None if self.address is None else f"{self.address}/alerts/{quote(str(claim.body['id']), safe='')}"


def outward_routes(service: Service, outward: Outward) -> list[Route]:
    """Targets and deliveries."""

    async def get_targets(_service: Service, _request: Request) -> Response:
        found = [{"name": name, "kind": str(target)} for name, target in outward.routing.targets.items()]
        return as_json({"targets": found})

    async def test_target(service: Service, request: Request) -> Response:
        name = request.path_params["name"]
        target = outward.routing.targets.get(name)
        if target is None:
            raise NotFound(f"there is no target {stripped(name, most=40)!r}; the file of targets names them")
        try:
            await target.send(Notice.test(name, now=service.pipeline.now()))
        except DeliveryFailed as error:
            return as_json({"arrived": False, "error": str(error)})
        return as_json({"arrived": True, "error": None})

    async def get_deliveries(_service: Service, request: Request) -> Response:
        alert, state = request.query_params.get("alert"), request.query_params.get("state", DEAD)
        if state not in (QUEUED, SENT, DEAD, "any") or not (alert is None or _WHOLE.fullmatch(alert)):
            raise InvalidInput("`state` must be queued, sent, dead or any, and `alert` the number of an alert")
        found = await asyncio.to_thread(
            outward.outbox.find,
            tenant=tenant_of(request),
            alert=None if alert is None else int(alert),
            state=None if state == "any" else state,
            most=_MOST,
        )
        return as_json({"deliveries": [_view(one) for one in found]})

    async def revive(service: Service, request: Request) -> Response:
        alert, target = request.path_params["alert"], request.path_params["target"]
        number = int(alert) if _WHOLE.fullmatch(alert) else 0  # there is no such number

        def work() -> Delivery:
            mine = outward.outbox.find(tenant=tenant_of(request), alert=number, state=DEAD)
            before = next((one.delivery for one in mine if one.delivery.target == target), None)
            if before is None:
                raise NotFound("there is no such delivery on the dead-letter list")
            after = before.revived(service.pipeline.now())
            if not outward.outbox.record(before, after):
                raise InvalidInput("somebody else was faster; look again")
            return after

        after = await asyncio.to_thread(work)
        return as_json({"alert": after.alert, "target": after.target, "state": after.state})

    return [
        route(service, "/v1/targets", get_targets),
        route(service, "/v1/targets/{name}/test", test_target, method="POST"),
        route(service, "/v1/deliveries", get_deliveries),
        route(service, "/v1/deliveries/{alert}/{target}/revive", revive, method="POST"),
    ]


def _view(claim: Claim) -> dict[str, Any]:
    one = claim.delivery
    about = {"id": claim.body["id"], "stream": claim.stream, "message": claim.body["message"]}
    return {"alert": one.alert, "target": one.target, "state": one.state, "attempts": one.attempts} | about | {
        "error": one.error
    }  # fmt: skip
