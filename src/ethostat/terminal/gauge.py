"""How far work is, on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ethostat.visible import stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.guarantees import Check
    from ethostat.sampling import Progress as Sampled
    from ethostat.scaling import Stand
    from ethostat.training.progress import Step

_SECONDS_BETWEEN_LINES = 10.0


class Gauge:
    """Shows on standard error how far work is: a bar in a terminal, a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(), console=console, transient=True,
            )  # fmt: skip
        self._task = None if self._bar is None else self._bar.add_task("sampling", total=None, rate="")
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, stage: str) -> None:
        """What is done now."""
        sys.stderr.write(stripped(stage) + "\n") if self._bar is None else self._bar.console.print(
            stripped(stage), markup=False
        )

    def show(self, state: Sampled) -> None:
        """How far it is."""
        rate = f"{state.responses_per_second:.1f}/s, {state.tokens_per_second:.0f} tokens/s"
        if state.failed:
            rate += f", {state.failed} failed"
        if state.cost_usd is not None:
            rate += f", {state.cost_usd:.4f} dollars"
        self._advance("sampling", state.done, state.wanted, rate, what="responses", seconds_left=state.eta_seconds)

    def show_fragments(self, stand: Stand) -> None:
        """How far a job over many files is."""
        figures = f"{stand.rows:,} rows, {stand.rejected:,} not used"
        left = stand.eta_seconds
        self._advance("fragments", stand.done, stand.fragments, figures, what="done", seconds_left=left)

    def show_simulation(self, name: str, done: int, wanted: int) -> None:
        """How far simulations are."""
        self._advance(name, done, wanted, "", what="simulations", seconds_left=None)

    def show_check(self, done: int, wanted: int, check: Check) -> None:
        """How far a selftest is, and what it found last."""
        self._advance(
            check.family, done, wanted, f"{check.verdict}: {check.name}", what="simulations", seconds_left=None
        )

    def show_step(self, step: Step) -> None:
        """How far a training is."""
        figures = f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}"
        name = f"epoch {step.epoch} of {step.epochs}"
        self._advance(name, step.done, step.steps, figures, what="steps", seconds_left=step.seconds_left)

    def _advance(
        self, name: str, done: int, wanted: int, figures: str, *, what: str, seconds_left: float | None
    ) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=name, completed=done, total=wanted, rate=figures)
        elif time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            left = "" if seconds_left is None else f", {span(seconds_left)} left"
            sys.stderr.write(f"{name}: {done} of {wanted} {what}, {figures}{left}\n")


def span(seconds: float) -> str:
    """A duration in words a person uses.

    >>> span(3725)
    '1 h 2 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
