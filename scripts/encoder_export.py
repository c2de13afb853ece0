"""From the trained network to int8 ONNX, with a check that the graphs agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

from encoder_network import ByteEmbedding, FactorNetwork
from encoder_smooth import Feed, smoothed

Rows = list[tuple[list[int], list[int]]]


def export(network: FactorNetwork, tokenizer: Tokenizer, rows: Rows, learned: Rows, out: Path) -> dict[str, float]:
    """Write weights.onnx (int8) and tokenizer.json; return how far torch, fp32 and int8 are apart on the rows.

    `learned` are rows that training saw: they show how loud the channels get that are evened out before rounding.
    """
    network.eval()
    network.backbone.set_attn_implementation("eager")
    before = _torch_logits(network, rows)
    table = network.backbone.embeddings.word_embeddings
    network.backbone.embeddings.word_embeddings = ByteEmbedding(table.weight.detach())
    whole, even, small = out / "fp32.onnx", out / "even.onnx", out / "weights.onnx"
    example = tuple(torch.tensor([part]) for part in rows[0])
    torch.onnx.export(
        network,
        example,
        str(whole),
        input_names=["ids", "segments"],
        output_names=["logits"],
        dynamic_shapes={
            "ids": {1: torch.export.Dim("length", min=4, max=510)},
            "segments": {1: torch.export.Dim("length", min=4, max=510)},
        },
        opset_version=20,
        dynamo=True,
        external_data=False,
    )
    network.backbone.embeddings.word_embeddings = table
    # Seven-bit weights: on processors without VNNI eight-bit products saturate, and verdicts would differ there.
    onnx.save(smoothed(onnx.load(whole), [_feed(row) for row in learned]), even)
    quantize_dynamic(even, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    fp32, int8 = _onnx_logits(whole, rows), _onnx_logits(small, rows)
    whole.unlink()
    even.unlink()
    return {
        "rows": len(rows),
        "torch_fp32_largest_difference": float(np.abs(before - fp32).max()),
        "fp32_int8_median_difference": float(np.median(np.abs(fp32 - int8))),
        "fp32_int8_largest_difference": float(np.abs(fp32 - int8).max()),
        "torch_int8_same_goal": float((before.argmax(1) == int8.argmax(1)).mean()),
        "megabytes": round(small.stat().st_size / 1e6, 2),
    }


def _torch_logits(network: FactorNetwork, rows: Rows) -> np.ndarray:
    with torch.inference_mode():
        logits = [network(torch.tensor([ids]), torch.tensor([segments])) for ids, segments in rows]
    return torch.cat(logits).numpy()


def _onnx_logits(path: Path, rows: Rows) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, _feed(row))[0] for row in rows])


def _feed(row: tuple[list[int], list[int]]) -> Feed:
    return {"ids": np.array([row[0]]), "segments": np.array([row[1]])}
