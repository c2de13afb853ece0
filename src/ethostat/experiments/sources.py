"""Sources: labelled rows by where they come from, and the ways of holding some of them out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ethostat import fields
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.labelled import LabelledRow, read_labelled
from ethostat.rows import read_rows
from ethostat.taxonomy import FIVE_GOALS
from ethostat.training.split import split_rows

CORE = "core_1500.jsonl"
"""The file of a data folder that is taken where it is there; else all JSONL files of the folder are."""
_FEW = 50
_SHORT_ROWS = 240
_SHORT_SOURCES = ("advice", "careful", "contrast", "miss", "refuse")


@dataclass(frozen=True, slots=True)
class Sourced:
    """A labelled row with its source, and whether its request is harmful, where somebody said so.

    `fold` is the fold that rows of some collections carry, None else.
    """

    row: LabelledRow
    source: str
    harmful: bool | None
    fold: int | None


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to learn from, rows to choose an epoch by, rows to be judged by; places in the list of all rows."""

    name: str
    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def read_sources(data: Path | None, *, short: bool, seed: int) -> list[Sourced]:
    """The labelled rows of a folder. Raises InvalidInput without a folder, or where it holds no labelled rows.

    Files without a `source` field are their own sources, named by the file up to its number. The short form takes
    240 rows of five files.
    """
    if data is None:
        raise InvalidInput(
            "this experiment needs labelled rows: name a folder with --data (scripts/written of the repository will "
            f"do); it takes {CORE} where it is there, else every .jsonl file with prompt, response and label"
        )
    files = [data / CORE] if (data / CORE).exists() else sorted(data.glob("*.jsonl"))
    rows = [row for path in files for row in _of_file(path)]
    if short:
        rows = _fewer([row for row in rows if row.source in _SHORT_SOURCES], seed)
    if not rows:
        raise InvalidInput(f"{data} holds no .jsonl file with labelled rows; name another folder with --data")
    return rows


def _of_file(path: Path) -> Iterator[Sourced]:
    """The usable rows of a file; rows of other kinds (prompts without a response) are passed over."""
    stem = re.sub(r"_\d+$", "", path.stem)
    labelled = read_labelled(path, taxonomy=FIVE_GOALS, entropy_by=("source", "category"))
    for raw, found in zip(read_rows(path), labelled, strict=True):
        if isinstance(raw, InvalidRow) or isinstance(found, InvalidRow):
            continue
        told = fields.word(raw, "prompt_harm") or fields.word(raw, "harm") or ""
        fold = str(raw.fields.get("fold", ""))
        harmful = {"harmful": True, "benign": False}.get(told)
        yield Sourced(found, found.source or stem, harmful, int(fold) if fold.isdigit() else None)


def _fewer(rows: list[Sourced], seed: int) -> list[Sourced]:
    chosen = np.random.default_rng(seed).permutation(len(rows))[:_SHORT_ROWS]
    return [rows[at] for at in sorted(chosen)]


def random_split(rows: Sequence[Sourced], *, seed: int) -> Fold:
    """The paper's split, 80/10/10, by prompt."""
    place = {id(one.row): at for at, one in enumerate(rows)}
    parts = split_rows([one.row for one in rows], taxonomy=FIVE_GOALS, seed=seed)
    each = [tuple(place[id(row)] for row in part) for part in (parts.training, parts.validation, parts.test)]
    return Fold("random 80/10/10", *each)


def sources_left_out(rows: Sequence[Sourced], *, seed: int) -> list[Fold]:
    """A fold for each source, which no row of it was learned from; sources of fewer than 50 rows go together.

    A tenth of the other rows, by prompt, chooses the epoch.
    """
    sizes = Counter(one.source for one in rows)
    name_of = {source: source if size >= _FEW else "the small ones" for source, size in sizes.items()}
    return [_without(rows, name, name_of, seed=seed) for name in sorted(set(name_of.values()))]


def _without(rows: Sequence[Sourced], name: str, name_of: dict[str, str], *, seed: int) -> Fold:
    test = [at for at, one in enumerate(rows) if name_of[one.source] == name]
    prompts = {rows[at].row.group for at in test}
    rest = [at for at, one in enumerate(rows) if name_of[one.source] != name and one.row.group not in prompts]
    groups = sorted({rows[at].row.group for at in rest})
    order = np.random.default_rng(seed).permutation(len(groups))
    held = {groups[at] for at in order[: max(1, len(groups) // 10)]}
    validation = [at for at in rest if rows[at].row.group in held]
    training = [at for at in rest if rows[at].row.group not in held]
    return Fold(name, tuple(training), tuple(validation), tuple(test))
