"""What the service runs with, as its page of settings shows it; no secret is in any of it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ethostat import __version__
from ethostat.classifiers.encoder import CARD, Card
from ethostat.errors import ClassifierError
from ethostat.maths.estimate import Estimate
from ethostat.notifying import Routing
from ethostat.notifying.outbox import DEAD
from ethostat.server.dashboard import course
from ethostat.server.dashboard.board import Board
from ethostat.server.dashboard.frame import duration, iso
from ethostat.server.redaction import Redact
from ethostat.server.settings import ServeSettings

Facts = dict[str, dict[str, str]]
_MOST_DEAD = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """A classifier's card: what it calls itself, and the figures that it gives, by their names there."""

    name: str
    hash: str
    figures: Mapping[str, Estimate]
    held_on: str = ""


def facts_of(board: Board) -> Facts:
    """Settings in sections, in words."""
    chosen = board.service.pipeline.settings
    found = {"Running": _running(board), "Listening": _listening(board, chosen)}
    found["Classifying"] = {
        "classifier": chosen.classifier,
        "worker processes": str(chosen.workers),
        "goals": f"{board.taxonomy.name}, version {board.taxonomy.version}, hash {board.taxonomy.hash}",
    }
    return found | {"What a new stream begins with": _beginning(chosen), "Keeping": _keeping(chosen)}


def card_of(classifier: str) -> Figures | None:
    """The card of the encoder that this setting names; None for a judge, a guard, or a card that cannot be read."""
    if classifier == "builtin":
        with as_file(files("ethostat.classifiers").joinpath("builtin")) as folder:
            return _read_card(folder)
    return _read_card(Path(classifier)) if Path(classifier).is_dir() else None


def rules_of(routing: Routing) -> list[dict[str, str]]:
    """Which alerts go where, a rule a line."""
    return [
        {
            "streams": ", ".join(rule.streams) or "any",
            "tiers": ", ".join(rule.tiers) or "any",
            "kinds": ", ".join(rule.kinds) or "any",
            "labels": ", ".join(f"{name}: {value}" for name, value in rule.labels.items()) or "any",
            "targets": ", ".join(rule.targets),
        }
        for rule in routing.rules
    ]


def outward_shown(board: Board) -> dict[str, Any]:
    """Targets by name and kind, rules, and the deliveries that were given up."""
    outward = board.outward
    return {
        "targets": {name: str(target) for name, target in outward.routing.targets.items()},
        "rules": rules_of(outward.routing),
        "dead": outward.outbox.find(state=DEAD, most=_MOST_DEAD),
    }


def _running(board: Board) -> dict[str, str]:
    streams, events, waiting = board.ledger.totals()
    now = board.service.pipeline.now()
    return {
        "version": f"ethostat {__version__}, Python {platform.python_version()}",
        "up for": f"{duration(max(now - board.began, 0.0))}, since {iso(board.began)}",
        "streams": f"{streams:,}",
        "events": f"{events:,} ever told, {waiting:,} of them not followed yet",
    }


def _listening(board: Board, chosen: ServeSettings) -> dict[str, str]:
    found = {
        "address": f"{chosen.host}, port {chosen.port or 'any'}",
        "database": board.ledger.name,
        "people reach it at": chosen.address or "not told (--address), so that alerts hold no link",
    }
    if chosen.names:
        found["also called"] = ", ".join(chosen.names)
    if chosen.proxy is None:
        return found | {"proxy": "none (--proxy URL forwards traffic to a model server and observes it)"}
    sampling = chosen.proxy.sampling
    shares = "".join(f"; {share:.0%} of {name}" for name, share in sampling.streams.items())
    return found | {"proxy": f"to {chosen.proxy.upstream}; {sampling.share:.0%} is observed{shares}"}


def _beginning(chosen: ServeSettings) -> dict[str, str]:
    template = chosen.template
    return {
        "baseline": template.baseline.name,
        "detector": f"{template.kind.name}: {template.kind.words}",
        "promise": course.promise_words(template),
        "verdicts count": "by their probabilities" if template.soft else "as their most probable goal",
        "strata": chosen.grouping.stratum or "none: one baseline for all",
        "warnings": "at a tenth of the evidence, without a promise" if template.policy.warn else "none",
        "said again": _or_never(template.policy.renotify, "after {:,} responses while an alert stands"),
        "silence": _or_never(template.policy.silence, "{:g} seconds without a response are no data"),
    }


def _keeping(chosen: ServeSettings) -> dict[str, str]:
    return {
        "texts": _texts(chosen.texts.rule, chosen.texts.share),
        "redaction": _redaction(chosen.redact),
        "events": "all are kept"
        if chosen.retention is None
        else f"deleted {chosen.retention:g} days after they were followed",
        "streams": f"at most {chosen.bounds.streams:,}",
        "a request": f"at most {chosen.most_body:,} bytes, {chosen.most_unpacked:,} unpacked",
    }


def _texts(rule: str, share: float) -> str:
    if rule == "sampled":
        return f"{share:.1%} of them stay once they are classified"
    return "all stay" if rule == "all" else "none stays once it is classified"


def _redaction(redact: Redact | None) -> str:
    if redact is None:
        return "none (--redact)"
    return f"by {getattr(redact, '__name__', type(redact).__name__)}, before anything is kept"


def _or_never(value: float | None, words: str) -> str:
    return "never" if value is None else words.format(value)


def _read_card(folder: Path) -> Figures | None:
    try:
        card = Card.load(folder)
        fields = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (ClassifierError, OSError, ValueError):
        return None
    told = fields.get("evaluation") or {}
    figures = told.get("figures", told)
    found = {name: _estimate(figures[name]) for name in ("accuracy", "kappa") if name in figures}
    recall = figures.get("recall")
    if isinstance(recall, Mapping):
        found |= {f"recall of {name}": _estimate(one) for name, one in recall.items()}
    known = {name: one for name, one in found.items() if one is not None}
    return Figures(f"{card.name}-{card.version}", card.hash, known, str(told.get("held", "")))


def _estimate(fields: Any) -> Estimate | None:
    """A figure of a card with its interval; None where it has none."""
    if not isinstance(fields, Mapping) or not {"value", "low", "high", "n"} <= fields.keys():
        return None
    value, low, high = (float(fields[name]) for name in ("value", "low", "high"))
    return Estimate(value, low, high, float(fields.get("level", 0.95)), "share", int(fields["n"]), "as the card says")
