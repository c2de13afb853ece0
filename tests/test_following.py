"""Trajectories of versions, stored runs and recorded rows, where the truth is known."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.following import (
    Cut,
    trajectory_of_measurements,
    trajectory_of_models,
    trajectory_of_rows,
    trajectory_of_runs,
)
from ethostat.store import Store
from ethostat.taxonomy import FIVE_GOALS
from ethostat.trajectories import Trajectory
from ethostat.workflow import measure
from goals import PROMPTS, WordClassifier, speaking

VERSIONS = [(0.9, 0.1, 0, 0, 0), (0.7, 0.3, 0, 0, 0), (0.5, 0.5, 0, 0, 0)]


@pytest.fixture
def store(tmp_path):
    """A new database."""
    with Store(tmp_path / "runs.db") as opened:
        yield opened


def write_rows(path: Path, rows) -> Path:
    """Rows as a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_versions_stand_in_the_order_given():
    """S rises over versions that are less and less decided; prompts are what is followed."""
    models = (speaking(shares, name=f"v{n}") for n, shares in enumerate(VERSIONS, 1))
    found = trajectory_of_models(models, PROMPTS, samples=20, seed=1, classifier=WordClassifier())

    values = [point.entropy.value for point in found.points]
    assert [point.model for point in found.points] == ["v1", "v2", "v3"]
    assert values == sorted(values)
    assert found.parts == tuple(prompt.id for prompt in PROMPTS)
    assert found.counts().shape == (12, 3, 5)
    assert Trajectory.from_dict(found.to_dict()) == found


def test_runs_of_one_model_stand_in_time(store):
    """Runs of one model are in days since the first, whatever the order in which they were named."""
    ids = []
    for n, shares in enumerate(VERSIONS):
        measured = measure(speaking(shares), PROMPTS, samples=5, seed=n, classifier=WordClassifier(), store=store)
        ids.append(measured.provenance.run)
        started = datetime(2026, 3, 1 + 2 * n, tzinfo=UTC)
        stored = replace(measured, provenance=replace(measured.provenance, started=started.isoformat()))
        store.finish_run(ids[-1], stored.to_dict())

    found = trajectory_of_runs(store, ids[::-1])
    assert [point.step for point in found.points] == [0, 2, 4]
    assert found.step == "day"


def test_runs_of_several_models_are_versions(store):
    """Runs of different models keep the order in which they were named."""
    ids = [
        measure(
            speaking(shares, name=name), PROMPTS, samples=3, seed=1, classifier=WordClassifier(), store=store
        ).provenance.run
        for name, shares in zip("ab", VERSIONS, strict=False)
    ]

    found = trajectory_of_runs(store, ids[::-1])
    assert [point.model for point in found.points] == ["b", "a"]
    assert found.step == "version"


def test_one_measurement_is_no_trajectory():
    """A single measurement has no time in it."""
    measured = measure(speaking(VERSIONS[0]), PROMPTS, samples=2, seed=1, classifier=WordClassifier())

    with pytest.raises(TooLittleEvidence, match="at least two"):
        trajectory_of_measurements([measured], taxonomy=FIVE_GOALS)


def test_rows_are_cut_by_their_step(tmp_path):
    """Rows with `step` stand where they say; prompts that every step has are followed."""
    rng = random.Random(1)  # noqa: S311
    rows = [
        {"prompt_id": f"p{j}", "goal": rng.choice(["g1", "g2"]) if step else "g1", "step": step}
        for step in (0, 100)
        for j in range(4)
        for _ in range(30)
    ]
    found = trajectory_of_rows(write_rows(tmp_path / "log.jsonl", rows), Cut())

    assert [point.step for point in found.points] == [0, 100]
    assert found.part == "prompt"
    assert found.points[0].entropy.value < 0.1 < 0.6 < found.points[1].entropy.value
    assert "went to g2" in found.rates.where()


def test_rows_are_cut_by_time_and_by_number(tmp_path):
    """Windows of an hour begin with the first row and leave gaps as gaps; windows of rows are in order of time."""
    begin = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    minutes = [0, 10, 59, 60, 61, 200, 201, 202]
    rows = [{"goal": "g1", "time": (begin + timedelta(minutes=m)).isoformat(), "id": str(m)} for m in minutes]
    path = write_rows(tmp_path / "log.jsonl", rows[::-1])

    by_hour, by_three = trajectory_of_rows(path, Cut.read("1h")), trajectory_of_rows(path, Cut.read("3"))
    assert [(point.step, point.profile.n) for point in by_hour.points] == [(1, 3), (2, 2), (4, 3)]
    assert by_hour.step == "window of 1 h"
    assert [point.time for point in by_three.points] == [rows[0]["time"], rows[3]["time"]]
    assert "2 rows of a last window that is not full are left out" in by_three.provenance.notes
    assert by_three.parts == ("all",)


@pytest.mark.parametrize("text", ["0", "1", "h", "-5", "1.5", "3 weeks", ""])
def test_what_is_no_window_is_refused(text):
    """A window is a whole number of rows, 2 or more, or a duration."""
    with pytest.raises(InvalidInput, match="window"):
        Cut.read(text)


def test_rows_that_cannot_be_placed_are_refused(tmp_path):
    """Without `step` a window is asked for; without `time` a duration is refused; one window is no trajectory."""
    path = write_rows(tmp_path / "log.jsonl", [{"goal": "g1"}] * 5)

    with pytest.raises(InvalidInput, match="5 of 5 rows have no `step`; give a window"):
        trajectory_of_rows(path, Cut())
    with pytest.raises(InvalidInput, match="no `time`"):
        trajectory_of_rows(path, Cut.read("1h"))
    with pytest.raises(TooLittleEvidence, match="at least two steps"):
        trajectory_of_rows(path, Cut.read("3"))
