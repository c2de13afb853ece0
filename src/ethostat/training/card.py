"""The model card: card.json, which a classifier loads from, and README.md, which says the same in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ethostat.classifiers.encoder import CARD, TOKENIZER, WEIGHTS
from ethostat.evaluation import Evaluation
from ethostat.maths.estimate import Estimate
from ethostat.report import escape
from ethostat.taxonomy import Taxonomy
from ethostat.training.recipe import Head
from ethostat.training.trained import Trained

_ON_THE_CARD = ("backbone", "recipe", "rows", "unsettled", "sources", "best_epoch", "stopped_early", "parity")


def write_card(folder: Path, facts: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
    """card.json: the facts that decide verdicts, the digests of the files beside it, and `more` for people."""
    files = {
        name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()} for name in (WEIGHTS, TOKENIZER)
    }
    text = json.dumps({**facts, "files": files, **(more or {})}, indent=1)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def described(found: Trained, *, words: Sequence[str]) -> dict[str, Any]:
    """What the card says for people: origin, recipe, rows, parity, and the figures of the test part."""
    told, evaluation = found.to_dict(), found.evaluation
    return {name: told[name] for name in _ON_THE_CARD} | {
        "goal_words": list(words),
        "evaluation": {
            "n": evaluation.n,
            "groups": evaluation.groups,
            **evaluation.scores.to_dict(),
            "calibration_error": evaluation.calibration_error.to_dict(),
            "help_confused": None if evaluation.help_confused is None else evaluation.help_confused.to_dict(),
        },
    }


def in_words(found: Trained, *, taxonomy: Taxonomy, words: Sequence[str]) -> str:
    """README.md. Names from files stand as inert text."""
    blocks = [
        f"# {escape(found.classifier.name)}: model card",
        f"Sorts a (prompt, response) pair into the {len(taxonomy.goals)} goals of {escape(taxonomy.name)}, version "
        f"{escape(taxonomy.version)}. Hash {found.classifier.hash}.",
        _table(
            ("goal", "name", "definition"),
            [(goal.key, escape(goal.name), escape(goal.definition)) for goal in taxonomy.goals],
        ),
        "## How it was made",
        _recipe(found, words),
        "## Learned from",
        _table(("source", "training rows"), [(escape(name), str(count)) for name, count in found.sources.items()]),
        _parts(found, taxonomy),
        "Rows of one prompt (or of one `split_group`) are in one part only. The validation part chose epoch and "
        "temperature; the test part was looked at once.",
        f"{found.unsettled} responses were left out, since their raters are evenly split." if found.unsettled else "",
        "## Figures",
        f"Counted on the test part through the exported graph: {found.evaluation.n:,} rows in "
        f"{found.evaluation.groups:,} groups.",
        _estimates(found.evaluation.headline()),
        _by_goal(found.evaluation),
        "Intervals speak of rows like these. Rows from a source that is not listed above can do far worse: evaluate on "
        "them before you trust a share that was counted there.",
        "## Files",
        _parity(found),
        "`curves.html` and `curves.json` have loss and accuracy by epoch, `evaluation.html` and `evaluation.json` "
        "every figure, `run.json` what the run was told.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _recipe(found: Trained, words: Sequence[str]) -> str:
    recipe = found.recipe
    head = (
        f"text to text, the goals written as {', '.join(map(escape, words))}"
        if recipe.head is Head.TEXT
        else f"one linear layer on the encoder's states ({recipe.pooling.value})"
    )
    ended = "stopped early" if found.stopped_early else "all that were asked"
    return (
        f"Started from {escape(found.backbone)}; {head}. AdamW with rate {recipe.learning_rate:g} (linear warm-up over "
        f"{recipe.warm_up:.0%} of the steps, then linear decay), weight decay {recipe.weight_decay:g}, batches of "
        f"{recipe.batch}, goals {'weighted alike' if recipe.is_balanced else 'as frequent as the rows'}, seed "
        f"{recipe.seed}. {len(found.epochs)} epochs ({ended}); epoch {found.best} was kept, by validation "
        f"{recipe.watched.value}. Temperature {found.temperature:g}."
    )


def _parts(found: Trained, taxonomy: Taxonomy) -> str:
    rows = [
        (name, str(size["rows"]), str(size["groups"]), *(str(size["goals"].get(key, 0)) for key in taxonomy.keys))
        for name, size in found.sizes.items()
    ]
    return _table(("part", "rows", "groups", *taxonomy.keys), rows)


def _by_goal(found: Evaluation) -> str:
    rows = zip(found.scores.goals, found.scores.precision, found.scores.recall, strict=True)
    return _table(("goal", "precision", "recall"), [(goal, str(one), str(other)) for goal, one, other in rows])


def _estimates(rows: Mapping[str, Estimate]) -> str:
    return _table(("figure", "value"), [(name, str(estimate)) for name, estimate in rows.items()])


def _parity(found: Trained) -> str:
    parity = found.parity
    kind = "int8" if parity.int8 else "fp32"
    return (
        f"`weights.onnx` ({kind}, {parity.megabytes:g} MB): over {parity.rows} validation rows the unquantised graph "
        f"is within {parity.fp32_largest_difference:.2g} of the network in every logit, and the {kind} graph gives "
        f"{parity.same_goal:.1%} of them the network's goal (its logits move by {parity.kept_median_difference:.2g} in "
        f"the median, {parity.kept_largest_difference:.2g} at most)."
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are Markdown already."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
