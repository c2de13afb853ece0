"""A coarser copy of a GGUF model: the same weights with fewer levels, as a cheaper quantisation has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import InvalidInput, MissingExtra
from ethostat.whole import replacing

BLOCK = 20
"""Bytes of a Q4_1 block of 32 weights: scale and least value (two float16), then 16 bytes of 4-bit levels."""


def coarsen(source: Path, target: Path) -> Path:
    """Write `target`, in which every 4-bit block (Q4_1) of `source` uses 8 of its 16 levels: 3 bits a weight.

    The file keeps its form and size, so that what reads the one reads the other. A target that is there stays as it is.
    Raises InvalidInput where the source has no such block, MissingExtra without the package gguf.
    """
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as unfinished:
        shutil.copyfile(source, unfinished)
        if not sum(_coarsen_tensor(tensor.data) for tensor in _tensors(unfinished)):
            raise InvalidInput(f"{source} has no Q4_1 tensor; give a model that is quantised so")
    return target


def every_second_level(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of two 4-bit levels each, both rounded down to an even one.

    >>> every_second_level(np.array([0x3F, 0x21], dtype=np.uint8)).tolist() == [0x2E, 0x20]
    True
    """
    return levels & np.uint8(0xEE)


def _coarsen_tensor(data: NDArray[np.uint8]) -> int:
    """Changes the levels in place, and moves the least value up by half a level, which is what rounding down took.

    Gives the number of blocks.
    """
    blocks = data.reshape(-1, BLOCK)
    head = blocks[:, :4].copy().view(np.float16).astype(np.float32)
    head[:, 1] += head[:, 0] / 2
    blocks[:, :4] = head.astype(np.float16).view(np.uint8)
    blocks[:, 4:] = every_second_level(blocks[:, 4:])
    return len(blocks)


def _tensors(path: Path) -> list[Any]:
    try:
        from gguf import GGMLQuantizationType, GGUFReader
    except ImportError as error:
        raise MissingExtra("gguf", "experiments") from error
    reader = GGUFReader(path, "r+")
    return [tensor for tensor in reader.tensors if tensor.tensor_type == GGMLQuantizationType.Q4_1]
