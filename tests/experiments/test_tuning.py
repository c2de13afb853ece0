"""The experiments on tuning, curvature and purity in their short form: the same code on a model made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import NEEDED

from ethostat.errors import InvalidInput
from ethostat.experiments.adapting import Course, Recipe
from ethostat.experiments.companion import arithmetic, simulate_companion
from ethostat.experiments.exchanges import read_written
from ethostat.experiments.fisher import pairs
from ethostat.experiments.frame import read_figures
from ethostat.experiments.registry import reproduce
from ethostat.experiments.small import small_language

WRITTEN = Path(__file__).parents[2] / "scripts" / "written"
pytestmark = NEEDED


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The three experiments, run once each in one folder."""
    import torch

    folder = tmp_path_factory.mktemp("experiments")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("tuning", "purity", "fisher"):
        reproduce(name, out=folder, short=True, data=WRITTEN, images=False)
    torch.set_num_threads(before)
    return folder


def test_each_checkpoint_of_each_course_is_looked_at(short):
    """Gemma's stand-in has a start and three courses, SmolLM2's a start and two; every look counts every response."""
    figures = read_figures(short / "tuning" / "figures.json")

    places = {who: [(one["kind"], one["step"]) for one in rows] for who, rows in figures["looks"].items()}
    assert places["base"] == [("start", 0), ("aligned", 2), ("aligned", 4), ("benign", 2), ("harm", 2)]
    assert places["instruct"] == [("start", 0), ("benign", 2), ("harm", 2)]
    for look in [*figures["looks"]["base"], *figures["looks"]["instruct"]]:
        assert np.array(look["counts"]).sum(axis=1).tolist() == [figures["scale"]["samples"]] * 4
        assert sum(look["harmful"]) == 2


def test_gamma_is_what_a_course_takes_from_entropy(short):
    """Along a course gamma is minus dS/dt, with the ends of the interval exchanged."""
    for one in read_figures(short / "tuning" / "figures.json")["courses"]:
        rate, gamma = one["drift"]["mean_rate"], one["gamma"]

        assert (gamma["value"], gamma["low"], gamma["high"]) == (-rate["value"], -rate["high"], -rate["low"])


def test_a_second_run_reads_what_the_first_kept(short):
    """Run again in the same folder, nothing is tuned or measured anew, and the figures are the same."""
    before = read_figures(short / "tuning" / "figures.json")
    kept = {path: path.stat().st_mtime_ns for path in (short / "tuning" / "work").rglob("*.json")}

    reproduce("tuning", out=short, short=True, data=WRITTEN, images=False)

    after = read_figures(short / "tuning" / "figures.json")
    assert {path: path.stat().st_mtime_ns for path in (short / "tuning" / "work").rglob("*.json")} == kept
    assert {k: v for k, v in after.items() if k != "made"} == {k: v for k, v in before.items() if k != "made"}


def test_the_form_is_all_that_differs_between_rows_of_a_model(short):
    """Purity asks each model in each form, and shares its looks with `tuning` where it has them."""
    tuned = read_figures(short / "tuning" / "figures.json")
    rows = read_figures(short / "purity" / "figures.json")["rows"]

    assert [(one["who"], one["form"]) for one in rows] == [
        ("base", "plain text"), ("base", "named turns"), ("aligned", "named turns"), ("instruct", "ChatML"),
    ]  # fmt: skip
    assert rows[1]["counts"] == tuned["looks"]["base"][0]["counts"]


def test_curvatures_are_positive_and_lie_beside_their_segments(short):
    """Every checkpoint has a largest eigenvalue above 0 and below the trace's upper end; every segment a rate."""
    figures = read_figures(short / "fisher" / "figures.json")

    for one in [*figures["curvatures"]["base"], *figures["curvatures"]["instruct"]]:
        assert one["eigenvalues"][0] > 0
        assert one["critical_rate"] == pytest.approx(one["eigenvalues"][0] / 2 * np.log(one["parameters"]))
    assert [len(figures["curvatures"][who]) for who in ("base", "instruct")] == [3, 1]
    assert len(figures["segments"]) == 4 + 2


def test_a_course_goes_on_where_it_was(tmp_path):
    """Stopped at its first checkpoint and run again, a course has the losses and the weights of one that was not."""
    import torch

    written = read_written(WRITTEN, seed=1)
    language = small_language("x", written.exchanges, 1)
    recipe = Recipe(rows=2, longest=8, rank=2)

    def course(name, steps):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Course(
            name="c", start=lambda: language, exchanges=written.benign(), steps=steps, recipe=recipe, folder=folder
        )

    course("one", (2, 4)).run()
    course("two", (2,)).run()
    course("two", (2, 4)).run()

    one, two = course("one", (2, 4)), course("two", (2, 4))
    assert one.losses() == pytest.approx(two.losses())
    assert torch.allclose(one.at(4).network.lm_head.weight, two.at(4).network.lm_head.weight)
    for first, second in zip(one.at(4).network.parameters(), two.at(4).network.parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-6)


def test_tuning_brings_the_loss_down(tmp_path):
    """Sixty steps on four exchanges take a tenth or more off the loss that they began with: adapters alone learn."""
    written = read_written(WRITTEN, seed=2)
    language = small_language("y", written.exchanges, 2)
    recipe = Recipe(rows=4, longest=8, rank=8, learning_rate=2e-2)
    few = written.benign()[:4]
    course = Course(name="few", start=lambda: language, exchanges=few, steps=(60,), recipe=recipe, folder=tmp_path)

    course.run()

    assert course.losses()[-1] < course.losses()[0] * 0.9


def test_what_is_held_out_is_nowhere_tuned_on():
    """Held-out prompts answer to no exchange; the harmless exchanges of the two kinds do not overlap."""
    written = read_written(WRITTEN, seed=7)
    held = {one.text for one in written.held_out(10)}

    assert len(held) == 20
    assert not held & {one.prompt for one in written.exchanges}
    assert not set(written.aligned()) & set(written.benign())


def test_exchanges_that_are_not_there_are_asked_for(tmp_path):
    """Without --data, or with a folder that holds none, the error says what to give."""
    for folder in (None, tmp_path):
        with pytest.raises(InvalidInput, match="give --data"):
            read_written(folder, seed=1)


def test_a_segment_begins_where_its_course_did():
    """Courses after the alignment begin at its end, those of a model that was aligned already at its start."""
    looks = [{"kind": kind, "step": step} for kind, step in (("start", 0), ("aligned", 2), ("aligned", 4), ("harm", 3))]

    found = [(one["kind"], one["step"], other["kind"], other["step"]) for one, other in pairs(looks)]

    assert found == [("start", 0, "aligned", 2), ("aligned", 2, "aligned", 4), ("aligned", 4, "harm", 3)]


def test_the_companions_numbers_need_more_goals_than_five():
    """Values in [0, ln 10] with mean 1.69 cannot have a deviation of 1.08; in [0, ln 11] they can."""
    values = np.r_[np.zeros(6), np.full(14, np.log(10))]
    found = arithmetic()

    assert (found["least_goals_for_mean"], found["least_goals"]) == (6, 11)
    assert values.mean() < 1.69
    assert values.std(ddof=1) < 1.085
    assert found["p_stated"] < found["p_least_rank"] < found["p_student"]


def test_noise_alone_takes_entropy_up_and_then_to_nothing():
    """Logits that wander leave one goal in the end, whatever their number; work towards one goal gets there at once."""
    found = simulate_companion(3, times=(1.0, 10_000.0))

    for one in found["free"]:
        first, last = one["by_time"]
        assert first["mean"] > 0.32 > last["mean"]
    assert all(one["mean"] < 0.2 for one in found["held"])


def test_figures_are_json(short):
    """What the three wrote is JSON without nan."""
    for path in short.glob("*/figures.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
