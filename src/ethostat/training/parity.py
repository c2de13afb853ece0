"""Parity: does the exported graph say what the network said?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import ClassifierError

MOST_APART = 1e-3
"""How far a logit of the unquantised graph may be from the network's, as a share of the largest logit (at least 1)."""
LEAST_SAME = 0.95
"""Share of rows that must get the network's goal from the graph that is kept, int8 included."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """Over `rows`: how far logits of the fp32 graph are from the network's, and of the kept one from fp32's.

    `largest_logit` is the scale; `same_goal` is the share of rows that get the same goal from network and kept graph.
    """

    rows: int
    largest_logit: float
    fp32_largest_difference: float
    kept_median_difference: float
    kept_largest_difference: float
    same_goal: float
    int8: bool
    megabytes: float

    @classmethod
    def of(cls, network: Floats, fp32: Floats, kept: Floats, *, int8: bool, megabytes: float) -> Parity:
        """From the logits (N, goals) of all three."""
        apart = np.abs(kept - fp32)
        return cls(
            rows=len(network),
            largest_logit=float(np.abs(network).max()),
            fp32_largest_difference=float(np.abs(fp32 - network).max()),
            kept_median_difference=float(np.median(apart)),
            kept_largest_difference=float(apart.max()),
            same_goal=float((network.argmax(axis=1) == kept.argmax(axis=1)).mean()),
            int8=int8,
            megabytes=round(megabytes, 2),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_parity(found: Parity) -> None:
    """Raises ClassifierError where the graph does not say what the network says."""
    most = MOST_APART * max(found.largest_logit, 1.0)
    if not found.fp32_largest_difference <= most:
        raise ClassifierError(
            f"the exported graph differs from the network by {found.fp32_largest_difference:.3g} in a logit, where at "
            f"most {most:.3g} is allowed; the checkpoint is kept: try another version of torch, then the same command"
        )
    if found.same_goal < LEAST_SAME:
        kind = "int8 graph" if found.int8 else "graph"
        way = "run the same command with --no-int8" if found.int8 else "try another version of torch"
        raise ClassifierError(
            f"the {kind} gives the network's goal to {found.same_goal:.1%} of {found.rows} rows, and at least "
            f"{LEAST_SAME:.0%} is asked; the checkpoint is kept: {way}"
        )
