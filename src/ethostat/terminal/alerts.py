"""Alerts, the streams they came from, and looks at a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ethostat.terminal.screen import rows_view
from ethostat.visible import stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.monitor import Alert, Screened
    from ethostat.watching import Look


def alert_view(alert: Alert) -> Group:
    """The line for people on call, and under it what moved, S, the promise, where to look."""
    colour = (
        "red" if alert.kind == "change" and alert.tier == "page" else "green" if alert.kind == "recovered" else "yellow"
    )
    parts: list[Text | Table | str] = [Text(stripped(alert.message), f"bold {colour}")]
    if alert.finding is not None:
        found = alert.finding
        rows: list[dict[str, object]] = [
            {"": f"{one.goal} {stripped(one.name, most=40)}", "before": one.before, "since": one.after}
            for one in found.moved
        ]
        rows.append({"": "aligned share", "before": found.aligned_before, "since": found.aligned_after})
        rows.append({"": "pooled S", "before": found.entropy_before, "since": found.entropy_after})
        parts += [rows_view("", rows), Text(f"next: {found.action}, since {found.reason}")]
    if alert.exemplars:
        parts.append(Text(f"look at: {', '.join(stripped(id, most=60) for id in alert.exemplars)}"))
    parts.append(Text(f"promise: {stripped(alert.promise)}", "dim"))
    return Group(*parts)


def screened_view(found: Screened) -> Group:
    """The line, and a row for each stream that changed."""
    rows: list[dict[str, object]] = [
        {"changed": stripped(one.monitor, most=80), "responses": one.step, "log e-value": f"{one.log_e_value:.1f}"}
        for one in found.flagged
    ]
    parts: list[Text | Table] = [Text(stripped(found.message), "bold yellow" if rows else "bold green")]
    parts += [rows_view("", rows)] if rows else []
    return Group(*parts, Text(f"promise: {stripped(found.promise)}", "dim"))


def streams_view(streams: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """A row for each stream of a monitor's state."""
    return [
        {
            "stream": stripped(one["stream"], most=80),
            "state": one["state"] + (", acknowledged" if one["acknowledged"] else ""),
            "since": "" if one["since"] is None else f"{one['since']['value']:.0f}",
            "snoozed until": one["snoozed_until"] or "",
            "responses": one["responses"],
            "evidence": "" if one["evidence"] is None else f"{one['evidence']:.1f} of {one['threshold']:.1f}",
            "baseline": stripped(one["baseline"], most=60),
            "epoch": one["epoch"]["number"],
        }
        for one in streams
    ]


def look_view(look: Look) -> Group:
    """The answer in a line, then what changed around it, and the alert where there is a new one."""
    colour = {"yes": "red", "no": "green"}.get(look.answer, "yellow")
    words = {"yes": "changed", "no": "no change seen", "unknown": "not known"}
    head = f"look {look.number}, {words[look.answer]}: "
    parts: list[Text | Table | str | Group] = [Text(head + stripped(look.reason), f"bold {colour}")]
    parts += [Text(stripped(change), "yellow") for change in look.changes]
    if look.alert is not None:
        parts.append(alert_view(look.alert))
        rows: list[dict[str, object]] = [
            {
                "prompt": stripped(one.id, most=40),
                "category": stripped(one.category or "", most=20),
                "usually": _pairs({goal: f"{share:.0%}" for goal, share in one.before.items() if share >= 0.05}),
                "since": _pairs({goal: str(count) for goal, count in one.since.items()}),
            }
            for one in look.prompts
        ]
        parts += [rows_view("prompts that moved most", rows)] if rows else []
        parts += [Text(f"{one['id']} ({one['goal']}): {stripped(one['response'], most=160)}") for one in look.exemplars]
        parts += [Text(f"who: {stripped(look.cause)}")] if look.cause else []
    if look.log_evidence is not None:
        parts.append(
            Text(
                f"{look.judged} responses of run {look.run}, {look.spent} spent in all; evidence "
                f"{look.log_evidence:.2f} of {look.threshold:.2f} nats",
                "dim",
            )
        )
    return Group(*parts)


def _pairs(cells: Mapping[str, str]) -> str:
    return ", ".join(f"{goal} {cell}" for goal, cell in cells.items())
