"""Monitors: many streams, each with a Monitor of its own, told apart by a key: model, route, tenant, language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from ethostat.errors import InvalidInput
from ethostat.monitor.alert import Alert
from ethostat.monitor.baseline import UNSTRATIFIED
from ethostat.monitor.kinds import Kind
from ethostat.monitor.monitor import Monitor, Said
from ethostat.monitor.packing import pack, unpack

Key = tuple[str, ...]


class Monitors:
    """One Monitor a key, each made in the settings of `template` when its key is first seen.

    Each keeps the promise for itself: with n streams false pages are n times as frequent, so divide what is wanted for
    all by n (a run length of 10,000 n). At most `most` keys are kept, since each costs memory.
    """

    def __init__(self, template: Monitor, *, most: int = 10_000) -> None:
        self.template, self.most = template, most
        self._settings = template.settings_to_dict()
        self._kept: dict[Key, Monitor] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[tuple[Key, Monitor]]:
        return iter(self._kept.items())

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
        version: str | None = None,
        classifier: str | None = None,
    ) -> Alert | None:
        """`Monitor.update` of the stream with this key."""
        return self.get(key).update(said, time=time, id=id, stratum=stratum, version=version, classifier=classifier)

    def tick(self, time: str) -> list[Alert]:
        """`Monitor.tick` of all."""
        return [alert for one in self._kept.values() for alert in (one.tick(time), *iter(one.due, None)) if alert]

    def to_dict(self) -> dict[str, Any]:
        """Settings once, the state of each packed to less than 1 kB of text while no alert stands; exact in JSON."""
        return {
            "name": self.template.name,
            "most": self.most,
            "settings": self._settings,
            "streams": [
                {"key": list(key), "settings": self._own_settings(one), "state": pack(one.state_to_dict())}
                for key, one in self._kept.items()
            ],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], *, detector: Kind | None = None) -> Self:
        """The inverse of `to_dict`."""
        try:
            template = Monitor.from_settings(fields["settings"], name=fields["name"], detector=detector)
            made = cls(template, most=fields["most"])
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
        return Monitor.from_settings(self._settings, name=self._name(key), detector=self.template.kind)

    def _name(self, key: Key) -> str:
        return "/".join((self.template.name, *key))

    def _own_settings(self, one: Monitor) -> dict[str, Any]:
        """What is not as in the template, as a baseline that a new epoch brought."""
        return {name: value for name, value in one.settings_to_dict().items() if value != self._settings[name]}
