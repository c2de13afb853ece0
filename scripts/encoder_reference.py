"""Give a trained encoder a reference, so that its verdicts say how typical a response is.

    python scripts/encoder_reference.py DATA --classifier DIR

DIR holds what scripts/train_encoder.py wrote. The graph gets a second output, `features`: the mean of the response's
token states after the last block but one, where subject and manner of a response are still there that the last block
drops. Nothing is trained, and logits stay what they are. The reference rows come from what the encoder learned from,
half of them cut short, since short responses would else look odd for their length alone; the calibration rows, one of
each prompt and goal, from the held-out fold. card.json is rewritten with the new hashes and a line on both.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from encoder_rows import GOALS, Corpus, Example, prompt_of, read_corpus
from ethostat.classifiers.encoder import CARD, WEIGHTS, EncoderClassifier
from ethostat.classifiers.reference import REFERENCE, save_reference
from ethostat.maths.conformal import MOST_ROWS, fit_reference

_SHORTEST, _LONGEST = 6, 30
_PAIRED = 4


def main() -> None:
    """Expose the features, fit the reference, rewrite the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--classifier", type=Path, required=True, help="folder that scripts/train_encoder.py wrote")
    parser.add_argument("--without", nargs="*", default=[], metavar="SOURCE", help="as the encoder was trained")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    expose_features(options.classifier / WEIGHTS)
    _note(options.classifier, {})
    corpus = read_corpus(options.data, without=options.without)
    found = add_reference(options.classifier, corpus, seed=options.seed)
    print(json.dumps(found))


def expose_features(path: Path) -> None:
    """Add the output `features` to the graph of a factor network, unless it is there already.

    The pair's head reads a concatenation of two means of the last states; the second is the response's. The same mean
    is taken of the states two layer normalisations earlier: the block before the last.
    """
    model = onnx.load(str(path))
    graph = model.graph
    if any(output.name == "features" for output in graph.output):
        return
    source = {name: node for node in graph.node for name in node.output}
    norms = [node.output[0] for node in graph.node if node.op_type == "LayerNormalization"]
    pairs = [node for node in graph.node if node.op_type == "Concat" and len(node.input) == _PAIRED]
    division = next(source[node.input[1]] for node in pairs if source.get(node.input[1]).op_type == "Div")
    total = source[division.input[0]]
    mask = next(name for name in source[total.input[0]].input if name != norms[-1])
    graph.node.extend(
        [
            helper.make_node("Mul", [norms[-3], mask], ["features_seen"]),
            helper.make_node("ReduceSum", ["features_seen", *total.input[1:]], ["features_sum"], keepdims=0),
            helper.make_node("Div", ["features_sum", division.input[1]], ["features"]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, None))
    onnx.save(model, str(path))


def add_reference(folder: Path, corpus: Corpus, *, seed: int) -> dict[str, Any]:
    """Fit and write reference.npz, name it in the card, and return what it was made of."""
    rng, classifier = random.Random(seed), EncoderClassifier(folder)  # noqa: S311 - nothing secret is drawn
    known = by_source_and_goal([*corpus.rows, *corpus.written], rng)[: MOST_ROWS // 2]
    known += [cut_short(row, rng) for row in known]
    fresh = one_of_each([*corpus.held, *corpus.written_held], rng)
    logits = np.array([classifier.logits(prompt_of(row), row.response) for row in fresh])
    reference = fit_reference(
        features_of(classifier, known),
        [GOALS.index(row.goals[0]) for row in known],
        calibration=features_of(classifier, fresh),
        predicted=logits.argmax(axis=1),
        goal_count=len(GOALS),
        rng=np.random.default_rng(seed),
    )
    path = save_reference(folder, reference)
    found = {
        "rows": len(reference.rows),
        "width": reference.width,
        "calibration": dict(zip(("of_goal", "sizes"), map(list, reference.cells), strict=True)),
        "kilobytes": round(path.stat().st_size / 1000, 1),
        "seed": seed,
    }
    _note(folder, {"reference": found})
    return found


def _note(folder: Path, facts: dict[str, Any]) -> None:
    """The card with the hashes of the files as they are, and these facts."""
    card = json.loads((folder / CARD).read_text())
    names = {*card["files"], *([REFERENCE] if "reference" in facts else [])}
    files = {name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()} for name in sorted(names)}
    (folder / CARD).write_text(json.dumps(card | facts | {"files": files}, indent=1) + "\n")


def features_of(classifier: EncoderClassifier, rows: Sequence[Example]) -> NDArray[np.float64]:
    """The features of each row, (rows, width)."""
    return np.array([classifier.features(prompt_of(row), row.response) for row in rows])


def by_source_and_goal(rows: Sequence[Example], rng: random.Random) -> list[Example]:
    """The rows with a single goal, one of each source and goal in turn, so that no source has most of the say."""
    kinds: dict[tuple[str, str], list[Example]] = {}
    for row in rng.sample(rows, len(rows)):
        if len(row.goals) == 1 and row.response:
            kinds.setdefault((row.source, row.goals[0]), []).append(row)
    turns = [(turn, kind, row) for kind, members in sorted(kinds.items()) for turn, row in enumerate(members)]
    return [row for _, _, row in sorted(turns, key=lambda each: each[:2])]


def one_of_each(rows: Sequence[Example], rng: random.Random) -> list[Example]:
    """A row of every prompt and goal, drawn at random: several answers of one kind are hardly independent evidence."""
    return list({(row.turns, row.prompt, row.goals): row for row in rng.sample(rows, len(rows))}.values())


def cut_short(row: Example, rng: random.Random) -> Example:
    """The row with the first six to thirty words of its response."""
    words = row.response.split()[: rng.randint(_SHORTEST, _LONGEST)]
    return Example(**{**vars(row), "response": " ".join(words) or row.response})


if __name__ == "__main__":
    main()
