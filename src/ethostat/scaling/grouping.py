"""Grouping: the second half of a job. The parts of all fragments become a Measurement for each group."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute

from ethostat.classifiers import cells_of
from ethostat.grouped import Group
from ethostat.maths.entropy import Estimator
from ethostat.measurement import Identity, Measurement, Provenance
from ethostat.provenance import classifier_identity, installed_versions
from ethostat.recorded import RECORDED, partly_recorded, unknown_prompts
from ethostat.response import TRANSCRIPTS, Verdict
from ethostat.scaling.folder import Folder
from ethostat.scaling.judging import Opener
from ethostat.summary import Counts, summarise, summarise_counts
from ethostat.taxonomy import Taxonomy

WHOLE_ROWS = 500_000
"""Responses that a group may have for the figures that need each verdict, all of which are then in memory."""
LISTED_PROMPTS = 100
"""Prompts that a group may have to be listed one by one, each with an interval of its own."""
_LEFT_OUT = (
    "the classifier's part of the variance and what fits no goal are not worked out for more than {:,} responses"
)
_NOT_LISTED = "its {:,} prompts are not listed: a group lists at most {:,}"


class Lot(NamedTuple):
    """Groups that one worker measures: their keys, how many responses they have together, the parts that hold them."""

    keys: tuple[str, ...]
    rows: int
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"groups {', '.join(self.keys[:3])}"


def lots(counts: Mapping[str, Mapping[str, int]], *, most: int = WHOLE_ROWS) -> list[Lot]:
    """The groups in lots of at most `most` responses, a larger group in a lot of its own.

    `counts` says of each part, in order, how many responses of which group it holds: no other part is then read.
    """
    sizes: dict[str, int] = {}
    holding: dict[str, list[int]] = {}
    for place, keys in enumerate(counts.values()):
        for key, count in keys.items():
            sizes[key] = sizes.get(key, 0) + count
            holding.setdefault(key, []).append(place)
    names, found = list(counts), []
    for together in _packed(sizes, most):
        places = sorted({place for key in together for place in holding[key]})
        found.append(Lot(together, sum(sizes[key] for key in together), tuple(names[place] for place in places)))
    return found


def _packed(sizes: Mapping[str, int], most: int) -> Iterator[tuple[str, ...]]:
    """Keys in their order, together as long as there is room."""
    keys: list[str] = []
    rows = 0
    for key, size in sorted(sizes.items()):
        if keys and rows + size > most:
            yield tuple(keys)
            keys, rows = [], 0
        keys.append(key)
        rows += size
    if keys:
        yield tuple(keys)


class PromptStub(NamedTuple):
    """What is left of a prompt without its text."""

    id: str
    hash: str
    category: str | None
    expected: str | None


@dataclass(frozen=True, slots=True)
class Summing:
    """Work: the measurements of a lot from the parts of all fragments, in the fragments' order.

    `source` names what was measured; `by` are the fields of a key.
    """

    folder: Folder
    source: str
    by: tuple[str, ...]
    taxonomy: Taxonomy
    classifier: Opener
    estimator: Estimator | None = None
    most: int = WHOLE_ROWS

    def __call__(self, lot: Lot) -> list[dict[str, Any]]:
        if lot.rows > self.most:
            return [self._counted(key, lot).to_dict() for key in lot.keys]
        table = pa.concat_tables(self._tables(lot, None))
        return [self._whole(key, table.filter(compute.equal(table["key"], key))).to_dict() for key in lot.keys]

    def _tables(self, lot: Lot, columns: list[str] | None) -> Iterator[pa.Table]:
        chosen = [("key", "in", list(lot.keys))]
        for part in lot.parts:
            yield self.folder.table(part, columns=columns, filters=chosen)

    def _whole(self, key: str, table: pa.Table) -> Group:
        """With all figures: the verdicts are held in memory."""
        prompts = _Prompts()
        prompts.add(table)
        verdicts = [Verdict(*row) for row in _rows(table)]
        recorded = int(compute.sum(table["recorded"]).as_py() or 0)
        is_classified = recorded == 0
        measured = summarise(
            verdicts,
            prompts=prompts.stubs,
            taxonomy=self.taxonomy,
            provenance=self._provenance(key, prompts.stubs, recorded=recorded, n=len(verdicts)),
            estimator=self.estimator,
            within=unknown_prompts((one.id for one in prompts.stubs), n=len(verdicts)),
            cells=cells_of(self.classifier()) if is_classified else None,
            most_prompts=LISTED_PROMPTS,
        )
        return Group(self._key(key), _noted(measured, *_not_listed(prompts.stubs)))

    def _counted(self, key: str, lot: Lot) -> Group:
        """From counts alone, part by part: the memory is that of the prompts."""
        prompts, n, recorded = _Prompts(), 0, 0
        columns = ["key", "prompt_id", "prompt_hash", "category", "expected", "goal", "recorded"]
        for table in self._tables(lot, columns):
            prompts.add(table)
            n += len(table)
            recorded += int(compute.sum(table["recorded"]).as_py() or 0)
        measured = summarise_counts(
            prompts.counts(self.taxonomy),
            prompts=prompts.stubs,
            taxonomy=self.taxonomy,
            provenance=self._provenance(key, prompts.stubs, recorded=recorded, n=n),
            estimator=self.estimator,
            within=unknown_prompts((one.id for one in prompts.stubs), n=n),
            most_prompts=LISTED_PROMPTS,
        )
        return Group(self._key(key), _noted(measured, _LEFT_OUT.format(self.most), *_not_listed(prompts.stubs)))

    def _key(self, key: str) -> dict[str, str]:
        return dict(zip(self.by, json.loads(key), strict=True))

    def _provenance(self, key: str, prompts: Sequence[PromptStub], *, recorded: int, n: int) -> Provenance:
        identity = Identity(RECORDED, self.taxonomy.hash)
        if recorded < n:
            identity = classifier_identity(self.classifier())
            identity = partly_recorded(identity) if recorded else identity
        named = self._key(key)
        told = ", ".join(f"{name}={value}" for name, value in named.items())
        return Provenance(
            model=f"{self.source} ({told})" if told else self.source,
            taxonomy=Identity(self.taxonomy.name, self.taxonomy.hash, self.taxonomy.version),
            classifier=identity,
            prompts=Identity(self.source.rpartition("/")[2].removeprefix(TRANSCRIPTS), _prompts_hash(prompts)),
            prompt_count=len(prompts),
            versions=installed_versions(),
        )


class _Prompts:
    """The prompts of a group in the order in which they first came, and how their responses fell on goals."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self.stubs: list[PromptStub] = []
        self._cells: dict[tuple[int, str], int] = {}

    def add(self, table: pa.Table) -> None:
        """More responses, in order."""
        ids = table["prompt_id"].combine_chunks().dictionary_encode()
        names, codes = ids.dictionary.to_pylist(), ids.indices.to_numpy()
        _, firsts = np.unique(codes, return_index=True)
        for row in np.sort(firsts).tolist():
            if (id := names[codes[row]]) not in self._places:
                self._places[id] = len(self.stubs)
                rest = (table[name][row].as_py() for name in ("prompt_hash", "category", "expected"))
                self.stubs.append(PromptStub(id, *rest))
        goals = table["goal"].combine_chunks().dictionary_encode()
        keys = goals.dictionary.to_pylist()
        cells, counts = np.unique(
            codes.astype(np.int64) * max(len(keys), 1) + goals.indices.to_numpy(), return_counts=True
        )
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            place = (self._places[names[cell // len(keys)]], keys[cell % len(keys)])
            self._cells[place] = self._cells.get(place, 0) + count

    def counts(self, taxonomy: Taxonomy) -> Counts:
        """Responses by prompt and goal, (prompts, goals)."""
        found = np.zeros((len(self.stubs), len(taxonomy.goals)), dtype=np.int64)
        for (prompt, goal), count in self._cells.items():
            found[prompt, taxonomy.index(goal)] += count
        return found


def _rows(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    names = ("prompt_id", "id", "goal", "probabilities", "typicality")
    columns = [table[name].to_pylist() for name in names]
    columns[3] = [tuple(values) for values in columns[3]]
    return zip(*columns, strict=True)


def _prompts_hash(prompts: Sequence[PromptStub]) -> str:
    """As a PromptSet's."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(json.dumps(list(prompt), ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()[:16]


def _not_listed(prompts: Sequence[PromptStub]) -> list[str]:
    return [_NOT_LISTED.format(len(prompts), LISTED_PROMPTS)] if len(prompts) > LISTED_PROMPTS else []


def _noted(measured: Measurement, *notes: str) -> Measurement:
    source = measured.provenance
    return replace(measured, provenance=replace(source, notes=(*source.notes, *notes)))
