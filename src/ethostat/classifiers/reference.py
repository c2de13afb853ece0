"""reference.npz: what a classifier's features are compared with, as a file beside its weights.

`rows` int8 (R, width), `scores` (M,) cell after cell, each ascending, `sizes` (cells,), `of_goal` (goals,). The card
names the file with its SHA-256, as it names the weights.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from ethostat.errors import ClassifierError
from ethostat.maths.conformal import Reference

REFERENCE = "reference.npz"


def save_reference(directory: Path, reference: Reference) -> Path:
    """Write reference.npz of the directory; equal references give equal bytes. The card has still to name it."""
    path = directory / REFERENCE
    cells = reference.cells
    np.savez_compressed(
        path,
        rows=reference.rows,
        scores=np.concatenate(reference.scores),
        sizes=np.array(cells.sizes, dtype=np.int64),
        of_goal=np.array(cells.of_goal, dtype=np.int64),
    )
    return path


def read_reference(content: bytes, *, goals: int) -> Reference:
    """The reference of these bytes. Raises ClassifierError where they are none, or one of another number of goals."""
    try:
        with np.load(BytesIO(content), allow_pickle=False) as found:
            rows, scores, sizes, of_goal = (found[name] for name in ("rows", "scores", "sizes", "of_goal"))
        cells = np.split(scores.astype(np.float64), np.cumsum(sizes)[:-1])
        reference = Reference(rows, tuple(cells), tuple(int(cell) for cell in of_goal))
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as fault:
        raise ClassifierError(f"{REFERENCE} is no reference: {fault}; fit it anew") from fault
    if len(reference.of_goal) != goals:
        raise ClassifierError(f"{REFERENCE} is of {len(reference.of_goal)} goals, the card of {goals}; fit it anew")
    return reference
