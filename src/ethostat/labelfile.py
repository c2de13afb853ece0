"""Label files: people's labels of a stored run as JSONL, as `evaluate` and `measure --labels` read them.

The store holds the labels. A file repeats those that stand, in the order in which they were given, and is brought up to
date after every act: on disk before the next row is shown.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ethostat.errors import InvalidInput, StoreError
from ethostat.labelled import LabelledRow, read_labelled
from ethostat.response import Label, Response
from ethostat.rows import Rejected
from ethostat.store import Act, Choice, ChosenRow, Store, content_hash
from ethostat.store.labels import LABEL, NOTE, WAYS, labels_of
from ethostat.taxonomy import Taxonomy
from ethostat.whole import append, replacing

UNKNOWN = "unknown"
"""How a row was chosen that is in no choice of its run; corrections leave it out."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Labels of a file that came into the store, that it knew, that are of no response of the run or of nobody."""

    added: int
    known: int
    strange: int
    rejected: Rejected


class LabelFile:
    """The labels of a run under some goals, in a JSONL file.

    Opening it takes labels that the file holds and the store does not know into the store. Raises InvalidInput where it
    holds anything else, which writing would lose.
    """

    def __init__(self, path: Path, store: Store, run_id: str, *, taxonomy: Taxonomy) -> None:
        self.path, self.store, self.run_id, self.taxonomy = path, store, run_id, taxonomy
        self._log = store.get_run(run_id).identity.get("rows")
        self._acts: list[Act] = []
        self._last = 0
        self._ways: dict[tuple[str, int], tuple[str, str | None]] = {}
        self._responses: dict[tuple[str, int], Response] = {}
        self._lines: dict[Label, bytes] = {}
        self._written: list[bytes] = []
        self._stamp: tuple[int, int] | None = None
        if path.suffix not in (".jsonl", ".ndjson"):
            raise InvalidInput(f"{path.name!r} must end in .jsonl: labels are written as JSON lines")
        self.taken = self._take()
        self.write()

    def write(self) -> int:
        """Make the file hold exactly the labels that stand, on disk when this returns; gives how many."""
        try:
            with _alone(self.path.parent):
                lines = [self._line(label) for label in self._standing()]
                added = lines[len(self._written) :]
                if self._stamp == _stamp(self.path) is not None and lines[: len(self._written)] == self._written:
                    append(self.path, b"".join(added))
                elif lines or self.path.exists():
                    _replace(self.path, lines)
                self._written, self._stamp = lines, _stamp(self.path)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written: {error.strerror or error}; the labels are in {self.store.name}: "
                "choose another --out"
            ) from error
        return len(lines)

    def _standing(self) -> list[Label]:
        """The labels that stand. Only what is new is read: no key waits for a large run."""
        new = self.store.acts(self.run_id, after=self._last)
        for act in new:
            self._last = act.key
            if act.taxonomy_hash == self.taxonomy.hash:
                self._acts.append(act)
        if any(act.place not in self._ways for act in new):
            self._ways = self.store.ways(self.run_id, taxonomy_hash=self.taxonomy.hash)
        for act in new:
            if act.place not in self._responses:
                self._responses[act.place] = self.store.response(self.run_id, *act.place)
        return labels_of(self._acts, {place: one.id for place, one in self._responses.items()}, self._ways)

    def _line(self, label: Label) -> bytes:
        if label not in self._lines:
            response = self._responses[label.prompt_id, label.index]
            self._lines[label] = (
                json.dumps(label_row(label, response, log=self._log), ensure_ascii=True).encode() + b"\n"
            )
        return self._lines[label]

    def _take(self) -> int:
        """Labels that only the file has come into the store. A last line that was cut short is none."""
        if not self.path.exists() or not self.path.stat().st_size:
            return 0
        taken = take_labels(self.store, self.run_id, self.path, taxonomy=self.taxonomy)
        lost = taken.strange + taken.rejected.count
        if taken.rejected.count == 1 and not self.path.read_bytes().endswith(b"\n"):
            lost -= 1
        if lost:
            why = f"; {taken.rejected}" if taken.rejected.count else ""
            raise InvalidInput(
                f"{self.path} holds {lost} rows that are no labels of these responses, and writing would lose them"
                f"{why}; choose another --out"
            )
        return taken.added


def take_labels(store: Store, run_id: str, path: Path, *, taxonomy: Taxonomy) -> Taken:
    """Take labels that were given elsewhere into the store; where it knows of a rater and a row, that stands.

    A row is a response's if id, prompt and text agree, and it needs `rater`. How it was chosen is kept where it was
    chosen among these very responses (`log`).
    """
    responses = {response.id: response for response in store.responses(run_id)}
    acts = [act for act in store.acts(run_id) if act.taxonomy_hash == taxonomy.hash]
    heard = {(*act.place, None if act.settles else act.rater) for act in acts}
    rejected, known, new = Rejected(), 0, []
    rows = list(rejected.set_aside(read_labelled(path, taxonomy=taxonomy)))
    for row in rows:
        found = responses.get(row.response.id)
        if found is None or not row.rater or _content(found) != _content(row.response):
            continue
        if (found.prompt.id, found.index, None if row.settles else row.rater) in heard:
            known += 1
        else:
            new.append((found, row))
    for response, row in new:
        for act in _acts_of(response, row, taxonomy):
            store.add_act(run_id, act)
    _keep_choices(store, run_id, new, taxonomy)
    return Taken(len(new), known, len(rows) - known - len(new), rejected)


def _keep_choices(store: Store, run_id: str, taken: list[tuple[Response, LabelledRow]], taxonomy: Taxonomy) -> None:
    """Note of labels that were taken in how their rows were chosen, where that was among the responses of this run."""
    log = store.get_run(run_id).identity.get("rows")
    for way in WAYS:
        rows = {
            (response.prompt.id, response.index): ChosenRow(response.prompt.id, response.index, row.predicted)
            for response, row in taken
            if row.chosen == way and row.log is not None and row.log == log
        }
        if rows:
            goals, name = taxonomy.to_dict() | {"hash": taxonomy.hash}, content_hash([list(place) for place in rows])
            store.add_choice(run_id, Choice(way, tuple(rows.values()), goals, settings={"taken": name}))


def label_row(label: Label, response: Response, *, log: str | None = None) -> dict[str, Any]:
    """A label with its response as a plain row, as `evaluate` and `measure --labels` read it.

    `log` is the hash of the recorded responses among which the row was chosen.
    """
    prompt = response.prompt
    is_text = len(prompt.messages) == 1 and prompt.messages[0].role == "user"
    row = {
        "id": response.id,
        "prompt_id": prompt.id,
        "prompt": prompt.text if is_text else None,
        "messages": None if is_text else [asdict(message) for message in prompt.messages],
        "response": response.text,
        "label": label.goal,
        "rater": label.rater,
        "time": label.time,
        "chosen": label.chosen or UNKNOWN,
        "predicted": label.predicted,
        "log": log,
        "settles": label.settles or None,
        "note": label.note,
        "model": response.model or None,
    }
    return {key: value for key, value in row.items() if value is not None}


def _content(response: Response) -> tuple[str, str]:
    return response.prompt.hash, response.text


def _acts_of(response: Response, row: LabelledRow, taxonomy: Taxonomy) -> Iterator[Act]:
    at, rater = (response.prompt.id, response.index), row.rater or ""
    if row.note:
        yield Act(
            *at, NOTE, rater, note=row.note, time=row.time or "", taxonomy_hash=taxonomy.hash, settles=row.settles
        )
    yield Act(*at, LABEL, rater, goal=row.label, time=row.time or "", taxonomy_hash=taxonomy.hash, settles=row.settles)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time writes: the last to write has seen what all have stored."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Which file it is and how long; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size


def _replace(path: Path, lines: list[bytes]) -> None:
    with replacing(path) as unfinished:
        unfinished.write_bytes(b"".join(lines))
