"""notify: alerts to people and machines, and a test of whether they arrive."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import ethostat as es
from ethostat.cli.frame import DONE, FAILED, print_json, warn
from ethostat.cli.options import AsJson, option
from ethostat.errors import DeliveryFailed, InvalidInput, InvalidRow
from ethostat.terminal import to_terminal

if TYPE_CHECKING:
    from ethostat.notifying import Routing

notify_app = typer.Typer(help="Alerts to people and machines: send, test.", no_args_is_help=True)
TargetsFile = Annotated[Path, typer.Argument(help="Targets and rules: a YAML or JSON file.")]


@notify_app.command("test")
def try_targets(
    file: TargetsFile,
    target: Annotated[
        list[str] | None, option("--target", "This target alone (repeatable).", show_default="all of the file")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Send a test message to each target, once, and say what became of it."""
    routing = es.read_routing(file)
    names = target or list(routing.targets)
    if unknown := [name for name in names if name not in routing.targets]:
        raise InvalidInput(f"{file} has no target {unknown[0]!r:.80}; it has {', '.join(routing.targets)}")
    problems = {name: _tried(routing, name) for name in names}
    if as_json:
        print_json([{"target": name, "arrived": why is None, "error": why} for name, why in problems.items()])
    else:
        for name, why in problems.items():
            to_terminal(f"{name}: {routing.targets[name]}: {'arrived' if why is None else f'not delivered: {why}'}")
    return FAILED if any(problems.values()) else DONE


@notify_app.command("send")
def send_alerts(
    file: TargetsFile,
    alerts: Annotated[str, typer.Argument(help="Alerts, one JSON object a line; `-` is standard input.")] = "-",
    stream: Annotated[
        str, option("--stream", "The stream's name, for rules and receivers.", show_default="the monitor's")
    ] = "",
    as_json: AsJson = False,
) -> int:
    """Deliver alerts as `ethostat monitor` prints them, each to the targets that the rules name.

      ethostat monitor log.jsonl --follow --json | ethostat notify send targets.yaml

    Each is tried four times; exit code 1 where one did not arrive. `ethostat serve --notify` tries for hours.
    """
    routing = es.read_routing(file)
    sent, failed = 0, 0
    for alert in _alerts(alerts):
        name = stream or str(alert.get("monitor", ""))
        for target in routing.targets_of(stream=name, tier=alert["tier"], kind=alert["kind"], labels={}):
            try:
                es.notify(alert, routing.targets[target], stream=name)
                sent += 1
            except DeliveryFailed as error:
                failed += 1
                warn(f"error: alert {alert['id']} did not reach {target}: {error}")
    print_json({"sent": sent, "failed": failed}) if as_json else to_terminal(f"{sent} sent, {failed} failed")
    return FAILED if failed else DONE


def _tried(routing: Routing, name: str) -> str | None:
    try:
        es.send_test(routing.targets[name], name=name)
    except DeliveryFailed as error:
        return str(error)
    return None


def _alerts(source: str) -> Iterator[dict[str, Any]]:
    try:
        with sys.stdin if source == "-" else Path(source).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _alert(line, source, number)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{source} cannot be read: {error}; check the path") from error


def _alert(line: str, source: str, number: int) -> dict[str, Any]:
    try:
        alert = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidRow(source, number, f"not JSON: {error}") from error
    if not (isinstance(alert, dict) and all(isinstance(alert.get(key), str) for key in ("id", "tier", "kind"))):
        raise InvalidRow(source, number, "not an Alert; pass what `ethostat monitor` prints")
    return alert
