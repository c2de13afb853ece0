"""Orders: what people say about alerts that stand (acknowledged, snoozed, expected), given to a state file.

A process that holds the file takes orders from a JSONL file beside it, each once; else they are carried out at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ethostat.errors import InUse, InvalidInput
from ethostat.monitor import Alert, Monitor, Monitors
from ethostat.statefile import StateFile
from ethostat.whole import append

ACKNOWLEDGE, SNOOZE, EXPECT = "acknowledge", "snooze", "expect"
VERBS = (ACKNOWLEDGE, SNOOZE, EXPECT)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with the alert of a stream, which its monitor's name tells; the only one without a name.

    "acknowledge": somebody looks, do not repeat it. "snooze": say nothing for so many `responses`. "expect": what came
    since the change is normal from now on.
    """

    verb: str
    stream: str | None = None
    responses: int | None = None

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise InvalidInput(f"an order must be one of {', '.join(VERBS)}, got {self.verb!r}")
        if (self.responses is None) == (self.verb == SNOOZE) or not (self.responses is None or self.responses > 0):
            raise InvalidInput(f"a snooze, and nothing else, needs responses, 1 or more; got {self.responses}")

    def give(self, monitors: Monitors) -> list[Alert]:
        """Carry it out: the alerts that it brings. Raises InvalidInput for a stream that is none, or has no alert."""
        one = monitors.named(self.stream)
        if self.responses is not None:
            one.snooze(self.responses)
        elif not one.is_alerting:
            raise InvalidInput(f"no alert of {one.name} stands; there is nothing to {self.verb}")
        elif self.verb == ACKNOWLEDGE:
            one.acknowledge()
        else:
            one.expect()
        return list(iter(one.due, None))


def give_order(state: Path, order: Order) -> bool:
    """Carry an order out on a state file, or hand it to the process that holds that: whether it is carried out already.

    Raises InvalidInput where there is no such state, stream or alert.
    """
    read_streams(state)  # so that no lock is left beside a file that is none
    try:
        with StateFile(state) as file:
            kept, monitors = _opened(file)
            alerts = [*_waiting(state, kept, monitors), *order.give(monitors)]
            outbox = [*kept["outbox"], *(alert.to_dict() for alert in alerts)]
            file.write({**kept, "monitors": monitors.to_dict(), "outbox": outbox})
    except InUse:
        _, monitors = _opened(StateFile(state))
        order.give(monitors)  # on a copy, to see that it can be
        _hand_over(state, order)
        return False
    return True


def read_streams(state: Path) -> Monitors:
    """The monitors of a state file, as they were when it was last written."""
    return _opened(StateFile(state))[1]


def orders_beside(state: Path, obeyed: int) -> Iterator[tuple[Order | InvalidInput, int]]:
    """Orders behind so many bytes of the file beside a state, each with the place behind it."""
    try:
        with _beside(state).open("rb") as file:
            file.seek(obeyed)
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidInput(f"{_beside(state)} cannot be read: {error.strerror or error}; check the path") from error
    for line in lines:
        if not line.endswith(b"\n"):
            return
        obeyed += len(line)
        try:
            yield Order(**json.loads(line)), obeyed
        except (ValueError, TypeError) as error:
            yield InvalidInput(f"{_beside(state)}: this is no order: {error}"), obeyed
        except InvalidInput as error:
            yield error, obeyed


def stream_rows(monitors: Monitors) -> list[dict[str, Any]]:
    """A row of plain values for each stream: its state, since when, how far the evidence is, what is normal."""
    return [_row(key, one) for key, one in monitors]


def _row(key: tuple[str, ...], one: Monitor) -> dict[str, Any]:
    reading, since = one.reading, one.since
    return {
        "stream": one.name,
        "key": list(key),
        "state": one.state,
        "alert": one.is_alerting,
        "since": None if since is None else since.to_dict(),
        "acknowledged": one.is_acknowledged,
        "snoozed_until": one.snoozed_until,
        "responses": one.step,
        "time": one.last_time,
        "evidence": None if reading is None or reading.evidence == float("-inf") else reading.evidence,
        "threshold": None if reading is None else reading.threshold,
        "profile": dict(zip(one.taxonomy.keys, one.counts, strict=True)),
        "baseline": one.baseline.name,
        "epoch": asdict(one.epoch),
    }


def _opened(file: StateFile) -> tuple[dict[str, Any], Monitors]:
    kept = file.read()
    if kept is None:
        raise InvalidInput(f"{file.path} does not exist; `ethostat monitor --state FILE` makes one")
    try:
        return kept, Monitors.from_dict(kept["monitors"])
    except KeyError as error:
        raise InvalidInput(f"{file.path} is no state of `ethostat monitor`: {error!r}; check the path") from error


def _waiting(state: Path, kept: dict[str, Any], monitors: Monitors) -> list[Alert]:
    """Carry out what was handed over and not taken."""
    alerts = []
    for order, place in orders_beside(state, kept["obeyed"]):
        kept["obeyed"] = place
        try:
            alerts += order.give(monitors) if isinstance(order, Order) else []
        except InvalidInput:
            continue  # its alert is over by now
    return alerts


def _hand_over(state: Path, order: Order) -> None:
    try:
        append(_beside(state), json.dumps(asdict(order)).encode() + b"\n")
    except OSError as error:
        raise InvalidInput(f"{_beside(state)} cannot be written: {error.strerror or error}") from error


def _beside(state: Path) -> Path:
    return state.with_name(state.name + ".orders")
