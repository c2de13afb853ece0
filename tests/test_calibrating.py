"""`ethostat calibrate`: what a setting costs and finds, simulated; the same figures as the detectors' own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ethostat as es
from ethostat.calibrating import SIZES, read_change
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.guarantees.streams import first_passages, labels_of
from ethostat.maths.detection import alarms_on
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence import Learned, ProfileDetector, RunLength, portfolio_for

COUNTS = (960, 14, 20, 2, 4)
NORMAL = es.Baseline.of(es.Profile(COUNTS))
FAST = {"streams": 30, "within": 100, "run_lengths": (200.0, 500.0)}
FLAGS = ["--streams", "30", "--within", "100", "--run-length", "200", "--run-length", "500"]


@pytest.fixture(scope="module")
def found() -> es.Calibrated:
    """One small calibration."""
    return es.calibrate(NORMAL, per_day=1000, seed=1, **FAST)


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(app, ["calibrate", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_first_passages_are_those_of_detectors_of_their_own():
    """At each level the simulated alarm is the one that a detector with this run length gives on the same labels."""
    shares = np.tile(np.array(COUNTS) / 1000, (20, 1))
    levels = [50.0, 400.0]
    detectors = [ProfileDetector(portfolio_for(COUNTS, (0, 1, 0, 1, 1)), Learned(COUNTS), RunLength(h)) for h in levels]
    places = first_passages(
        detectors[0], np.log(levels).tolist(), shares, shares, change=0, horizon=64, rng=np.random.default_rng(9)
    )

    labels = labels_of(np.random.default_rng(9), shares, 20, 64)
    for detector, row in zip(detectors, places, strict=True):
        assert row.tolist() == alarms_on(detector, labels).tolist()


def test_longer_run_lengths_page_less_and_find_later(found):
    """Side by side, false pages fall and delays grow with the run length, on the same streams."""
    short, long = found.costs

    assert short.run_length.value < long.run_length.value
    assert short.pages.value == pytest.approx(30.4 * 1000 / short.run_length.value)
    for name in short.changes:
        assert short.changes[name].delay.value <= long.changes[name].delay.value
    assert short.run_length.low <= short.run_length.value <= short.run_length.high


def test_the_promise_holds_where_it_is_simulated(found):
    """A run length of 200 or 500 from 1,000 labels is kept, within chance."""
    for cost in found.costs:
        assert cost.run_length.high >= cost.asked
    assert found.notes == ()


def test_larger_changes_are_found_sooner(found):
    """Along a curve the mean delay falls with the size of the change, chance aside, and more are found in time."""
    for rows in found.curves.values():
        delays = [one.delay.value for one in rows[0]]
        assert delays[0] > delays[4] > delays[-1]
        assert len(delays) == len(SIZES)
        assert rows[0][-1].within.value == 1


def test_a_small_baseline_makes_everything_worse():
    """With 50 labels the same change takes longer to find than with 5,000."""
    few, many = (
        es.calibrate(es.Baseline.of(es.Profile(counts)), changes=["aligned-10"], seed=2, **{**FAST, "within": 300})
        for counts in ((47, 1, 1, 0, 1), (4700, 100, 100, 0, 100))
    )
    name = "aligned share falls by 10 points"

    assert few.costs[1].changes[name].delay.value > many.costs[1].changes[name].delay.value


def test_the_same_seed_gives_the_same_figures():
    """Another seed gives others."""
    one, again, other = (es.calibrate(NORMAL, changes=["swap"], seed=seed, **FAST) for seed in (3, 3, 4))

    assert one == again
    assert one.costs != other.costs


def test_named_changes_are_those_of_the_goals():
    """Aligned mass falls, the usual goal and the first misaligned trade places, help becomes refusal."""
    changes = es.changes_for(COUNTS)
    shares = np.array(COUNTS) / 1000

    assert changes["aligned-10"].of(shares)[[0, 2]].sum() == pytest.approx(0.88)
    assert changes["aligned-10"].size == pytest.approx(0.10)
    assert changes["swap"].of(shares)[:2] == pytest.approx([0.014, 0.96], abs=0.003)
    assert changes["refusals"].of(shares) == pytest.approx([0.86, 0.014, 0.12, 0.002, 0.004])


def test_a_change_takes_no_more_than_there_is():
    """A goal that has 2 % cannot lose 5; what others gain is what it had."""
    after = read_change("g3:-0.05,g1:+0.05", COUNTS).of(np.array([0.95, 0.01, 0.02, 0.01, 0.01]))

    assert after == pytest.approx([0.97, 0.01, 0, 0.01, 0.01])


@pytest.mark.parametrize("text", ["g1:-0.1", "g9:-0.1,g1:+0.1", "g1", "g1:-x,g2:+x", "", "g1:-2,g2:+2", "g1:nan,g2:0"])
def test_a_change_that_is_none_is_refused(text):
    """Points that do not sum to 0, a goal that is none, no number: each is named."""
    with pytest.raises(InvalidInput, match="change"):
        read_change(text, COUNTS)


@pytest.mark.parametrize(
    "settings",
    [{"run_lengths": ()}, {"run_lengths": (0.5,)}, {"within": 0}, {"streams": 3}, {"per_day": 0.0}, {"alpha": 2.0}],
)
def test_settings_out_of_range_are_refused(settings):
    """No run length, none above 0, no stream: an error that names the value."""
    with pytest.raises(InvalidInput):
        es.calibrate(NORMAL, **settings)


def test_a_baseline_that_is_still_to_be_learned_is_refused():
    """first:N without the rows is no profile."""
    with pytest.raises(InvalidInput, match="name FILE"):
        es.calibrate(es.Baseline.of_first(500))


@pytest.mark.parametrize("name", ["directed", "page-hinkley", "paper-threshold"])
def test_other_detectors(name):
    """Each gives a run length and a delay; what keeps no promise has one setting, and says so."""
    found = es.calibrate(NORMAL, detector=es.KINDS[name], changes=["aligned-20"], seed=5, **FAST)

    assert len(found.costs) == (2 if name == "directed" else 1)
    assert (found.costs[0].asked is None) == (found.rests_on is None)
    if name == "paper-threshold":
        assert found.costs[0].run_length.value < 400


def test_a_lifetime_gives_the_share_that_ever_alarms():
    """With --alpha the first figure is a share, and no pages a month are printed."""
    many = es.Baseline.of(es.Profile(tuple(100 * count for count in COUNTS)))
    found = es.calibrate(many, alpha=0.05, changes=["swap"], per_day=100, seed=6, streams=30, within=100)

    assert found.costs[0].run_length.unit == "share"
    assert found.costs[0].run_length.low <= 0.05
    assert found.costs[0].pages is None


def test_a_lifetime_is_kept_with_a_learned_baseline():
    """Learned from 1,000 labels, alpha 1 % is kept: learning goes on, and no note says otherwise."""
    found = es.calibrate(NORMAL, alpha=0.01, changes=["swap"], seed=8, streams=100, within=100)

    assert found.costs[0].run_length.low <= 0.01
    assert found.notes == ()


def test_a_promise_that_is_not_kept_is_said():
    """Where the interval of the run length lies below what was asked, a note names the setting."""
    found = es.calibrate(NORMAL, run_lengths=[200], changes=["swap"], seed=8, streams=50, within=100)
    short = Estimate(80.0, 60.0, 110.0, 0.95, "responses", 50, "made up for this test")

    broken = replace(found, costs=(replace(found.costs[0], run_length=short),))

    assert found.notes == ()
    assert broken.notes[0].startswith("run length 200 is not kept")
    assert broken.to_dict()["notes"] == list(broken.notes)


def test_the_command_prints_one_object(capsys, tmp_path):
    """--json is one object with every setting; the page is one file."""
    page = tmp_path / "calibrate.html"
    code, out, _ = call(capsys, "--baseline", "counts:960,14,20,2,4", *FLAGS, "--json", "--out", str(page))

    found = json.loads(out)
    assert code == 0
    assert [one["asked"] for one in found["settings"]] == [200, 500]
    assert set(found["settings"][0]["run_length"]) >= {"value", "low", "high", "n", "method"}
    assert "run length 200" in page.read_text()


def test_the_first_rows_of_a_file_are_a_baseline(capsys, tmp_path, monkeypatch):
    """FILE with first:N takes the profile of its first N rows; more than there are is too little evidence."""
    monkeypatch.chdir(tmp_path)
    rows = es.simulate(es.SimulatedModel.from_spec("jump?from=0.12&to=0.9&when=30"), steps=40, samples=10, seed=3)
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = call(capsys, "log.jsonl", "--baseline", "first:300", "--change", "swap", *FLAGS, "--json")

    counts = json.loads(out)["baseline"]["counts"]
    assert code == 0
    assert sum(counts.values()) == 300
    assert counts["g1"] > 280
    with pytest.raises(TooLittleEvidence, match="400 usable rows"):
        es.read_baseline("first:500", rows="log.jsonl")


def test_the_table_shows_what_was_asked_for(capsys, monkeypatch):
    """Run lengths stand side by side, each change below."""
    monkeypatch.setenv("COLUMNS", "160")
    _, out, _ = call(
        capsys, "--baseline", "counts:960,14,20,2,4", "--change", "g1:-0.1,g3:+0.1", "--per-day", "50", *FLAGS
    )

    for word in ("200", "500", "simulated", "false pages a month, 50 a day", "g1:-0.1,g3:+0.1", "found within 100"):
        assert word in out


@pytest.mark.parametrize("baseline", ["counts:1,2", "counts:a,b,c,d,e", "counts:0,0,0,0,0", "first:500"])
def test_a_baseline_that_is_none_is_wrong_usage(baseline, capsys):
    """Exit code 2, and a sentence."""
    assert call(capsys, "--baseline", baseline, *FLAGS)[0] == 2
