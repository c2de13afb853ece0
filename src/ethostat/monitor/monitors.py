"""Monitors: many streams, each with a Monitor of its own, told apart by a key: model, route, tenant, language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Self

from ethostat.errors import InvalidInput
from ethostat.monitor.alert import Alert
from ethostat.monitor.baseline import UNSTRATIFIED, Baseline
from ethostat.monitor.kinds import Kind
from ethostat.monitor.monitor import Monitor
from ethostat.monitor.packing import pack, unpack
from ethostat.monitor.policy import seconds
from ethostat.monitor.said import Said
from ethostat.monitor.screening import Flagged, Screened, Screening, discoveries
from ethostat.visible import stripped

Key = tuple[str, ...]


class Monitors:
    """One Monitor a key, each made in the settings of `template` when its key is first seen.

    Each keeps the promise for itself: with n streams false pages are n times as frequent, so divide what is wanted for
    all by n (a run length of 10,000 n). A key in `baselines` begins with its own, the others with the template's. With
    `screening` the streams that changed are also named together, so that false ones are few among them. At most `most`
    keys are kept, since each costs memory.
    """

    def __init__(
        self,
        template: Monitor,
        *,
        baselines: Mapping[Key, Baseline] | None = None,
        screening: Screening | None = None,
        most: int = 10_000,
    ) -> None:
        self.template, self.screening, self.most = template, screening, most
        self._baselines = dict(baselines or {})
        self._digest = _digest(self._baselines)
        self._settings = template.settings_to_dict() | {"screened": screening is not None or template.screened}
        if screening is not None:  # raises where the detector gives no e-values
            Monitor.from_settings(self._settings, name=template.name, detector=template.kind)
        self._responses, self._screened_at, self._number = 0, 0, 0
        self._kept: dict[Key, Monitor] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[tuple[Key, Monitor]]:
        return iter(self._kept.items())

    @property
    def baselines(self) -> Mapping[Key, Baseline]:
        """The baselines that keys begin with, where it is not the template's."""
        return self._baselines

    def named(self, name: str | None = None) -> Monitor:
        """The monitor of this name, as alerts give it; without a name the only one there is.

        Raises InvalidInput where it is none, or not the only one.
        """
        found = [one for _, one in self if name in (None, one.name)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(stripped(one.name, most=60) for one in list(self._kept.values())[:10])
        wanted = "a stream must be named" if name is None else f"{len(found)} streams are named {name[:80]!r}"
        raise InvalidInput(f"{wanted}; there are {len(self)}: {known or 'none'}")

    def get(self, key: Key = ()) -> Monitor:
        """The monitor of this key. Raises InvalidInput where there are as many as may be."""
        if key not in self._kept:
            if len(self._kept) >= self.most:
                raise InvalidInput(
                    f"there are {self.most} streams already, and {key!r} would be another; check the key"
                )
            self._kept[key] = self._made(key)
        return self._kept[key]

    def update(
        self,
        said: Said,
        key: Key = (),
        *,
        time: str | None = None,
        id: str | None = None,
        stratum: str = UNSTRATIFIED,
        session: str | None = None,
        version: str | None = None,
        classifier: str | None = None,
    ) -> Alert | None:
        """`Monitor.update` of the stream with this key."""
        found = self.get(key).update(
            said, time=time, id=id, stratum=stratum, session=session, version=version, classifier=classifier
        )
        self.count(1)
        return found

    def count(self, responses: int) -> None:
        """So many responses came, of whatever streams."""
        self._responses += responses

    @property
    def is_look_due(self) -> bool:
        """Whether as many responses have come as `Screening.every` says."""
        every = None if self.screening is None else self.screening.every
        return every is not None and self._responses - self._screened_at >= every

    def screen(self) -> Screened:
        """Which streams changed, false ones at most `Screening.rate` of them. Raises InvalidInput without screening."""
        if self.screening is None:
            raise InvalidInput("these monitors keep no e-values to screen by; make them with screening=Screening()")
        self._number, self._screened_at = self._number + 1, self._responses
        known = [
            Flagged(one.name, one.step, value) for one in self._kept.values() if (value := one.log_e_value) is not None
        ]
        return Screened(
            id=f"{self.template.name}/screening/{self._number}",
            time=self._last_time(),
            step=self._responses,
            monitor=self.template.name,
            rate=self.screening.rate,
            streams=len(known),
            learning=len(self._kept) - len(known),
            flagged=discoveries(known, self.screening.rate),
        )

    def tick(self, time: str) -> list[Alert]:
        """`Monitor.tick` of all."""
        return [alert for one in self._kept.values() for alert in (one.tick(time), *iter(one.due, None)) if alert]

    def close_sessions(self) -> list[Alert]:
        """`Monitor.close_sessions` of all."""
        return [alert for one in self._kept.values() for alert in (one.close_sessions(), *iter(one.due, None)) if alert]

    def _last_time(self) -> str | None:
        times = [one.last_time for one in self._kept.values() if one.last_time is not None]
        return max(times, key=lambda time: seconds(time) or 0.0, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Settings once, the state of each packed to about 1 kB of text; exact in JSON."""
        return {
            **self.settings_to_dict(),
            "most": self.most,
            "screenings": [self._responses, self._screened_at, self._number],
            "streams": [
                {"key": list(key), "settings": self._own_settings(one), "state": pack(one.state_to_dict())}
                for key, one in self._kept.items()
            ],
        }

    def settings_to_dict(self) -> dict[str, Any]:
        """What all were made with."""
        return {
            "name": self.template.name,
            "settings": self._settings,
            "screening": None if self.screening is None else asdict(self.screening),
            "baselines": self._digest,
        }

    @classmethod
    def from_dict(
        cls,
        fields: Mapping[str, Any],
        *,
        detector: Kind | None = None,
        baselines: Mapping[Key, Baseline] | None = None,
    ) -> Self:
        """The inverse of `to_dict`; `baselines` of keys that are still to come have to be given again."""
        try:
            template = Monitor.from_settings(fields["settings"], name=fields["name"], detector=detector)
            screening = None if fields["screening"] is None else Screening(**fields["screening"])
            made = cls(template, baselines=baselines, screening=screening, most=fields["most"])
            made._digest = fields["baselines"]
            made._responses, made._screened_at, made._number = fields["screenings"]
            for stream in fields["streams"]:
                key = tuple(stream["key"])
                settings = {**fields["settings"], **stream["settings"]}
                one = Monitor.from_settings(settings, name=made._name(key), detector=detector)
                kept = stream["state"]
                one.restore(unpack(kept) if isinstance(kept, str) else kept)
                made._kept[key] = one
        except InvalidInput:
            raise
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise InvalidInput(
                f"this is not the state of monitors that this version reads: {error!r}; begin with a new one"
            ) from error
        return made

    def _made(self, key: Key) -> Monitor:
        own = self._baselines.get(key)
        settings = self._settings if own is None else {**self._settings, "baseline": own.to_dict()}
        return Monitor.from_settings(settings, name=self._name(key), detector=self.template.kind)

    def _name(self, key: Key) -> str:
        return "/".join((self.template.name, *key))

    def _own_settings(self, one: Monitor) -> dict[str, Any]:
        """What is not as in the template, as a baseline that a new epoch brought."""
        return {name: value for name, value in one.settings_to_dict().items() if value != self._settings[name]}


def _digest(baselines: Mapping[Key, Baseline]) -> str | None:
    """What tells one set of baselines from another."""
    if not baselines:
        return None
    rows = [[list(key), one.to_dict()] for key, one in sorted(baselines.items())]
    return sha256(json.dumps(rows).encode()).hexdigest()[:16]
