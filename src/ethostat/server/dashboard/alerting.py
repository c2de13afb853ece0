"""An alert as its page shows it: profiles side by side, and what its exemplars said, where that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ethostat.ledger import Event, KeptAlert, Ledger
from ethostat.monitor import Alert
from ethostat.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Side:
    """A profile of an alert: a bar's parts as (goal's place, from, width) in thousandths, counts, and how many."""

    parts: tuple[tuple[int, float, float], ...]
    counts: tuple[float, ...]
    n: float


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A response that an alert points at; `event` is None where it is no longer kept."""

    id: str
    event: Event | None


def alert_shown(ledger: Ledger, kept: KeptAlert, taxonomy: Taxonomy) -> dict[str, Any]:
    """What the page shows beside the alert itself."""
    said = Alert.from_dict(kept.body)
    exemplars = [Exemplar(id, ledger.event(kept.tenant, kept.stream, id)) for id in said.exemplars]
    finding = said.finding
    return {
        "said": said,
        "exemplars": exemplars,
        "sides": None
        if finding is None
        else {"baseline": _side(finding.baseline, taxonomy), "since the change": _side(finding.window, taxonomy)},
        "taxonomy": taxonomy,
    }


def _side(profile: Mapping[str, float], taxonomy: Taxonomy) -> Side:
    counts = tuple(float(profile.get(key, 0.0)) for key in taxonomy.keys)
    n, at, parts = sum(counts), 0.0, []
    for place, count in enumerate(counts):
        if count > 0:
            width = 1000 * count / n
            parts.append((place, round(at, 2), round(width, 2)))
            at += width
    return Side(tuple(parts), counts, n)
