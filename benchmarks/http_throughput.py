"""Tokens a second that `measure` gets out of a server, and HTTPModel alone, against the bare server.

    python benchmarks/http_throughput.py [--rounds 3] [--prompts 6] [--samples 16] [--max-tokens 48]

The server is llama.cpp's own, with SmolLM2, in a process of its own. The bare client posts the same requests
(the same bodies, n included) over keep-alive connections of http.client, as many threads as the server has
places. `measure` is the whole of it: asking, storing, classifying, estimating. The three take turns in one run,
forwards and backwards; the ratio is within a round, so that a machine that slows down in between slows all. The target
is a median ratio of 0.95 for `measure`.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from ethostat.classifiers import load_builtin
from ethostat.models import wire
from ethostat.models.base import Decoding
from ethostat.models.http import HTTPModel
from ethostat.response import Prompt, PromptSet
from ethostat.store import Store
from ethostat.workflow import measure

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from servers import llama_server

SLOTS = 16
CLASSIFIER = load_builtin(threads=1)
NAMES = {"whole": "measure", "door": "HTTPModel", "bare": "bare"}
TARGET = 0.95


def main() -> None:
    """Measure and print; exit 1 below the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 3), ("prompts", 6), ("samples", 16), ("max-tokens", 48)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    prompts = [Prompt.from_text(f"Write a long story about the number {i}.") for i in range(options.prompts)]
    decoding = Decoding(temperature=1.0, max_tokens=options.max_tokens)
    with llama_server(slots=SLOTS, context=512) as url:
        door(url, prompts[:1], decoding, 2)  # the server reads its weights at the first request
        CLASSIFIER.classify([])
        rounds = [one_round(url, prompts, decoding, options.samples, turn) for turn in range(options.rounds)]
    for name in ("whole", "door"):
        ratio = statistics.median(rates[name] / rates["bare"] for rates in rounds)
        print(f"{NAMES[name]} / bare server: median ratio {ratio:.3f} of {len(rounds)} rounds (target {TARGET})")
        if name == "whole":
            missed = ratio < TARGET
    sys.exit(missed)


def one_round(url: str, prompts: Sequence[Prompt], decoding: Decoding, samples: int, turn: int) -> dict[str, float]:
    """All once, in an order that alternates; their tokens a second."""
    order = (whole, bare, door) if turn % 2 else (door, bare, whole)
    rates = {contender.__name__: contender(url, prompts, decoding, samples) for contender in order}
    print(f"round {turn + 1}: " + ", ".join(f"{NAMES[name]} {rates[name]:.1f} tokens/s" for name in NAMES), flush=True)
    return rates


def whole(url: str, prompts: Sequence[Prompt], decoding: Decoding, samples: int) -> float:
    """Tokens a second of a whole measurement, kept in a new database."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "runs.db") as store:
        asked = PromptSet("throughput", tuple(prompts))
        began = time.perf_counter()
        measured = measure(
            HTTPModel(url, "smollm2"),
            asked,
            samples=samples,
            decoding=decoding,
            seed=1,
            classifier=CLASSIFIER,
            store=store,
        )
        seconds = time.perf_counter() - began
        return tokens([response.text for response in store.responses(measured.provenance.run or "")]) / seconds


def door(url: str, prompts: Sequence[Prompt], decoding: Decoding, samples: int) -> float:
    """Tokens a second through HTTPModel, all prompts at once."""

    async def run() -> list[str]:
        model = HTTPModel(url, "smollm2")

        async def one(prompt: Prompt) -> list[str]:
            return [response.text async for response in model.sample(prompt, decoding, range(samples))]

        texts = await asyncio.gather(*map(one, prompts))
        await model.aclose()
        return [text for part in texts for text in part]

    began = time.perf_counter()
    texts = asyncio.run(run())
    return tokens(texts) / (time.perf_counter() - began)


def bare(url: str, prompts: Sequence[Prompt], decoding: Decoding, samples: int) -> float:
    """Tokens a second of the same requests through a minimal client."""
    requests = [
        wire.request("chat", "smollm2", prompt, decoding, seed=seed, n=min(8, samples - seed), dialect=wire.Dialect())
        for prompt in prompts
        for seed in range(0, samples, 8)
    ]
    address = urlsplit(url)

    def work(mine: Sequence[tuple[str, dict[str, object]]]) -> list[str]:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
        texts: list[str] = []
        for path, body in mine:
            connection.request("POST", f"/v1/{path}", json.dumps(body), {"Content-Type": "application/json"})
            texts += [choice["message"]["content"] for choice in json.load(connection.getresponse())["choices"]]
        connection.close()
        return texts

    began = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as threads:
        texts = [text for part in threads.map(work, [requests[i::SLOTS] for i in range(SLOTS)]) for text in part]
    return tokens(texts) / (time.perf_counter() - began)


def tokens(texts: Sequence[str]) -> float:
    """Tokens, counted alike for both as characters / 4: llama.cpp counts only the first of n choices."""
    return sum(len(text) for text in texts) / 4


if __name__ == "__main__":
    main()
