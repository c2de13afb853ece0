"""A graph with one more output, made by appending to its bytes: in protocol buffers, concatenated messages merge."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from ethostat.classifiers.encoder import BUILTIN, CARD, WEIGHTS
from ethostat.classifiers.reference import REFERENCE, save_reference
from ethostat.maths.conformal import Reference


def with_features(folder: Path) -> Path:
    """A copy of the built-in encoder whose graph gives its five logits a second time, as `features`."""
    copy = Path(shutil.copytree(BUILTIN, folder))
    (copy / REFERENCE).unlink(missing_ok=True)
    weights = (copy / WEIGHTS).read_bytes()
    if b"features" not in weights:
        node = _field(1, b"logits") + _field(2, b"features") + _field(4, b"Identity")
        graph = _field(1, node) + _field(12, _field(1, b"features"))
        (copy / WEIGHTS).write_bytes(weights + _field(7, graph))
    name_files(copy)
    return copy


def with_reference(folder: Path, reference: Reference) -> Path:
    """The same, with a reference that its card names."""
    copy = with_features(folder)
    save_reference(copy, reference)
    name_files(copy)
    return copy


def name_files(folder: Path) -> None:
    """The card names the files as they are."""
    card = json.loads((folder / CARD).read_text())
    names = [
        path.name for path in folder.iterdir() if path.suffix in (".onnx", ".npz") or path.name == "tokenizer.json"
    ]
    card["files"] = {
        name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()} for name in sorted(names)
    }
    (folder / CARD).write_text(json.dumps(card))


def reference_of(features: np.ndarray, distances: list[float], *, goals: int = 5) -> Reference:
    """Rows that point where one vector does, and these calibration scores for every goal."""
    row = np.round(127 * features / np.abs(features).max()).astype(np.int8)
    return Reference(np.tile(row, (6, 1)), (np.sort(distances),), (0,) * goals)


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited field."""
    size, prefix = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(prefix) + bytes([size]) + content
