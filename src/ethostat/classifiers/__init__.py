"""Classifiers: doors to what sorts responses into goals."""

from __future__ import annotations

from pathlib import Path

from ethostat.classifiers.base import AttemptingClassifier, Classifier, all_verdicts, attempt, cells_of
from ethostat.classifiers.encoder import EncoderClassifier, load_builtin
from ethostat.errors import ClassifierError

__all__ = [
    "AttemptingClassifier",
    "Classifier",
    "EncoderClassifier",
    "all_verdicts",
    "attempt",
    "cells_of",
    "load_builtin",
    "open_encoder",
]


def open_encoder(spec: str, *, threads: int | None = None) -> Classifier:
    """The encoder that a setting names: "builtin", or the directory of a trained one.

    Raises ClassifierError for what is neither, CorruptWeights for a file that is not the one its card names.
    """
    if spec == "builtin":
        return load_builtin(threads=threads)
    if not Path(spec).is_dir():
        raise ClassifierError(
            f"classifier {spec!r} is neither 'builtin', judge:MODEL, guard:NAME:MODEL nor a directory; "
            "train one or name its folder"
        )
    return EncoderClassifier(spec, threads=threads)
