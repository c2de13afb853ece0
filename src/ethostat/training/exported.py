"""Export: the graph of a trained network, and whether it says what the network says."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail as RunFailed
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument as RunRefused
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as RunImpossible
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException as RunBroken
from onnxruntime.quantization import QuantType, quantize_dynamic

from ethostat.classifiers.cutting import Tokens
from ethostat.classifiers.encoder import WEIGHTS
from ethostat.errors import ClassifierError
from ethostat.training.parity import Parity, check_parity

_OPSET = 20
_SHORTEST, _LONGEST = 4, 1 << 16
# What the exporter and the packages below it warn of in their own code.
_THEIR_WARNINGS = (
    (FutureWarning, r".*LeafSpec.*"),
    (DeprecationWarning, r".*LeafSpec.*"),
    (UserWarning, r".*The axis name: length will not be used.*"),
    (RuntimeWarning, r"divide by zero encountered in log"),
    (RuntimeWarning, r"invalid value encountered in cast"),
)

Floats = NDArray[np.float32]


def export(
    network: Any, rows: Sequence[Tokens], expected: Floats, folder: Path, *, most: int | None, int8: bool
) -> Parity:
    """Write weights.onnx and say how it differs from what the network said (N, goals) of the rows (N).

    `most` is the longest row the backbone can take, None without a limit. Raises ClassifierError where graph and
    network do not agree; nothing is left then.
    """
    whole, final = folder / "whole.onnx", folder / WEIGHTS
    try:
        _write_graph(network.cpu(), rows[0], whole, most=most)
    except RuntimeError as error:
        raise ClassifierError(
            f"torch cannot export this network: {_first_line(error)}; the checkpoint is kept: try another version of "
            "torch or transformers, then the same command"
        ) from error
    fp32 = _say(whole, rows)
    if int8:
        # Seven-bit weights: on processors without VNNI eight-bit products saturate, and verdicts would differ there.
        with _quiet():
            quantize_dynamic(whole, final, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        whole.unlink()
    else:
        whole.replace(final)
    found = Parity.of(expected, fp32, _say(final, rows), int8=int8, megabytes=final.stat().st_size / 1e6)
    try:
        check_parity(found)
    except ClassifierError:
        final.unlink()
        raise
    return found


def _write_graph(network: Any, row: Tokens, path: Path, *, most: int | None) -> None:
    names = ["ids", "segments"] if network.takes_segments else ["ids"]
    example = tuple(torch.tensor([row._asdict()[name]]) for name in names)
    length = torch.export.Dim("length", min=_SHORTEST, max=most or _LONGEST)
    with _quiet(), torch.inference_mode():
        torch.onnx.export(
            network.graph().eval(),
            example,
            str(path),
            input_names=names,
            output_names=["logits"],
            dynamic_shapes={name: {1: length} for name in names},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own warnings and log lines (of packages that are not needed) are not shown."""
    # The quantiser speaks through the root logger.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "root", "onnxscript")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category, message in _THEIR_WARNINGS:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _say(path: Path, rows: Sequence[Tokens]) -> Floats:
    """Logits of the rows, one by one as the classifier runs them."""
    try:
        return _run(path, rows)
    except (RunBroken, RunFailed, RunImpossible, RunRefused, InvalidGraph) as error:
        raise ClassifierError(
            f"the exported graph cannot be run: {_first_line(error)}; the checkpoint is kept: repeat the command with "
            "--no-int8, or try another version of onnxruntime"
        ) from error


def _run(path: Path, rows: Sequence[Tokens]) -> Floats:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    feeds = [{name: np.array([row._asdict()[name]], dtype=np.int64) for name in names} for row in rows]
    return np.concatenate([session.run(["logits"], feed)[0] for feed in feeds])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
