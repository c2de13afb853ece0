"""Step: how far a training is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """After one batch: `done` of `steps`, in which epoch (from 1) of at most `epochs`.

    `loss` (nats) and `accuracy` are of the epoch's rows so far, as the network was when it met them;
    `seconds_left` is until the last epoch's end, should none be saved by stopping early.
    """

    done: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float
    seconds_left: float
