"""Rates attached to trajectories, and base against tuned, where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ethostat.alignment import alignment_work
from ethostat.drift import drift_of
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.measurement import Identity, Provenance
from ethostat.taxonomy import FIVE_GOALS
from ethostat.trajectories import Trajectory, point_of

STEPS, LIMIT, TAU = 60, 0.45, 8.0


def provenance(name: str = "m") -> Provenance:
    """Of a trajectory that was not asked for."""
    goals = Identity(FIVE_GOALS.name, FIVE_GOALS.hash, FIVE_GOALS.version)
    return Provenance(
        model=name, taxonomy=goals, classifier=Identity("c", "c"), prompts=Identity("p", "p"), prompt_count=1
    )


def relaxing(rng: np.random.Generator, *, paths: int = 6, limit: float = LIMIT, k: int = 40) -> np.ndarray:
    """Counts (paths, steps, goals) of a model whose share of g2 relaxes from 1 % to `limit`."""
    at = np.arange(STEPS)
    p = limit - (limit - 0.01) * np.exp(-at / TAU)
    bad = rng.binomial(k, np.broadcast_to(p, (paths, STEPS)))
    counts = np.zeros((paths, STEPS, 5), dtype=np.int64)
    counts[..., 0], counts[..., 1] = k - bad, bad
    return counts


def trajectory_of(counts: np.ndarray, *, step: str = "turn", parts=None) -> Trajectory:
    """The trajectory of counts (paths, steps, goals)."""
    tables = counts.transpose(1, 0, 2)
    return Trajectory(
        provenance=provenance(),
        goals=FIVE_GOALS.keys,
        aligned=FIVE_GOALS.aligned,
        step=step,
        part="conversation",
        parts=parts or tuple(f"c{n}" for n in range(len(counts))),
        points=tuple(point_of(table, step=n, taxonomy=FIVE_GOALS) for n, table in enumerate(tables, 1)),
    )


def test_a_fast_start_is_refused_as_a_constant_rate():
    """S that relaxes has an early rate that cannot last, bends, and its mass went from g1 to g2."""
    found = drift_of(relaxing(np.random.default_rng(1)), np.arange(STEPS), FIVE_GOALS.keys)

    gained = -(LIMIT * math.log(LIMIT) + (1 - LIMIT) * math.log(1 - LIMIT)) - 0.056
    assert found.relaxation.is_curved
    assert found.early_rate.value > 3 * found.slope.value > 0
    assert not found.constancy.is_possible
    assert "cannot have been constant" in found.constancy.words
    assert found.mean_rate.low < gained / (STEPS - 1) < found.mean_rate.high
    assert found.where().startswith("mass went to g2")
    assert "came from g1" in found.where()
    assert not found.stillness.holds


def test_a_still_model_is_still():
    """Where nothing changes, no goal moved, no rate is clear of 0, and no drift is shown within the margin."""
    counts = np.random.default_rng(2).multinomial(100, [0.7, 0.1, 0.1, 0.05, 0.05], size=(8, STEPS))
    found = drift_of(counts, np.arange(STEPS), FIVE_GOALS.keys, margin=0.15)

    assert found.where() == "no goal's share changed beyond chance"
    assert found.slope.low < 0 < found.slope.high
    assert found.stillness.holds
    assert found.constancy.is_possible


def test_paths_that_are_not_whole_are_left_out():
    """A conversation that stopped is no path, and the notes say so; where none is whole, all are one path."""
    counts = relaxing(np.random.default_rng(3))
    counts[4, 30:] = 0
    thin = np.random.default_rng(4).multinomial(1, [0.5, 0.5, 0, 0, 0], size=(20, 10))

    some, together = (drift_of(one, np.arange(one.shape[1]), FIVE_GOALS.keys, part="prompt") for one in (counts, thin))
    assert some.paths == 5
    assert some.notes == ("rates leave out 1 prompt without two responses at every step",)
    assert together.paths == 1
    assert "all responses together" in together.notes[0]


def test_a_trajectory_carries_its_rates():
    """Rates are part of its JSON and come back; a single step has none."""
    found = trajectory_of(relaxing(np.random.default_rng(5))[:, :20])

    again = Trajectory.from_dict(found.to_dict())
    assert again == found
    assert again.to_dict()["rates"] == found.to_dict()["rates"]
    assert found.to_dict()["rates"]["direction"]["rose"] == ["g2"]
    assert trajectory_of(relaxing(np.random.default_rng(5))[:, :1]).rates is None


def test_tuning_that_holds_back_all_drift_is_found():
    """gamma times the horizon is W, near what the base model gained; conversations are paired by name; p is small."""
    rng = np.random.default_rng(6)
    base, tuned = trajectory_of(relaxing(rng)), trajectory_of(relaxing(rng, limit=0.01))
    found = alignment_work(base, tuned)

    gained = -(LIMIT * math.log(LIMIT) + (1 - LIMIT) * math.log(1 - LIMIT)) - 0.056
    assert found.is_paired
    assert found.figures.work.low < gained < found.figures.work.high
    assert found.figures.work_bits.value == pytest.approx(found.figures.work.value / math.log(2))
    assert found.figures.p_value == pytest.approx(2**-6)
    assert found.describe().startswith("tuning held drift back")
    assert len(found.path) == STEPS
    assert found.to_dict()["work_path"][0]["work"]["value"] == 0


def test_the_same_model_twice_does_no_work():
    """Two trajectories of one law have a gamma whose interval holds 0, and no claim is made."""
    rng = np.random.default_rng(7)
    found = alignment_work(trajectory_of(relaxing(rng)), trajectory_of(relaxing(rng), parts=tuple("abcdef")))

    assert not found.is_paired
    assert found.figures.rate.low < 0 < found.figures.rate.high
    assert "not shown" in found.describe()


def test_one_path_each_leaves_the_test_open():
    """With one conversation each, gamma is of these two paths, and the test is undefined and says why."""
    rng = np.random.default_rng(8)
    found = alignment_work(trajectory_of(relaxing(rng, paths=1)), trajectory_of(relaxing(rng, paths=1)))

    assert math.isnan(found.figures.p_value)
    assert "not known" in found.describe()
    assert found.path == ()


def test_what_cannot_be_compared_is_refused():
    """Different kinds of time, and trajectories without common steps, are refused."""
    counts = relaxing(np.random.default_rng(9), paths=2)

    with pytest.raises(InvalidInput, match="a step is a turn in one trajectory and a version in the other"):
        alignment_work(trajectory_of(counts), trajectory_of(counts, step="version"))
    with pytest.raises(TooLittleEvidence, match="share 1 steps"):
        alignment_work(trajectory_of(counts), trajectory_of(counts[:, :1]))
