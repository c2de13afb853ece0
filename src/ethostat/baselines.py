"""Baselines from where they are kept: a run, a Measurement, a file of responses, or a file with one for each key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ethostat import fields
from ethostat.classifiers import Classifier
from ethostat.errors import InvalidInput, InvalidRow, TooLittleEvidence
from ethostat.feed import feed
from ethostat.maths.profile import Profile
from ethostat.measured import open_shelf
from ethostat.monitor import Baseline, Monitors
from ethostat.monitor.alert import RESPONSES, SESSIONS
from ethostat.monitor.baseline import UNSTRATIFIED, Counts
from ethostat.monitor.monitors import Key
from ethostat.monitor.standing import add
from ethostat.response import TRANSCRIPTS
from ethostat.rows import Rejected, Row, read_rows
from ethostat.sorting import Columns, Sorter
from ethostat.store import Store
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.whole import replacing

FIRST = "first:"
COUNTS = "counts:"


def read_baseline(
    source: str,
    *,
    taxonomy: Taxonomy = FIVE_GOALS,
    classifier: Classifier | None = None,
    stratum: str | None = None,
    session: str | None = None,
    store: Store | None = None,
    rows: str | None = None,
) -> Baseline:
    """The baseline that this names: `first:N`, `counts:N,N,...` by goal, a run, a Measurement file, or a file of rows.

    With `stratum` a file of responses is counted by that field, and a measurement by the categories of its prompts
    ("category"). With `session` each session of a file, told by that field, counts as one response, split over the
    goals of its own; a measurement's responses count as sessions of one. With `rows`, a file of responses, `first:N` is
    the profile of its first N, not of the first N to come. Raises InvalidInput for what is none of these,
    TooLittleEvidence for a file without (so many) usable rows.
    """
    if source.startswith(FIRST):
        n = _whole(source.removeprefix(FIRST))
        return Baseline.of_first(n) if rows is None else _first(rows, n, taxonomy, classifier)
    if source.startswith(COUNTS):
        return _written(source.removeprefix(COUNTS), taxonomy)
    name = source.removeprefix(TRANSCRIPTS)
    if (stratum or session) is not None and Path(name).is_file() and not name.lower().endswith(".json"):
        return _counted(name, Columns(stratum=stratum, session=session), taxonomy, classifier)
    if stratum not in (None, "category"):
        raise InvalidInput(
            f"a measurement knows the strata `category` only, got {stratum!r}; give rows with this field, or first:N"
        )
    with open_shelf(store, taxonomy=taxonomy, classifier=classifier) as shelf:
        found = shelf.find(source).measurement
    if found.provenance.taxonomy.hash != taxonomy.hash:
        raise InvalidInput(
            f"baseline {source} counts goals of {found.provenance.taxonomy.name!r}, not of {taxonomy.name!r}; "
            "pass --taxonomy, or measure it again"
        )
    return Baseline.of_measurement(found, by_category=stratum is not None)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= 10**7:
        raise InvalidInput(f"first:N needs a whole number from 1 to 10,000,000, got {text[:40]!r}")
    return int(text)


def _written(text: str, taxonomy: Taxonomy) -> Baseline:
    parts = text.split(",")
    if len(parts) != len(taxonomy.goals) or not all(part.strip().isdigit() for part in parts):
        wanted = ",".join(f"N of {key}" for key in taxonomy.keys)
        raise InvalidInput(f"counts:{wanted} needs a whole number for each goal, got {text[:60]!r}")
    return Baseline.of(Profile(tuple(map(int, parts))), name="counts")


def _first(path: str, n: int, taxonomy: Taxonomy, classifier: Classifier | None) -> Baseline:
    """The profile of the first n usable rows."""
    sorter, rejected, counts = Sorter(taxonomy, classifier), Rejected(), [0] * len(taxonomy.goals)
    for batch in feed(path):
        for one, _ in sorter.sort(batch, path):
            if isinstance(one, InvalidRow):
                rejected.add(one)
            elif sum(counts) < n:
                counts[taxonomy.index(one.verdict.goal)] += 1
        if sum(counts) == n:
            return Baseline.of(Profile(tuple(counts)), name=f"the first {n} responses of {Path(path).name}")
    raise TooLittleEvidence(f"{path} has {sum(counts)} usable rows, not {n}; ask for fewer. {rejected}".strip())


def _counted(path: str, columns: Columns, taxonomy: Taxonomy, classifier: Classifier | None) -> Baseline:
    sorter, rejected = Sorter(taxonomy, classifier), Rejected()
    sessions: dict[tuple[str, str | int], list[int]] = {}
    for batch in feed(path):
        for one, place in sorter.sort(batch, path):
            if isinstance(one, InvalidRow):
                rejected.add(one)
                continue
            session = columns.session_of(one.fields) or (0 if columns.session is None else place.line)
            row = sessions.setdefault((columns.stratum_of(one.fields), session), [0] * len(taxonomy.goals))
            row[taxonomy.index(one.verdict.goal)] += 1
    if not sessions:
        raise TooLittleEvidence(f"{path} has no usable row; {rejected}")
    counts: dict[str, list[float]] = {}
    for (stratum, _), row in sessions.items():
        size = 1 if columns.session is None else sum(row)
        add(counts, stratum, np.array(row) / size)
    return Baseline({name: tuple(row) for name, row in counts.items()}, name=Path(path).name)


def read_baselines(path: Path | str, *, taxonomy: Taxonomy = FIVE_GOALS, sessions: bool = False) -> dict[Key, Baseline]:
    """What each key begins with: rows of `key` (a list), `counts` (by goal) and, with strata, `stratum`.

    `taxonomy` and `classifier` (hashes) and `unit` of a row are checked where they are there. Raises InvalidInput
    naming the line.
    """
    found: dict[Key, dict[str, Counts]] = {}
    classifiers: dict[Key, str | None] = {}
    for row in read_rows(str(path)):
        if isinstance(row, InvalidRow):
            raise InvalidInput(f"{path}: {row}")
        try:
            key, stratum, counts = _entry(row, taxonomy, SESSIONS if sessions else RESPONSES)
            classifiers[key] = fields.word(row, "classifier")
        except InvalidInput as error:
            raise InvalidInput(f"{path}:{row.line}: {error}") from error
        if stratum in found.setdefault(key, {}):
            raise InvalidInput(f"{path}:{row.line}: a baseline of {list(key)} stood before; remove one of the two")
        found[key][stratum] = counts
    name = Path(path).name
    return {key: Baseline(counts, 0, name, taxonomy.hash, classifiers[key]) for key, counts in found.items()}


def write_baselines(path: Path, monitors: Monitors) -> int:
    """Write what is normal by now for each stream that has learned it, whole or not at all; how many there were."""
    rows = [row for key, one in monitors if (normal := one.normal) for row in _rows(key, normal, one.taxonomy)]
    unit = RESPONSES if monitors.template.sessions is None else SESSIONS
    text = "".join(json.dumps({**row, "unit": unit}) + "\n" for row in rows)
    try:
        with replacing(path) as unfinished:
            unfinished.write_text(text)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
    return len({tuple(row["key"]) for row in rows})


def _rows(key: Key, normal: Baseline, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    known = {"taxonomy": normal.taxonomy, "classifier": normal.classifier}
    return [
        {"key": list(key), "stratum": stratum, "counts": dict(zip(taxonomy.keys, counts, strict=True)), **known}
        for stratum, counts in normal.counts.items()
    ]


def _entry(row: Row, taxonomy: Taxonomy, unit: str) -> tuple[Key, str, Counts]:
    key = fields.structure(row, "key")
    if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
        raise InvalidInput(f"`key` must be a list of texts, as the fields of --key have them, got {fields.short(key)}")
    other = fields.word(row, "taxonomy")
    if other not in (None, taxonomy.hash):
        raise InvalidInput(f"the baseline counts other goals than those of {taxonomy.name!r}; pass --taxonomy")
    if fields.word(row, "unit") not in (None, unit):
        raise InvalidInput(f"the baseline does not count {unit}; use it with --session as it was made, or without")
    return tuple(key), fields.word(row, "stratum") or UNSTRATIFIED, _counts(fields.structure(row, "counts"), taxonomy)


def _counts(value: object, taxonomy: Taxonomy) -> Counts:
    if not isinstance(value, Mapping) or not value or not set(value) <= set(taxonomy.keys):
        keys = ", ".join(taxonomy.keys)
        raise InvalidInput(
            f"`counts` must map goals ({keys}) to how many responses there were, got {fields.short(value)}"
        )
    counts = tuple(fields.number(value.get(goal, 0), what=f"the count of {goal}") for goal in taxonomy.keys)
    Baseline({UNSTRATIFIED: counts})  # raises where they are no counts
    return counts
