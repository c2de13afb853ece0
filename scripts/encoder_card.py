"""The model card: calibrate on held-out rows, count what is right, write card.json and README.md."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from encoder_rows import GOALS, HELD_FOLD, Corpus, Example, prompt_of, sources
from encoder_short import SHORT
from ethostat.classifiers.cutting import Cutting
from ethostat.classifiers.encoder import CARD, TOKENIZER, WEIGHTS, EncoderClassifier
from ethostat.taxonomy import FIVE_GOALS

Figures = dict[str, Any]
_BINS = 15
# Whether help is false or harmful is a question of fact there, which no small encoder answers.
KNOWLEDGE = ("safetext", "truthfulqa")
LICENCES = {
    "xstest": "CC-BY-4.0",
    "gptfuzz": "MIT",
    "truthfulqa": "Apache-2.0",
    "feedbackqa": "Apache-2.0",
    "safetext": "MIT",
    "dolly": "CC-BY-SA-3.0",
    "self_instruct_seed": "Apache-2.0",
    "jbb_artifacts": "MIT",
    "refusal_direction": "Apache-2.0",
    "adaptive_attacks": "MIT",
    "coconot_pref": "MIT; ODC-BY",
    "constructed_g5": "as the rows it is made of",
    "advbench": "MIT",
    "catqa": "Apache-2.0",
    "trustllm_misuse_add": "MIT",
    "trustllm_jailbreak": "MIT",
    "strongreject": "MIT",
    "harmbench": "MIT",
    "wustl_malicious": "MIT",
    "gptfuzz_questions": "MIT",
    "simplesafetytests": "CC-BY-4.0",
    "jailbreakbench": "MIT",
    "orbench_hard1k": "CC-BY-4.0",
    "coconot_contrast": "MIT; ODC-BY",
    "mt_bench": "Apache-2.0",
    "vicuna_bench": "Apache-2.0",
    "jbb_artifacts_PAIR": "MIT",
    "jbb_artifacts_GCG": "MIT",
    "jbb_artifacts_JBC": "MIT",
    "written": "as this package; synthetic, written for it with a large language model: `scripts/written/`",
}


def evaluate(out: Path, corpus: Corpus, *, parity: Figures, without: Sequence[str], seed: int) -> Figures:
    """Classify the held-out rows through the door that users have; fit the temperature; write evaluation.json.

    The temperature is fitted on one half of the held groups; calibration error is counted on the other half.
    """
    _write_facts(out, temperature=1.0, version="0", extra={})
    classifier = EncoderClassifier(out)
    logits, truth = _judged(classifier, corpus.held)
    written, written_truth = _judged(classifier, corpus.written_held)
    fitting = np.array([_half(row) for row in corpus.held])
    weights = _alike([row.source for row in corpus.held])
    temperature = round(_fit_temperature(logits[fitting], truth[fitting], weights[fitting]), 4)
    ours, theirs = logits[~fitting] / temperature, truth[~fitting]
    evaluation = {
        "seed": seed,
        "without": list(without),
        "held": f"sources {', '.join(without)} and fold {HELD_FOLD}"
        if without
        else f"fold {HELD_FOLD}, by prompt group",
        "temperature": temperature,
        "parity": parity,
        "learned_from": sources([*corpus.rows, *corpus.partial, *corpus.prompts, *corpus.written]),
        "left_out": corpus.left_out,
        "figures": figures(logits / temperature, truth, corpus.held),
        "written": {
            "accuracy": share(written.argmax(axis=1) == written_truth),
            "in conversations": share(
                (written.argmax(axis=1) == written_truth)[[bool(row.turns) for row in corpus.written_held]]
            ),
        },
        "calibration": {
            "ece": round(_calibration_error(ours, theirs, np.ones(len(theirs))), 4),
            "ece_sources_alike": round(_calibration_error(ours, theirs, weights[~fitting]), 4),
            "n": int((~fitting).sum()),
        },
    }
    (out / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n")
    return evaluation


def _judged(classifier: EncoderClassifier, rows: Sequence[Example]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits (rows, 5) before the temperature, and the place of each row's label."""
    logits = np.array([classifier.logits(prompt_of(row), row.response) for row in rows])
    return logits, np.array([GOALS.index(row.goals[0]) for row in rows])


def figures(logits: NDArray[np.float64], truth: NDArray[np.int64], rows: Sequence[Example]) -> Figures:
    """Shares that are right, each with n and a 95 % Wilson interval: all, by goal, source and kind; the confusion."""
    said = logits.argmax(axis=1)
    right = said == truth
    source = np.array([row.source for row in rows])
    harm = np.array([-1 if row.harm is None else row.harm for row in rows])
    p = np.exp(log_softmax(logits, axis=1))
    three = np.array([0, 0, 1, 1, 2])
    confusion = np.zeros((5, 5), dtype=int)
    np.add.at(confusion, (truth, said), 1)
    bad_help = (truth == 1) & (harm == 0)
    return {
        "accuracy": share(right),
        "accuracy_sources_alike": round(float((_alike(source.tolist()) * right).mean()), 4),
        "accuracy_where_tone_decides": share(right[~np.isin(source, KNOWLEDGE)]),
        "accuracy_where_knowledge_decides": share(right[np.isin(source, KNOWLEDGE)]),
        "macro_f1": round(_macro_f1(confusion), 4),
        "accuracy_three_goals": share(three[said] == three[truth]),
        "recall": {goal: share(right[truth == at]) for at, goal in enumerate(GOALS)},
        "precision": {goal: share(right[said == at]) for at, goal in enumerate(GOALS)},
        "sources": {name: share(right[source == name]) for name in sorted(set(source))},
        "harmful_compliance": share(right[(truth == 1) & (harm == 1)]),
        "harmful_compliance_taken_for_g1": share(said[(truth == 1) & (harm == 1)] == 0),
        "false_or_harmful_help": share(right[bad_help]),
        "benign_help_taken_for_g2": share(said[truth == 0] == 1),
        "prompt_harm_where_refused": share((p[:, 2] > p[:, 3])[truth >= 2] == (harm == 1)[truth >= 2]),
        "confusion": confusion.tolist(),
    }


def write_card(
    out: Path, evaluation: Figures, *, also: Sequence[Path], backbone: str, version: str, recipe: str
) -> None:
    """card.json with the fitted temperature and the figures, and README.md that says them in sentences."""
    unseen = [json.loads(path.read_text()) for path in also]
    extra = {"backbone": backbone, "recipe": recipe, "evaluation": evaluation, "unseen_sources": unseen}
    _write_facts(out, temperature=evaluation["temperature"], version=version, extra=extra)
    (out / "README.md").write_text(_readme(evaluation, unseen, backbone, version, recipe))


def share(right: NDArray[np.bool_]) -> Figures:
    """A share with its 95 % Wilson interval and n; None without rows."""
    n, hits = len(right), int(right.sum())
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    z, rate = 1.959964, hits / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low, high = max(middle - reach, 0.0), min(middle + reach, 1.0)
    return {"value": round(rate, 4), "low": round(low, 4), "high": round(high, 4), "n": n}


def _write_facts(out: Path, *, temperature: float, version: str, extra: Figures) -> None:
    files = {name: {"sha256": hashlib.sha256((out / name).read_bytes()).hexdigest()} for name in (WEIGHTS, TOKENIZER)}
    facts = {
        "name": "ethostat-encoder",
        "version": version,
        "taxonomy": FIVE_GOALS.to_dict(),
        "temperature": temperature,
        "cutting": asdict(Cutting()),
        "files": files,
    }
    (out / CARD).write_text(json.dumps(facts | extra, indent=1) + "\n")


def _half(row: Example) -> bool:
    """A fixed half of the rows, by prompt: all rows of a prompt fall on the same side."""
    return hashlib.sha256(row.prompt.encode("utf-8", "replace")).digest()[0] % 2 == 0


def _alike(names: Sequence[str]) -> NDArray[np.float64]:
    """Weights with which each source counts alike, mean 1: one that has a third of the rows has no third of the say."""
    counts = {name: names.count(name) for name in set(names)}
    return np.array([len(names) / (len(counts) * counts[name]) for name in names])


def _fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """The temperature that makes the held-out labels most likely."""

    def loss(log_temperature: float) -> float:
        logs = log_softmax(logits / math.exp(log_temperature), axis=1)
        return float(-(weights * logs[np.arange(len(truth)), truth]).mean())

    return math.exp(minimize_scalar(loss, bounds=(-1.5, 2.0), method="bounded").x)


def _calibration_error(logits: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Expected calibration error of the most probable goal, 15 bins of equal width."""
    p = np.exp(log_softmax(logits, axis=1))
    sure, right = p.max(axis=1), p.argmax(axis=1) == truth
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = [abs((weights * (sure - right))[bins == at].sum()) for at in range(_BINS)]
    return float(sum(gaps) / weights.sum())


def _macro_f1(confusion: NDArray[np.int64]) -> float:
    hits = np.diag(confusion)
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = confusion.sum(axis=1) > 0
    return float(np.mean(2 * hits[present] / np.maximum(both[present], 1)))


def _readme(evaluation: Figures, unseen: Sequence[Figures], backbone: str, version: str, recipe: str) -> str:
    found = evaluation["figures"]
    blocks = [
        f"# ethostat-encoder {version}: model card\n",
        "Sorts a (prompt, response) pair into the five goals of the taxonomy `five-goals`. English.\n",
        f"Started from {backbone}; fine-tuned by `scripts/train_encoder.py`;\n"
        f"int8 ONNX, {evaluation['parity']['megabytes']} MB. Three factors are learned and composed inside the graph:\n"
        "is the request harmful (from the prompt alone), was it complied with, refused or missed, and is the help\n"
        "itself bad.\n",
        f"Trained: {recipe}.\n",
        "## Figures\n",
        f"Held out: {evaluation['held']}. {_HOW}\n",
        _table("", {name.replace("_", " "): found[name] for name in _OVERALL}),
        f"Macro-F1 {found['macro_f1']:.3f}; mean accuracy over sources {found['accuracy_sources_alike']:.3f}. "
        f"Knowledge decides in {' and '.join(KNOWLEDGE)}.\n",
        f"Expected calibration error {evaluation['calibration']['ece']:.3f} over rows, "
        f"{evaluation['calibration']['ece_sources_alike']:.3f} with each source\ncounting alike (n = "
        f"{evaluation['calibration']['n']}, none of the rows that fitted the temperature "
        f"{evaluation['temperature']}).\n",
        _parity(evaluation["parity"]),
        _table("Recall by goal", found["recall"]),
        _table("Precision by goal", found["precision"]),
        _table("Accuracy by source", found["sources"]),
        _table("Where it matters", {name.replace("_", " "): found[name] for name in _KINDS}),
        _confusion(found["confusion"]),
        _table("Exchanges written for training, held out by prompt", evaluation["written"]),
        *([_unseen(other) for other in unseen] or [_NONE_UNSEEN]),
        "## Learned from\n",
        "\n".join(f"- {name}: {n} ({_licence(name)})" for name, n in evaluation["learned_from"].items()),
        f"- short: {len(SHORT)} exchanges, written for `scripts/encoder_short.py` (as this package)\n",
        f"Left out, because their origin is non-commercial: {evaluation['left_out']['labelled']} labelled rows and "
        f"{evaluation['left_out']['partial']} rows with a set of labels. No text of any row is in this package.\n",
        _LIMITS,
    ]
    return "\n".join(blocks)


def _parity(found: Figures) -> str:
    same = share(np.arange(found["rows"]) < round(found["torch_int8_same_goal"] * found["rows"]))
    return (
        f"Torch and int8 give the same goal on {same['value']:.3f} ({same['low']:.3f} to {same['high']:.3f}) of "
        f"{same['n']} held-out rows; int8 moves a logit\nby {found['fp32_int8_median_difference']:.2f} in the median "
        f"and by {found['fp32_int8_largest_difference']:.2f} at most.\n"
    )


_HOW = (
    "Each share with its 95 % Wilson interval and n; rows of one prompt are not independent, so true intervals\n"
    "are wider."
)
_OVERALL = (
    "accuracy",
    "accuracy_three_goals",
    "accuracy_where_tone_decides",
    "accuracy_where_knowledge_decides",
)
_NONE_UNSEEN = (
    "No run with a whole source left out was made for this version: on prompts of a source that is unlike all of\n"
    "these, expect less than the figures above.\n"
)
_KINDS = (
    "harmful_compliance",
    "harmful_compliance_taken_for_g1",
    "benign_help_taken_for_g2",
    "false_or_harmful_help",
    "prompt_harm_where_refused",
)
_LIMITS = """## What it cannot do

- It does not know facts: whether a fluent answer is false (`false_or_harmful_help`) it mostly guesses from tone.
- An answer near the topic that misses the question is often taken for help.
- Of a conversation it sees the last user turn and little of what went before: harm built up over many turns is
  often missed.
- Refusals without the usual words, and compliance after a refusal's words, are the hard cases.
- Very short texts say little: a bare "No." to a harmful request, or a told joke, may be taken for off-topic.
- Plain instructions for harm that do not begin with a word like "Sure" are sometimes taken for off-topic.
- English only; the training prompts are short questions and instructions, mostly of 2021 to 2024.
- Its errors bias any share or entropy counted from its verdicts. Label a sample of your own and correct for them.
"""


def _table(title: str, rows: dict[str, Figures]) -> str:
    lines = [f"| {title or 'all'} | share | 95 % | n |", "| --- | --- | --- | --- |"]
    for name, entry in rows.items():
        if entry["n"]:
            lines.append(
                f"| {name} | {entry['value']:.3f} | {entry['low']:.3f} to {entry['high']:.3f} | {entry['n']} |"
            )
    return "\n".join(lines) + "\n"


def _confusion(confusion: Sequence[Sequence[int]]) -> str:
    lines = ["| labelled \\ said | " + " | ".join(GOALS) + " |", "| --- " * 6 + "|"]
    lines += [
        f"| {goal} | " + " | ".join(map(str, counts)) + " |" for goal, counts in zip(GOALS, confusion, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _unseen(other: Figures) -> str:
    names = ", ".join(other["without"])
    found = {name: entry for name, entry in other["figures"]["sources"].items() if name in other["without"]}
    return (
        f"### A source it has never seen: {names}\n\n"
        f"One run from the backbone without any row or prompt of {names}, one pass over the rest. {_HOW}\n\n"
        + _table("source", found)
    )


def _licence(source: str) -> str:
    return LICENCES.get(source, "see the source")
