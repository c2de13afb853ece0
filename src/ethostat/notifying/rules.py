"""Rule: which alerts go to which targets. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ethostat.monitor.alert import CHANGE, CLOSED, DATA_BACK, NO_DATA, PAGE, RECOVERED, WARN

TIERS = (PAGE, WARN)
KINDS = (CHANGE, RECOVERED, NO_DATA, DATA_BACK, CLOSED)


@dataclass(frozen=True, slots=True)
class Rule:
    """Alerts that all of this holds for go to `targets`; an empty field holds for every alert.

    `streams` are patterns (`*` any text, `?` one character), of which one must fit the stream's name; `labels` maps a
    label to a pattern, all of which must fit; `tenants` are names.
    """

    targets: tuple[str, ...]
    streams: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tenants: tuple[str, ...] = ()

    def takes(self, *, stream: str, tier: str, kind: str, labels: Mapping[str, str], tenant: str = "") -> bool:
        """Whether such an alert is one of its."""
        return (
            (not self.streams or any(fnmatchcase(stream, pattern) for pattern in self.streams))
            and (not self.tiers or tier in self.tiers)
            and (not self.kinds or kind in self.kinds)
            and (not self.tenants or tenant in self.tenants)
            and all(name in labels and fnmatchcase(labels[name], value) for name, value in self.labels.items())
        )


def targets_of(
    rules: Iterable[Rule], *, stream: str, tier: str, kind: str, labels: Mapping[str, str], tenant: str = ""
) -> tuple[str, ...]:
    """The targets of every rule that takes such an alert, each once, in the order of the rules.

    >>> rules = [Rule(("chat",)), Rule(("pager", "chat"), tiers=("page",), streams=("prod-*",))]
    >>> targets_of(rules, stream="prod-eu", tier="page", kind="change", labels={})
    ('chat', 'pager')
    """
    found = (
        target
        for rule in rules
        if rule.takes(stream=stream, tier=tier, kind=kind, labels=labels, tenant=tenant)
        for target in rule.targets
    )
    return tuple(dict.fromkeys(found))
