"""The threshold experiment: rules that are the package's own, failure as it was defined, and a short run."""

from __future__ import annotations

import numpy as np
import pytest

from ethostat.experiments.alarms import FIRST, published, repaired, windowed
from ethostat.experiments.coarse import coarsen
from ethostat.experiments.deployments import DEPLOYMENTS, DRIFTS, NOTHING, Law, Streams, draw
from ethostat.experiments.frame import Settings
from ethostat.experiments.live import Course
from ethostat.experiments.pools import prompts_of_deployments
from ethostat.experiments.scoring import is_there, shows, warning
from ethostat.experiments.threshold import CHANGE, held_out, run
from ethostat.experiments.threshold_page import claims, live_failure, page
from ethostat.maths.detectors import PaperThreshold

CAREFUL, GIVING_WAY = (0.9, 0.02, 0.05, 0.01, 0.02), (0.2, 0.6, 0.15, 0.02, 0.03)
LAW = Law(np.array([[CAREFUL, CAREFUL, GIVING_WAY], [GIVING_WAY] * 3]))
CHAT = DEPLOYMENTS[-1]


def drawn(drift, *, streams=4, length=1_200, change=600):
    """Streams of the chat under LAW."""
    return draw(np.random.default_rng(1), CHAT, LAW, drift, streams=streams, length=length, change=change)


def test_every_deployment_has_prompts_on_its_routes_and_under_pressure():
    """The prompt set holds at least 12 prompts of each kind of each deployment, and nothing else."""
    found = [one.category for one in prompts_of_deployments()]

    wanted = {f"{one.name}/{group}" for one in DEPLOYMENTS for group in one.groups}
    assert set(found) == wanted
    assert min(found.count(kind) for kind in wanted) >= 12


def test_the_rules_of_the_paper_fire_where_the_detector_of_the_package_does():
    """By step and by window, response by response."""
    streams = drawn(NOTHING, streams=1, length=700)
    by_step, by_window = PaperThreshold(5), PaperThreshold(5, sliding=True)
    steps, windows = zip(
        *((by_step.update(goal).alarm, by_window.update(goal).alarm) for goal in streams.goals[0].tolist()),
        strict=True,
    )

    assert np.flatnonzero(published(streams)[0]).tolist() == [at for at in range(99, 700, 100) if steps[at]]
    assert windowed(streams)[0].tolist() == list(windows)


def test_a_repaired_threshold_fires_about_once_in_ten_thousand_responses():
    """On 20 quiet streams of 4,000 responses: 8 pages are expected where each stream knows its baseline."""
    quiet = drawn(NOTHING, streams=20, length=4_000)

    assert 0 < repaired(quiet).sum() < 60 < published(quiet).sum()


def test_a_stream_keeps_the_mix_of_its_day():
    """Over whole days each route has half of the ordinary traffic, and most of it in the hours that are busiest."""
    streams = draw(np.random.default_rng(2), CHAT, LAW, NOTHING, streams=1, length=24_000, change=24_000)
    hours = CHAT.hours(np.array([3.0]), 24_000)[0]

    shares = np.bincount(streams.groups[0], minlength=3) / 24_000
    assert hours[0] == pytest.approx(3.0)
    assert shares[2] == pytest.approx(CHAT.pressure, abs=0.01)
    assert np.mean(np.abs(hours - CHAT.busiest) < 4) > 8 / 24
    busy = streams.groups[0][np.abs(hours - CHAT.busiest) < 2]
    assert np.mean(busy == 0) > np.mean(busy == 1) + 0.3


def test_failure_is_there_when_the_expected_share_has_doubled():
    """Pressure of 6 % gives 5.5 % of g2; 11 % need pressure of 15.5 %, which it has 432 responses after the change."""
    found = is_there(drawn(DRIFTS[0]), (1,), 600)

    assert found == pytest.approx(432, abs=5)


def test_failure_shows_in_a_window_after_it_is_there():
    """At once for all traffic: the last 200 responses have twice the share within some tens of responses."""
    at_once = DRIFTS[2]

    assert (is_there(drawn(at_once), (1,), 600) == 0).all()
    assert ((shows(drawn(at_once), (1,), 600) > 3) & (shows(drawn(at_once), (1,), 600) < 60)).all()


def test_a_page_before_failure_is_a_warning_and_one_after_it_is_none():
    """Of three streams one pages 10 responses before, one 5 after, one never; the fourth never fails."""
    pages = np.zeros((4, 100), dtype=bool)
    pages[0, 60], pages[1, 75], pages[3, 55] = True, True, True

    found = warning(pages, np.array([20, 20, 20, 50]), 50)

    assert (found["failed"], found["before"]["value"], found["found"]["value"]) == (3, pytest.approx(1 / 3), 0.75)
    assert found["median_lead"] == (10 - 5) / 2


def test_a_monitor_that_always_pages_would_be_seen_on_held_out_responses():
    """Halves of one pool hardly ever page; a pool whose halves differ by construction cannot be dealt by chance."""
    pool = {str(n): ("g1",) * 9 + ("g2",) for n in range(40)}

    assert held_out(np.random.default_rng(1), pool, runs=10)["paged"] <= 1


def test_a_live_stream_has_failed_where_a_window_has_twice_the_share():
    """One g2 in ten is normal; two in a window of five are there at response 14."""
    course = Course(10, 10, 1, 20, 0.5, 5, 20)._asdict()
    goals = ["g2", *["g1"] * 9, "g1", "g2", "g1", "g2", *["g1"] * 6]

    assert live_failure({"course": course, "goals": goals}) == 12
    assert live_failure({"course": course, "goals": ["g2", "g2", *["g1"] * 18]}) is None


def test_a_coarse_copy_keeps_the_size_and_loses_every_second_level(tmp_path):
    """Each weight is within 0.6 of a level of what it was; a copy that is there is not made again."""
    gguf = pytest.importorskip("gguf", reason="extra experiments")
    weights = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    packed = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q4_1)
    writer = gguf.GGUFWriter(tmp_path / "source.gguf", "llama")
    writer.add_tensor("w", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()

    made = coarsen(tmp_path / "source.gguf", tmp_path / "coarse.gguf")

    (tensor,) = gguf.GGUFReader(made).tensors
    before, after = (gguf.quants.dequantize(one, gguf.GGMLQuantizationType.Q4_1) for one in (packed, tensor.data))
    levels = tensor.data.reshape(-1, 20)[:, 4:]
    step = packed.reshape(-1, 20)[:, :2].copy().view(np.float16).astype(float)
    assert not (levels & 0x11).any()
    assert (np.abs(before - after).reshape(-1, 32) <= 0.6 * step).all()
    stamp = made.stat().st_mtime_ns
    assert coarsen(tmp_path / "source.gguf", made).stat().st_mtime_ns == stamp


def test_the_short_form_runs_a_real_model_and_tells_rules_apart(tmp_path):
    """Pools, quiet streams, drifts and a live stream; the paper's rule fires on most steps, the repaired one on few."""
    figures = run(Settings(short=True, out=tmp_path))

    quiet = figures["control"]["chat"]
    assert quiet["published"]["per_10000"] > 50 > quiet["repaired"]["per_10000"]
    assert sum(sum(row.values()) for row in figures["pools"]["usual"].values()) == 3 * 4
    assert len(figures["live"]["goals"]) == 12
    assert figures["change"] == CHANGE > figures["first"] == FIRST
    assert "no-system" not in figures["pools"] or figures["settings"]["no-system"]
    assert "## A stream that was sampled as it went" in page(figures)
    assert len(claims(figures)) == 3


def test_streams_are_told_apart_by_their_fields():
    """Goals and kinds lie beside each other, response by response; expected shares sum to 1."""
    streams: Streams = drawn(DRIFTS[1])

    assert streams.goals.shape == streams.groups.shape == streams.expected.shape[:2]
    assert streams.expected.sum(axis=-1) == pytest.approx(1.0)
