"""Run: rows and a backbone in, the folder of a classifier out."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ethostat.classifiers.encoder import TOKENIZER, EncoderClassifier
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.labelled import LabelledRow, evaluate_rows, one_label_each, read_labelled
from ethostat.provenance import classifier_identity
from ethostat.report import curves_html, write_evaluation
from ethostat.rows import Rejected
from ethostat.store import content_hash
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.training.backbone import Backbone, check_extra, open_backbone
from ethostat.training.batches import TokenRows, token_rows
from ethostat.training.calibrated import fit_temperature
from ethostat.training.card import described, in_words, write_card
from ethostat.training.curves import Epoch, lines_of
from ethostat.training.folder import RunFolder
from ethostat.training.parity import Parity
from ethostat.training.progress import Step
from ethostat.training.recipe import Recipe
from ethostat.training.split import Split, split_rows
from ethostat.training.trained import Trained

CHECKPOINT_EVERY = 200
"""Steps between checkpoints."""
LARGEST_GRAPH = 2**31
"""Bytes of an ONNX file: protobuf's limit."""
_PARITY_ROWS = 200


def train(
    source: Path | str,
    *,
    backbone: str,
    out: Path | str,
    taxonomy: Taxonomy = FIVE_GOALS,
    recipe: Recipe | None = None,
    int8: bool = True,
    checkpoint_every: int = CHECKPOINT_EVERY,
    on_stage: Callable[[str], None] = lambda _stage: None,
    on_step: Callable[[Step], None] = lambda _step: None,
) -> Trained:
    """Fine-tune a backbone on the labelled rows of a file and leave a classifier in a folder.

    `source` holds rows as `evaluate` reads them, `backbone` is a local folder or a name on the hub (a BERT-like
    encoder or a T5), `out` a new folder, or that of an interrupted run of the same rows, backbone and recipe, which is
    then continued from its last checkpoint. With `int8` the graph is quantised. The folder can be given wherever a
    classifier is named. Raises MissingExtra without the extra `train`; InvalidInput for rows that cannot be used, an
    unknown backbone, or the folder of something else; TooLittleEvidence for too few rows of a goal; ClassifierError
    where the exported graph does not say what the network says: nothing is left then that could be taken for a
    classifier.
    Source: arXiv 2512.03047.
    """
    if checkpoint_every < 1:
        raise InvalidInput(f"checkpoint_every must be at least 1 step, got {checkpoint_every}")
    job = prepare(source, backbone=backbone, out=out, taxonomy=taxonomy, recipe=recipe or Recipe(), on_stage=on_stage)
    with job.folder.held():
        fitted = fit(job, every=checkpoint_every, on_step=on_step)
        on_stage(f"exporting epoch {fitted.best}, the best of {len(fitted.epochs)}")
        parity = _export(job, fitted, int8=int8)
        on_stage("calibrating on the validation rows")
        temperature = _calibrate(job, fitted)
        found = _evaluate(job, fitted, parity, temperature, on_stage=on_stage)
        _describe(job, found)
        job.folder.finish()
    return found


@dataclass(frozen=True, slots=True)
class Job:
    """What a run was told and given; `unsettled` responses were left out, since their raters are evenly split."""

    split: Split
    unsettled: int
    base: Backbone
    taxonomy: Taxonomy
    recipe: Recipe
    folder: RunFolder

    def tokens(self, rows: Sequence[LabelledRow]) -> TokenRows:
        """Rows as the network reads them."""
        base = self.base
        return token_rows(
            rows, taxonomy=self.taxonomy, tokenizer=base.tokenizer, cutting=base.cutting, layout=base.layout
        )

    def facts(self, temperature: float) -> dict[str, Any]:
        """What of a card decides verdicts, the files aside."""
        return {
            "name": self.folder.name,
            "version": "1",
            "taxonomy": self.taxonomy.to_dict(),
            "temperature": temperature,
            "cutting": asdict(self.base.cutting),
            "layout": self.base.layout.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Fitted:
    """A run that is over: `run` has the best epoch's weights."""

    run: Any
    validation: TokenRows
    epochs: tuple[Epoch, ...]
    best: int


def prepare(
    source: Path | str,
    *,
    backbone: str,
    out: Path | str,
    taxonomy: Taxonomy,
    recipe: Recipe,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Job:
    """Everything that can be refused is, before anything is learned; the folder is this run's afterwards."""
    folder = RunFolder(Path(out))
    folder.check_usable()
    rows, unsettled = one_label_each(_read(source, taxonomy))
    split = split_rows(rows, taxonomy=taxonomy, seed=recipe.seed)
    check_extra()
    on_stage(f"opening {backbone}")
    base = open_backbone(backbone, taxonomy=taxonomy, recipe=recipe)
    _check_size(base)
    if folder.claim(_told(rows, base, taxonomy, recipe)):
        on_stage(f"continuing the run of {folder.path}")
    on_stage(_summary(split, base))
    if unsettled:
        on_stage(f"{unsettled} responses are left out: their raters are evenly split; `label --adjudicate` settles it")
    return Job(split, unsettled, base, taxonomy, recipe, folder)


def _check_size(base: Backbone) -> None:
    size = 4 * base.parameters()
    if size >= LARGEST_GRAPH:
        raise InvalidInput(
            f"backbone {base.name!r} has {base.parameters() / 1e6:.0f} million parameters, {size / 2**30:.1f} GB as a "
            f"graph, and an ONNX file holds {LARGEST_GRAPH / 2**30:.1f}; name a smaller one, or for T5 --head encoder"
        )


def fit(job: Job, *, every: int = CHECKPOINT_EVERY, on_step: Callable[[Step], None] = lambda _step: None) -> Fitted:
    """Train to the end, from the folder's last checkpoint where there is one."""
    from ethostat.training.fit import Fit

    validation = job.tokens(job.split.validation)
    run = Fit(
        job.base.network,
        (job.tokens(job.split.training), validation),
        job.recipe,
        job.folder.work,
        goals=len(job.taxonomy.goals),
        pad=job.base.pad,
        every=every,
        on_step=on_step,
    )
    run.run()
    return Fitted(run, validation, run.epochs, run.best)


def _read(source: Path | str, taxonomy: Taxonomy) -> list[LabelledRow]:
    """The labelled rows of a file. Raises InvalidRow where one cannot be used: none is dropped in silence."""
    rejected = Rejected()
    rows = list(rejected.set_aside(read_labelled(source, taxonomy=taxonomy)))
    if rejected.count:
        first = rejected.first[0]
        others = f" (and {rejected.count - 1} more rows cannot be used)" if rejected.count > 1 else ""
        raise InvalidRow(first.path, first.line, f"{first.reason}{others}; correct or remove it: nothing is left out")
    return rows


def _told(rows: Sequence[LabelledRow], base: Backbone, taxonomy: Taxonomy, recipe: Recipe) -> dict[str, Any]:
    """All that decides the weights."""
    content = [[row.response.prompt.hash, row.response.text, row.label, row.group] for row in rows]
    return {
        "rows": content_hash(content),
        "backbone": {"name": base.name, "origin": base.origin},
        "taxonomy": taxonomy.hash,
        "recipe": recipe.to_dict(),
        "layout": base.layout.to_dict(),
    }


def _summary(split: Split, base: Backbone) -> str:
    sizes = ", ".join(f"{len(rows):,} for {name}" for name, rows in split.parts().items())
    words = f"; goals are written {', '.join(base.words)}" if base.words else ""
    return f"rows: {sizes}; {base.kind} with {base.parameters() / 1e6:.1f} million parameters{words}"


def _export(job: Job, fitted: Fitted, *, int8: bool) -> Parity:
    from ethostat.training.exported import export

    finished, base = job.folder.finished, job.base
    shutil.rmtree(finished, ignore_errors=True)  # what a run that was killed here had left
    finished.mkdir()
    base.tokenizer.save(str(finished / TOKENIZER), pretty=False)
    expected = fitted.run.logits(fitted.validation)[:_PARITY_ROWS]
    rows = fitted.validation.tokens[:_PARITY_ROWS]
    return export(base.network, rows, expected, finished, most=base.longest, int8=int8)


def _calibrate(job: Job, fitted: Fitted) -> float:
    """The temperature, fitted on what the exported graph says of the validation rows; the card then has it."""
    write_card(job.folder.finished, job.facts(1.0))
    raw = EncoderClassifier(job.folder.finished)
    said = np.array([raw.logits(row.response.prompt, row.response.text) for row in job.split.validation])
    temperature = round(fit_temperature(said, fitted.validation.truth), 4)
    write_card(job.folder.finished, job.facts(temperature))
    return temperature


def _evaluate(
    job: Job, fitted: Fitted, parity: Parity, temperature: float, *, on_stage: Callable[[str], None]
) -> Trained:
    classifier = EncoderClassifier(job.folder.finished)
    return Trained(
        folder=job.folder.path,
        classifier=classifier_identity(classifier),
        backbone=job.base.name,
        recipe=job.recipe,
        sizes=job.split.sizes(),
        unsettled=job.unsettled,
        sources=dict(sorted(Counter(row.source or "not named" for row in job.split.training).items())),
        epochs=fitted.epochs,
        best=fitted.best,
        parity=parity,
        temperature=temperature,
        evaluation=evaluate_rows(classifier, job.split.test, name="test part", seed=job.recipe.seed, on_stage=on_stage),
    )


def _describe(job: Job, found: Trained) -> None:
    """Curves, the evaluation's page, and the card with all figures, in JSON and in words."""
    finished, taxonomy = job.folder.finished, job.taxonomy
    curves = {"epochs": [epoch.to_dict() for epoch in found.epochs], "best_epoch": found.best}
    _write(finished / "curves.json", json.dumps(curves, indent=1) + "\n")
    _write(
        finished / "curves.html",
        curves_html(found.classifier.name, lines_of(found.epochs), best=found.best, taxonomy=taxonomy),
    )
    for suffix in (".json", ".html"):
        write_evaluation((finished / "evaluation").with_suffix(suffix), found.evaluation, taxonomy=taxonomy)
    write_card(finished, job.facts(found.temperature), described(found, words=job.base.words))
    _write(finished / "README.md", in_words(found, taxonomy=taxonomy, words=job.base.words))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
