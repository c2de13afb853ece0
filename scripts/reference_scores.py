"""Which score tells odd responses from those that fit a goal? Scores compared on held-out rows, cut rows and odd texts.

    python scripts/reference_scores.py DATA --classifier DIR [--json FILE]

DIR holds an encoder with features (scripts/encoder_reference.py). Calibration is one half of the held-out prompts, the
figures are of the other half, so no prompt is in both. `odd_responses.json` holds texts that answer nothing; each
stands beside two benign prompts. `unseen` are rows of a source that the encoder never learned from: they fit a goal,
and what is flagged of them is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from encoder_reference import by_source_and_goal, cut_short, features_of, one_of_each
from encoder_rows import GOALS, Example, prompt_of, read_corpus
from ethostat.classifiers.encoder import EncoderClassifier
from ethostat.maths.conformal import MOST_ROWS, benjamini_hochberg, fit_reference

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]
_ODD = Path(__file__).with_name("odd_responses.json")
_UNSEEN = 100


def main() -> None:
    """Classify each group of rows once, then print AUROC of each score and what the conformal p-value flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    rng, classifier = random.Random(options.seed), EncoderClassifier(options.classifier)  # noqa: S311
    corpus = read_corpus(options.data)
    known = by_source_and_goal([*corpus.rows, *corpus.written], rng)[: MOST_ROWS // 2]
    calibration, typical = _halves([*corpus.held, *corpus.written_held], rng)
    groups = {
        "typical": typical,
        "typical, cut short": [cut_short(row, rng) for row in typical],
        "unseen": _unseen(options.data, rng),
        **_odd([row for row in typical if row.harm == 0], rng),
    }
    fitting = known + [cut_short(row, rng) for row in known]
    x, labels = features_of(classifier, fitting), np.array([GOALS.index(row.goals[0]) for row in fitting])
    seen = {name: features_of(classifier, rows) for name, rows in groups.items()}
    logits = {name: _logits(classifier, rows) for name, rows in groups.items()}
    reference = fit_reference(
        x,
        labels,
        calibration=features_of(classifier, calibration),
        predicted=_logits(classifier, calibration).argmax(axis=1),
        goal_count=len(GOALS),
        rng=np.random.default_rng(options.seed),
    )
    scores: dict[str, dict[str, Floats]] = {
        "1 - largest probability": {name: -each.max(axis=1) for name, each in logits.items()},
        **{name: {group: score(rows) for group, rows in seen.items()} for name, score in _scores(x, labels).items()},
        "fifth nearest, cosine": {
            group: np.array([reference.nonconformity(row) for row in rows]) for group, rows in seen.items()
        },
    }
    found = {
        "rows": {name: len(rows) for name, rows in groups.items()} | {"calibration": len(calibration)},
        "auroc": {
            name: {group: _auroc(each[group], each["typical"]) for group in groups if group != "typical"}
            | {"odd": _auroc(np.concatenate([each[group] for group in list(groups)[3:]]), each["typical"])}
            for name, each in scores.items()
        },
        "p": {},
        "mixed": {},
    }
    p = {
        name: np.array(
            [reference.p_value(row, int(goal)) for row, goal in zip(rows, logits[name].argmax(1), strict=True)]
        )
        for name, rows in seen.items()
    }
    found["p"] = {
        name: {f"p <= {t}": round(float((each <= t).mean()), 3) for t in (0.02, 0.05, 0.1)} for name, each in p.items()
    }
    p["all odd"] = np.concatenate([p[name] for name in list(groups)[3:]])
    for name in [*list(groups)[3:], "all odd"]:
        both = np.r_[p["typical"], p[name]]
        listed = benjamini_hochberg(both, rate=0.1)
        first = np.argsort(both, kind="stable")[: len(p[name])]
        found["mixed"][name] = {
            "odd": len(p[name]),
            "typical": len(typical),
            "flagged": int(listed.sum()),
            "odd among flagged": int(listed[len(typical) :].sum()),
            "odd among as many least typical": int((first >= len(typical)).sum()),
        }
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def _halves(rows: list[Example], rng: random.Random) -> tuple[list[Example], list[Example]]:
    """A row of each prompt and goal, no prompt in both halves: rows to calibrate on, and rows to count on."""
    prompts = sorted({row.prompt for row in rows})
    first = set(rng.sample(prompts, len(prompts) // 2))
    chosen = one_of_each(rows, rng)
    return [row for row in chosen if row.prompt in first], [row for row in chosen if row.prompt not in first]


def _scores(x: Floats, labels: NDArray[np.int64]) -> dict[str, Score]:
    """Distances by mean and covariance (Ledoit-Wolf), of raw features and of their directions."""
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    near, directed, whole = _mahalanobis(x, labels), _mahalanobis(units, labels), _mahalanobis(x, np.zeros(len(x)))
    return {
        "Mahalanobis, nearest goal": near,
        "Mahalanobis, nearest goal, directions": lambda y: directed(y / np.linalg.norm(y, axis=1, keepdims=True)),
        "relative Mahalanobis": lambda y: near(y) - whole(y),
    }


def _mahalanobis(x: Floats, labels: NDArray[np.float64] | NDArray[np.int64]) -> Score:
    keys, place = np.unique(labels, return_inverse=True)
    means = np.array([x[place == at].mean(axis=0) for at in range(len(keys))])
    precision = np.linalg.inv(_ledoit_wolf(x - means[place]))
    return lambda y: np.min([np.einsum("nd,de,ne->n", y - mean, precision, y - mean) for mean in means], axis=0)


def _ledoit_wolf(x: Floats) -> Floats:
    """Covariance of centred rows, shrunk to a multiple of the identity. Source: Ledoit and Wolf 2004."""
    n, d = x.shape
    sample = x.T @ x / n
    mean = np.trace(sample) / d
    spread = ((sample - mean * np.eye(d)) ** 2).sum()
    error = min(spread, (((x**2).sum(axis=1) ** 2).sum() / n - (sample**2).sum()) / n)
    return (1 - error / spread) * sample + error / spread * mean * np.eye(d)


def _logits(classifier: EncoderClassifier, rows: list[Example]) -> Floats:
    return np.array([classifier.logits(prompt_of(row), row.response) for row in rows])


def _odd(rows: list[Example], rng: random.Random) -> dict[str, list[Example]]:
    texts = json.loads(_ODD.read_text())
    return {
        kind: [replace(rng.choice(rows), response=text) for text in each for _ in range(2)]
        for kind, each in texts.items()
    }


def _unseen(folder: Path, rng: random.Random) -> list[Example]:
    """Rows whose source is left out of training altogether, for its terms."""
    rows = [json.loads(line) for line in (folder / "aux.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row["source"] == "llmbar"]
    return [
        Example(row["id"], row["source"], row["prompt"], row["response"], None, None, None, tuple(row["label_set"]))
        for row in rng.sample(rows, min(_UNSEEN, len(rows)))
    ]


def _auroc(odd: Floats, typical: Floats) -> float:
    ranks = rankdata(np.r_[odd, typical])
    return round(float((ranks[: len(odd)].sum() - len(odd) * (len(odd) + 1) / 2) / (len(odd) * len(typical))), 3)


if __name__ == "__main__":
    main()
