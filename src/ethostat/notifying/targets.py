"""Targets: what can be notified, from a URL or from a file of targets and rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ethostat.documents import kind_of, read_document
from ethostat.errors import InvalidInput
from ethostat.notifying.addresses import Allowed
from ethostat.notifying.chat import Chat
from ethostat.notifying.command import Command
from ethostat.notifying.notice import Notice
from ethostat.notifying.posting import read_url
from ethostat.notifying.rules import KINDS, TIERS, Rule, targets_of
from ethostat.notifying.signing import Secret, read_secrets
from ethostat.notifying.webhook import Alertmanager, Webhook

SECRET_VARIABLE = "ETHOSTAT_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
_ALERTMANAGER = "alertmanager+"
_LONGEST_NAME = 64
_Value = TypeVar("_Value")


class Target(Protocol):
    """Something that can be notified; `str` of it names it without its password."""

    @property
    def patience(self) -> float:
        """The longest that `send` takes, in seconds."""
        ...

    async def send(self, notice: Notice) -> None:
        """Returns when the target has it; raises DeliveryFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Routing:
    """Named targets, and the rules that say which alerts go to which."""

    targets: Mapping[str, Target]
    rules: tuple[Rule, ...]

    def targets_of(
        self, *, stream: str, tier: str, kind: str, labels: Mapping[str, str], tenant: str = ""
    ) -> tuple[str, ...]:
        """The names of the targets that such an alert goes to."""
        return targets_of(self.rules, stream=stream, tier=tier, kind=kind, labels=labels, tenant=tenant)


def open_target(url: str, *, allow: tuple[str, ...] = ()) -> Target:
    """The target that a URL names.

    `https://` is a webhook, signed where ETHOSTAT_WEBHOOK_SECRET is set; `alertmanager+https://` an Alertmanager; any
    other scheme a service of apprise. `allow` names addresses, networks and hosts that are not public and may be
    written to.
    """
    allowed = Allowed.read(allow)
    if url.lower().startswith(_ALERTMANAGER):
        return Alertmanager(read_url(url[len(_ALERTMANAGER) :]), allowed)
    if url.lower().startswith(("http://", "https://")):
        return Webhook(read_url(url), _own_secrets(), allowed)
    if "://" in url:
        return Chat.read(url, allowed=allowed)
    raise InvalidInput(
        "a target must be a URL: https:// (a webhook), alertmanager+https://, or one that apprise knows, such as "
        "slack:// or mailtos://; pass a Command to run a program"
    )


def read_routing(path: Path) -> Routing:
    """Targets and rules from a YAML or JSON file. Raises InvalidInput naming the file, the place and the rule."""
    try:
        return _routing(read_document(path))
    except InvalidInput as error:
        if str(error).startswith(str(path)):
            raise
        raise InvalidInput(f"{path}: {error}") from error


def _routing(document: object) -> Routing:
    fields = _Fields.of(document, "the file")
    targets = {_named(name): _target(name, value) for name, value in fields.take("targets", _mapping).items()}
    rules: list[Any] = fields.take("rules", _list, [])
    fields.end()
    if not targets:
        raise InvalidInput("targets: name at least one")
    if not rules:
        return Routing(targets, (Rule(tuple(targets)),))
    return Routing(targets, tuple(_rule(f"rule {place}", one, targets) for place, one in enumerate(rules, 1)))


def _named(name: object) -> str:
    if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable():
        return name
    raise InvalidInput(
        f"a target's name must be printable text of at most {_LONGEST_NAME} characters, got {name!r:.80}"
    )


def _target(name: str, value: object) -> Target:
    fields = _Fields.of(value, f"target {name}")
    kinds = [kind for kind in _KINDS if kind in fields]
    if len(kinds) != 1:
        raise InvalidInput(f"target {name} must have exactly one of {', '.join(_KINDS)}, has {kinds or 'none'}")
    target = _KINDS[kinds[0]](fields)
    fields.end()
    return target


def _webhook(fields: _Fields) -> Target:
    url = fields.take("webhook", _text)
    variable = fields.take("secret_env", _text, "")
    secrets = _secrets(variable) if variable else _own_secrets()
    return Webhook(read_url(url), secrets, fields.allowed())


def _webhook_env(fields: _Fields) -> Target:
    url = _from_environment(fields.take("webhook_env", _text))
    variable = fields.take("secret_env", _text, "")
    return Webhook(read_url(url), _secrets(variable) if variable else _own_secrets(), fields.allowed())


def _alertmanager(fields: _Fields) -> Target:
    url, holds = fields.take("alertmanager", _text), fields.take("holds_hours", _number, 168.0)
    if not 0 < holds <= 24 * 365:
        raise InvalidInput(f"{fields.place}: holds_hours must be above 0 and at most 8760, got {holds}")
    return Alertmanager(read_url(url), fields.allowed(), timedelta(hours=holds))


def _chat_env(fields: _Fields) -> Target:
    return Chat.read(_from_environment(fields.take("apprise_env", _text)), allowed=fields.allowed())


def _command(fields: _Fields) -> Target:
    arguments = fields.take("command", _texts)
    return Command(arguments, fields.take("timeout", _number, 60.0))


_KINDS: Mapping[str, Callable[[_Fields], Target]] = {
    "webhook": _webhook,
    "webhook_env": _webhook_env,
    "alertmanager": _alertmanager,
    "apprise_env": _chat_env,
    "command": _command,
}


def _rule(place: str, value: object, known: Mapping[str, Target]) -> Rule:
    fields = _Fields.of(value, place)
    rule = Rule(
        targets=fields.take("targets", _texts),
        streams=fields.take("streams", _texts, ()),
        tiers=fields.take("tiers", _texts, ()),
        kinds=fields.take("kinds", _texts, ()),
        labels=fields.take("labels", _text_mapping, {}),
        tenants=fields.take("tenants", _texts, ()),
    )
    fields.end()
    for name, given, choices in (
        ("targets", rule.targets, tuple(known)),
        ("tiers", rule.tiers, TIERS),
        ("kinds", rule.kinds, KINDS),
    ):
        if unknown := [one for one in given if one not in choices]:
            raise InvalidInput(f"{place}: {name} must be of {', '.join(choices)}, got {unknown[0]!r:.80}")
    return rule


def _own_secrets() -> tuple[Secret, ...]:
    return read_secrets(os.environ.get(SECRET_VARIABLE, ""), source=SECRET_VARIABLE)


def _secrets(variable: str) -> tuple[Secret, ...]:
    return read_secrets(_from_environment(variable), source=variable)


def _from_environment(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise InvalidInput(f"the environment variable {variable!r:.80} is not set; set it where ethostat is started")
    return value


class _Fields:
    """The fields of one object of the file, taken one by one, so that what is left over is a mistake."""

    def __init__(self, fields: Mapping[str, object], place: str) -> None:
        self._fields, self.place = dict(fields), place

    @classmethod
    def of(cls, value: object, place: str) -> _Fields:
        return cls(_mapping(value, place), place)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def take(self, name: str, read: Callable[[object, str], _Value], default: _Value | None = None) -> _Value:
        if name not in self._fields:
            if default is None:
                raise InvalidInput(f"{self.place}: {name} is missing")
            return default
        return read(self._fields.pop(name), f"{self.place}: {name}")

    def allowed(self) -> Allowed:
        return Allowed.read(self.take("allow", _texts, ()))

    def end(self) -> None:
        if self._fields:
            raise InvalidInput(f"{self.place}: {next(iter(self._fields))!r:.80} is not a field here; remove it")


def _mapping(value: object, place: str) -> dict[str, Any]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise InvalidInput(f"{place} must be an object with names, got {kind_of(value)}")


def _list(value: object, place: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise InvalidInput(f"{place} must be a list, got {kind_of(value)}")


def _text(value: object, place: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise InvalidInput(f"{place} must be text, got {kind_of(value)}")


def _texts(value: object, place: str) -> tuple[str, ...]:
    found = tuple(_text(one, f"{place}: each") for one in _list(value, place))
    if not found:
        raise InvalidInput(f"{place} must not be empty; leave it out")
    return found


def _text_mapping(value: object, place: str) -> dict[str, str]:
    return {key: _text(one, f"{place}: {key}") for key, one in _mapping(value, place).items()}


def _number(value: object, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:
        return float(value)
    raise InvalidInput(f"{place} must be a number, got {kind_of(value)}")
