"""Courier: takes what is due from an outbox, delivers it, and records how that went."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ethostat.errors import DeliveryFailed
from ethostat.notifying.notice import Notice
from ethostat.notifying.outbox import DEAD, SENT, Claim, Delivery, Outbox, Retries
from ethostat.notifying.targets import Target

_LOG = logging.getLogger(__name__)
_SLACK = 60.0
_MOST = 20


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a round went: deliveries by what became of them."""

    sent: int = 0
    again: int = 0
    dead: int = 0


@dataclass(slots=True)
class Courier:
    """Delivers from `outbox` to `targets`, at least once each.

    `link` gives the page about an alert. Errors of a target never leave here: they are recorded with the
    delivery.
    """

    outbox: Outbox
    targets: Mapping[str, Target]
    retries: Retries = field(default_factory=Retries)
    rng: random.Random = field(default_factory=random.SystemRandom)
    clock: Callable[[], float] = time.time
    link: Callable[[Claim], str | None] = lambda _: None

    @property
    def lease(self) -> float:
        """Seconds until another process may take a delivery over: more than any target takes."""
        return _SLACK + 1.5 * max((target.patience for target in self.targets.values()), default=0.0)

    async def deliver_due(self) -> Delivered:
        """Deliver what is due now, up to twenty at once, and wait for all. Raises what the outbox raises."""
        ends = await asyncio.gather(*map(self._deliver, await self._claim(_MOST)))
        dead, sent = (sum(one.state == state for one in ends) for state in (DEAD, SENT))
        return Delivered(sent, len(ends) - sent - dead, dead)

    async def run(self, *, every: float = 1.0) -> None:
        """Deliver for ever, looking every so many seconds; ends when it is cancelled.

        A target that takes long keeps nothing else waiting. An outbox that fails (a database that is gone) is asked
        again, and loses nothing meanwhile.
        """
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                claims = await self._claim_somehow(_MOST - len(under_way))
                for claim in claims:
                    task = asyncio.create_task(self._deliver_somehow(claim))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                if not claims:
                    await asyncio.sleep(every)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _claim(self, most: int) -> Sequence[Claim]:
        return await asyncio.to_thread(self.outbox.claim, self.clock(), lease=self.lease, most=most)

    async def _claim_somehow(self, most: int) -> Sequence[Claim]:
        try:
            return await self._claim(most) if most > 0 else ()
        except Exception as error:  # noqa: BLE001 - whatever a database raises, alerts must go out when it is back
            _LOG.warning("the outbox cannot be read and is asked again: %s", error)
            return ()

    async def _deliver_somehow(self, claim: Claim) -> None:
        try:
            await self._deliver(claim)
        except Exception as error:  # noqa: BLE001 - it was not recorded, so it comes again when its lease ends
            _LOG.warning("what became of alert %s is not recorded: %s", claim.delivery.alert, error)

    async def _deliver(self, claim: Claim) -> Delivery:
        after = await self._attempt(claim)
        await asyncio.to_thread(self.outbox.record, claim.delivery, after)
        if after.state == DEAD:
            _LOG.error("alert %s did not reach %r and is given up: %s", after.alert, after.target, after.error)
        return after

    async def _attempt(self, claim: Claim) -> Delivery:
        before = claim.delivery
        target = self.targets.get(before.target)
        if target is None:
            return self._failed(before, "the target is not in the settings any more", for_good=True)
        try:
            notice = Notice.of(
                claim.body,
                stream=claim.stream,
                tenant=claim.tenant,
                labels=claim.labels,
                link=self.link(claim),
                now=self.clock(),
            )
            async with asyncio.timeout(_SLACK / 2 + 1.2 * target.patience):
                await target.send(notice)
        except DeliveryFailed as error:
            return self._failed(before, str(error), wait=error.wait, for_good=error.for_good)
        except Exception as error:  # noqa: BLE001 - a target's fault must not stop the others
            return self._failed(before, f"{type(error).__name__}: {error}")
        return before.delivered()

    def _failed(self, before: Delivery, error: str, *, wait: float | None = None, for_good: bool = False) -> Delivery:
        return before.failed(error, self.clock(), retries=self.retries, rng=self.rng, wait=wait, for_good=for_good)
