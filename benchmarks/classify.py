"""How fast the encoder classifies: load time, latency of one response, rows a second, memory of a long stream.

    python benchmarks/classify.py [--classifier builtin] [--rows 2000] [--stream 100000] [--t5 256]

The texts are made here: words of English frequency, prompts and responses with log-normal lengths (medians of
60 and 450 characters, 90 % below about 110 and 1,600, as in logs of question answering; one response in a
thousand has 200 kB). A full stream takes minutes; `--stream` sets its length. `--t5 N` also runs T5-base in torch
(extra `train`) on the tokens of N of these rows, by turns with the encoder, in fp32 and in bf16: ratios, not seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ethostat.classifiers import EncoderClassifier, load_builtin
from ethostat.response import Prompt, Response

TEXT = (
    "the of and to a in is it you that he was for on are with as his they be at one have this from or had by hot but "
    "some what there we can out other were all your when up use word how said an each she which do their time if will "
    "way about many then them would write like so these her long make thing see him two has look more day could go "
    "come did my sound no most number who over know water than call first people may down side been now find any new "
    "work part take get place made live where after back little only round man year came show every good me give our"
)
WORDS = re.findall(r"\w+", TEXT)


def main() -> None:
    """Measure, then print one JSON object."""
    options = _options()
    began = time.perf_counter()
    classifier = _open(options)
    loaded = time.perf_counter() - began
    rng = random.Random(options.seed)  # noqa: S311 - nothing secret is drawn
    rows = [row_of(rng, number) for number in range(options.rows)]
    classifier.classify(rows[:50])
    found = {
        "load_seconds": round(loaded, 3),
        "cold_start_seconds": _cold_start(options.classifier),
        "latency_ms": _latency(classifier, rows[:300]),
        "throughput": _throughput(classifier, rows),
        "stream": _stream(classifier, rng, options.stream),
        "median_characters": {
            "prompt": int(np.median([len(row.prompt.text) for row in rows])),
            "response": int(np.median([len(row.text) for row in rows])),
        },
    }
    if options.t5:
        found["against_t5_base"] = _against_t5(classifier, rows[: options.t5])
    print(json.dumps(found, indent=1))


def _against_t5(classifier: EncoderClassifier, rows: list[Response]) -> dict[str, float | int]:
    """Rows a second of the encoder over those of T5-base: median of three rounds by turns."""
    import torch

    from _t5 import rows_a_second, t5_base

    tokens = [classifier.tokens(row).ids for row in rows]
    whole, half = t5_base(), t5_base().to(torch.bfloat16)
    rounds = []
    for _ in range(3):
        ours = _throughput(classifier, rows)["rows_a_second"]
        rounds.append([ours, rows_a_second(whole, tokens), ours, rows_a_second(half, tokens)])
    ours, fp32, _, bf16 = np.median(rounds, axis=0)
    pairs = np.median([(a / b, c / d) for a, b, c, d in rounds], axis=0)
    return {
        "rows": len(rows),
        "mean_tokens": round(float(np.mean([len(row) for row in tokens])), 1),
        "encoder_rows_a_second": round(float(ours), 1),
        "t5_fp32_rows_a_second": round(float(fp32), 2),
        "t5_bf16_rows_a_second": round(float(bf16), 2),
        "times_t5_fp32": round(float(pairs[0]), 1),
        "times_t5_bf16": round(float(pairs[1]), 1),
    }


def row_of(rng: random.Random, number: int) -> Response:
    """One row of realistic length; one in a thousand is huge."""
    asked = int(min(rng.lognormvariate(4.1, 0.5), 4_000))
    said = 200_000 if rng.random() < 0.001 else int(min(rng.lognormvariate(6.1, 0.95), 20_000))
    return Response(Prompt.from_text(_text(rng, asked), id=str(number)), _text(rng, said))


def _text(rng: random.Random, characters: int) -> str:
    words = rng.choices(WORDS, k=characters // 5 + 1)
    return " ".join(words)[:characters].capitalize() + "."


def _open(options: argparse.Namespace) -> EncoderClassifier:
    if options.classifier == "builtin":
        return load_builtin(threads=options.threads)
    return EncoderClassifier(options.classifier, threads=options.threads)


def _cold_start(spec: str) -> float:
    """Seconds from the start of a new interpreter to the first verdict."""
    code = (
        "import sys; from ethostat.classifiers import open_encoder; from ethostat.response import Prompt, Response;"
        "open_encoder(sys.argv[1]).classify([Response(Prompt.from_text('Hi'), 'Hello')])"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, spec], check=True)
    return round(time.perf_counter() - began, 3)


def _latency(classifier: EncoderClassifier, rows: list[Response]) -> dict[str, float]:
    """Milliseconds of one `classify` of one response."""
    times = []
    for row in rows:
        began = time.perf_counter()
        classifier.classify([row])
        times.append(1000 * (time.perf_counter() - began))
    return {"p50": round(float(np.median(times)), 2), "p95": round(float(np.quantile(times, 0.95)), 2), "n": len(rows)}


def _throughput(classifier: EncoderClassifier, rows: list[Response]) -> dict[str, float]:
    began = time.perf_counter()
    classifier.classify(rows)
    seconds = time.perf_counter() - began
    return {"rows": len(rows), "seconds": round(seconds, 2), "rows_a_second": round(len(rows) / seconds, 1)}


def _stream(classifier: EncoderClassifier, rng: random.Random, rows: int) -> dict[str, float | list[float]]:
    """Resident megabytes at ten places of a stream, and whether order was kept."""
    if rows == 0:
        return {"rows": 0}
    marks, began = [], time.perf_counter()
    stream = (row_of(rng, number) for number in range(rows))
    for number, verdict in enumerate(classifier.classify_stream(stream)):
        assert verdict.prompt_id == str(number), f"row {number} came as {verdict.prompt_id}"
        if (number + 1) % max(rows // 10, 1) == 0:
            marks.append(_resident_megabytes())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - began
    return {"rows": rows, "seconds": round(seconds, 1), "megabytes": marks, "peak_megabytes": round(peak, 1)}


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", default="builtin", help="'builtin' or a directory")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--stream", type=int, default=5_000)
    parser.add_argument("--t5", type=int, default=0, help="rows to run T5-base on as well; needs torch")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
