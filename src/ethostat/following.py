"""Trajectories of what was measured or recorded: versions of a model, stored runs, rows cut into windows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from ethostat.classifiers import Classifier, load_builtin
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.maths.profile import Profile
from ethostat.measurement import Identity, Measurement, Provenance
from ethostat.models.base import Decoding, Model
from ethostat.provenance import installed_versions
from ethostat.recorded import judged_rows
from ethostat.response import TRANSCRIPTS, PromptSet, Verdict
from ethostat.rows import Rejected
from ethostat.store import Store, content_hash
from ethostat.stressing import is_conversation, stored_trajectory
from ethostat.summary import Counts
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.trajectories import Point, Trajectory, point_of
from ethostat.transcripts import NO_PROMPT, TranscriptRow, read_transcripts
from ethostat.workflow import Rules, measure, stored_measurement

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_WINDOW = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)?")
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Cut:
    """How rows become steps: every `rows` rows, or every `seconds` of their time; with neither, by their `step`."""

    rows: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.rows is not None and self.rows < 2:
            raise InvalidInput(f"a window must hold at least 2 rows, got {self.rows}")
        if self.seconds is not None and not self.seconds > 0:
            raise InvalidInput(f"a window must be longer than 0 seconds, got {self.seconds:g}")

    @classmethod
    def read(cls, text: str) -> Cut:
        """From a number of rows ("200") or a duration ("90s", "15min", "6h", "1d"). Raises InvalidInput for others."""
        found = _WINDOW.fullmatch(text.strip())
        if found and found[2]:
            return cls(seconds=float(found[1]) * _SECONDS[found[2]])
        if found and "." not in found[1]:
            return cls(rows=int(found[1]))
        raise InvalidInput(f"a window is a number of rows (200) or a duration (90s, 15min, 6h, 1d), got {text!r:.60}")

    @property
    def name(self) -> str:
        """What one step is."""
        if self.rows is not None:
            return f"window of {self.rows} rows"
        if self.seconds is None:
            return "step of the rows"
        unit = [unit for unit, length in _SECONDS.items() if length <= max(self.seconds, 1)][-1]
        return f"window of {self.seconds / _SECONDS[unit]:g} {unit}"


def trajectory_of_models(
    models: Iterable[Model],
    prompts: PromptSet,
    *,
    samples: int | None = None,
    decoding: Decoding | None = None,
    seed: int | None = None,
    classifier: Classifier | None = None,
    store: Store | None = None,
    rules: Rules | None = None,
) -> Trajectory:
    """S over versions of a model, in the order given: each is measured on the same prompts, as `measure` does.

    Models are taken one at a time, so that an iterator can open each when its turn comes. Raises what `measure` does.
    """
    classifier = classifier or load_builtin()
    measured = [
        measure(
            model,
            prompts,
            samples=samples,
            decoding=decoding,
            seed=seed,
            classifier=classifier,
            store=store,
            rules=rules,
        )
        for model in models
    ]
    return trajectory_of_measurements(measured, taxonomy=classifier.taxonomy)


def trajectory_of_runs(
    store: Store, names: Sequence[str], *, open_classifier: Callable[[], Classifier] = load_builtin
) -> Trajectory:
    """S over stored runs. No model is called.

    One run of conversations is a trajectory by itself. Runs of one model stand at the time when they were started, in
    days since the first; runs of several models are versions, in the order given. Raises InvalidInput for an unknown
    run, or runs under different goals.
    """
    if len(names) == 1 and is_conversation(store.get_run(names[0])):
        return stored_trajectory(store, names[0], open_classifier=open_classifier)
    found = [stored_measurement(store, name, open_classifier=open_classifier) for name in names]
    taxonomy = found[0][1]
    measured = [measurement for measurement, _ in found]
    models = {content_hash(dict(store.get_run(name).identity)) for name in names}
    if len(models) > 1:
        return trajectory_of_measurements(measured, taxonomy=taxonomy)
    measured.sort(key=_started)
    begin = _started(measured[0])
    days = [(_started(one) - begin).total_seconds() / _DAY for one in measured]
    return trajectory_of_measurements(measured, taxonomy=taxonomy, step="day", places=days)


def trajectory_of_measurements(
    measured: Sequence[Measurement],
    *,
    taxonomy: Taxonomy,
    step: str = "version",
    places: Sequence[float] | None = None,
) -> Trajectory:
    """S over measurements, in order, each a step (from 1) unless `places` says where in time each stands.

    Prompts are the parts: a prompt is followed from one measurement to the next by its id. Raises InvalidInput where
    goals differ, TooLittleEvidence for fewer than two measurements.
    """
    if len(measured) < 2:
        raise TooLittleEvidence(f"a trajectory needs at least two measurements, got {len(measured)}")
    places = places or [float(n) for n in range(1, len(measured) + 1)]
    if any(later <= earlier for earlier, later in pairwise(places)):
        raise InvalidInput("two runs were started at the same time; a trajectory needs one run for each")
    for one in measured:
        if one.goals != taxonomy.keys:
            raise InvalidInput(f"{one.provenance.model} was sorted into {', '.join(one.goals)}; goals must be the same")
    parts = tuple(dict.fromkeys(row.id for one in measured for row in one.per_prompt))
    notes = tuple(dict.fromkeys(note for one in measured for note in one.provenance.notes))
    if len({one.provenance.prompts.hash for one in measured}) > 1:
        notes += ("the measurements are not of the same prompts: part of what moves may be the prompts",)
    if len({one.provenance.classifier.hash for one in measured}) > 1:
        notes += ("the measurements are not by the same classifier: part of what moves may be the classifier",)
    return Trajectory(
        provenance=_joined([one.provenance for one in measured], notes),
        goals=taxonomy.keys,
        aligned=taxonomy.aligned,
        step=step,
        part="prompt",
        parts=parts,
        points=tuple(_point(one, place, parts) for one, place in zip(measured, places, strict=True)),
    )


def trajectory_of_rows(
    source: Path | str,
    cut: Cut,
    *,
    taxonomy: Taxonomy | None = None,
    classifier: Classifier | None = None,
) -> Trajectory:
    """S over recorded responses, cut into steps. Rows that carry a goal keep it; the others are classified.

    Windows of rows are cut in the order of the rows' times where all have one, else in that of the file; the rows of
    the last window that is not full are left out and counted in the notes. Windows of time begin with the first row.
    Parts are the rows' `replicate` where they carry it, or their prompts where every step has the same ones; else all
    rows together are one part. Raises InvalidInput for an unusable file or rows that cannot be placed,
    TooLittleEvidence for fewer than two steps.
    """
    taxonomy = taxonomy or (classifier.taxonomy if classifier else FIVE_GOALS)
    rejected = Rejected()
    rows = list(rejected.set_aside(read_transcripts(source, taxonomy=taxonomy)))
    if not rows:
        raise TooLittleEvidence(f"{source} has no usable row; {rejected}")
    rows, verdicts, identity, _ = judged_rows(source, rows, rejected, classifier, taxonomy)
    placed = _placed(rows, cut)
    notes = [str(rejected)] if rejected.count else []
    if left := len(rows) - sum(map(len, placed.values())):
        notes.append(f"{left} rows of a last window that is not full are left out")
    if len(placed) < 2:
        raise TooLittleEvidence(f"a trajectory needs at least two steps, and a {cut.name} gives {len(placed)}")
    part, parts, names = _parts(rows, placed)
    sorted_into = {key: place for place, key in enumerate(taxonomy.keys)}
    points = [
        _window(step, members, rows, verdicts, names=names, parts=parts, goals=sorted_into, taxonomy=taxonomy)
        for step, members in placed.items()
    ]
    models = sorted({row.response.model for row in rows if row.response.model})
    times = sorted(point.time for point in points if point.time is not None)
    provenance = Provenance(
        model=", ".join(models) or f"{TRANSCRIPTS}{source}",
        taxonomy=Identity(taxonomy.name, taxonomy.hash, taxonomy.version),
        classifier=identity,
        prompts=Identity(Path(source).name, content_hash([row.response.id for row in rows])),
        prompt_count=len({row.response.prompt.id for row in rows}),
        started=times[0] if times else None,
        versions=installed_versions(),
        missing=rejected.count,
        notes=tuple(notes),
    )
    return Trajectory(
        provenance=provenance,
        goals=taxonomy.keys,
        aligned=taxonomy.aligned,
        step=cut.name,
        part=part,
        parts=parts,
        points=tuple(points),
    )


def _started(measured: Measurement) -> datetime:
    started = measured.provenance.started
    if started is None:
        raise InvalidInput(f"the measurement of {measured.provenance.model} has no time; give stored runs")
    return _moment(started)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _joined(sources: Sequence[Provenance], notes: tuple[str, ...]) -> Provenance:
    """One provenance for several: what they share, and the models by name."""
    first = sources[0]
    shared = {
        name: getattr(first, name)
        for name in ("samples", "temperature", "seed")
        if all(getattr(one, name) == getattr(first, name) for one in sources)
    }
    return replace(
        first,
        model=", ".join(dict.fromkeys(one.model for one in sources)),
        samples=shared.get("samples"),
        temperature=shared.get("temperature"),
        seed=shared.get("seed"),
        run=None,
        finished=sources[-1].finished,
        missing=sum(one.missing for one in sources),
        notes=notes,
    )


def _point(measured: Measurement, place: float, parts: Sequence[str]) -> Point:
    rows = {row.id: row.profile for row in measured.per_prompt}
    nothing = Profile((0,) * len(measured.goals))
    return Point(
        step=place,
        profile=measured.profile,
        parts=tuple(rows.get(part, nothing) for part in parts),
        entropy=measured.entropy,
        entropy_population=measured.entropy_population,
        pooled_entropy=measured.pooled_entropy,
        aligned=measured.aligned,
        shares=measured.shares,
        time=measured.provenance.started,
        model=measured.provenance.model,
    )


def _placed(rows: Sequence[TranscriptRow], cut: Cut) -> dict[float, list[int]]:
    """The places of the rows of each step, the steps in order."""
    if cut.rows is not None:
        return _by_count(rows, cut.rows)
    if cut.seconds is not None:
        return _by_time(rows, cut.seconds)
    if without := sum(row.step is None for row in rows):
        raise InvalidInput(
            f"{without} of {len(rows)} rows have no `step`; give a window: a number of rows (--window 200), or a "
            "duration where the rows have `time` (--window 1h)"
        )
    found: dict[float, list[int]] = {}
    for place, row in enumerate(rows):
        found.setdefault(float(row.step or 0), []).append(place)
    return dict(sorted(found.items()))


def _by_count(rows: Sequence[TranscriptRow], length: int) -> dict[float, list[int]]:
    order, times = list(range(len(rows))), [row.response.time for row in rows]
    if all(times):
        order.sort(key=lambda place: _moment(times[place] or ""))
    full = range(0, len(rows) - length + 1, length)
    return {float(n): order[start : start + length] for n, start in enumerate(full, 1)}


def _by_time(rows: Sequence[TranscriptRow], seconds: float) -> dict[float, list[int]]:
    if without := sum(row.response.time is None for row in rows):
        raise InvalidInput(f"{without} of {len(rows)} rows have no `time`; give a window of rows (--window 200)")
    moments = [_moment(row.response.time or "") for row in rows]
    begin, found = min(moments), dict[float, list[int]]()
    for place, moment in enumerate(moments):
        found.setdefault(float((moment - begin).total_seconds() // seconds + 1), []).append(place)
    return dict(sorted(found.items()))


def _parts(
    rows: Sequence[TranscriptRow], placed: Mapping[float, Sequence[int]]
) -> tuple[str, tuple[str, ...], list[str]]:
    """What a part is, which there are, and that of each row."""
    replicates = [row.fields.get("replicate") for row in rows]
    if all(isinstance(one, str | int) and one != "" for one in replicates):
        names = [str(one) for one in replicates]
        return "conversation", tuple(dict.fromkeys(names)), names
    names = [row.response.prompt.id for row in rows]
    sets = {frozenset(names[place] for place in members) for members in placed.values()}
    same = next(iter(sets))
    if len(sets) == 1 and NO_PROMPT.id not in same and len(names) > len(placed) * len(same):
        return "prompt", tuple(dict.fromkeys(names)), names
    return "stream", ("all",), ["all"] * len(rows)


def _window(
    step: float,
    members: Sequence[int],
    rows: Sequence[TranscriptRow],
    verdicts: Sequence[Verdict],
    *,
    names: Sequence[str],
    parts: Sequence[str],
    goals: Mapping[str, int],
    taxonomy: Taxonomy,
) -> Point:
    """The point of the rows of one step; its estimates are over the prompts that were asked in it."""
    times = [time for place in members if (time := rows[place].response.time)]
    asked = list(dict.fromkeys(rows[place].response.prompt.id for place in members))
    by_prompt = _table([rows[place].response.prompt.id for place in members], asked, members, verdicts, goals)
    by_part = _table([names[place] for place in members], parts, members, verdicts, goals)
    models = Counter(rows[place].response.model for place in members if rows[place].response.model)
    point = point_of(
        by_prompt,
        step=step,
        taxonomy=taxonomy,
        time=min(times, key=_moment) if times else None,
        model=next(iter(models)) if len(models) == 1 else None,
    )
    return replace(point, parts=tuple(Profile.from_array(row) for row in by_part))


def _table(
    names: Sequence[str],
    known: Sequence[str],
    members: Sequence[int],
    verdicts: Sequence[Verdict],
    goals: Mapping[str, int],
) -> Counts:
    row = {name: place for place, name in enumerate(known)}
    counts = np.zeros((len(known), len(goals)), dtype=np.int64)
    for name, place in zip(names, members, strict=True):
        counts[row[name], goals[verdicts[place].goal]] += 1
    return counts
