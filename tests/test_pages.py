"""Reports of comparisons and trajectories: what is drawn, what is said, what each suffix writes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import ethostat as es
from ethostat import charts
from ethostat.alignment import alignment_work
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput
from ethostat.report import comparison_html, comparison_markdown, trajectory_html, trajectory_markdown
from ethostat.report.verdicts import sentences
from ethostat.shift import CorrectedShift, Shift
from report_cases import HOSTILE, hostile
from shift_cases import ALIGNED, followed, hostile_shift, measured, shifted


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with no settings from outside and its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def pair() -> tuple[Shift, ...]:
    """Two models against one."""
    return shifted()


def test_a_forest_plot_draws_every_difference_with_its_interval(pair):
    """Dots are the differences, whiskers end where intervals end, in both panels."""
    found = pair[0]
    figure = charts.forest(found)

    like = [trace for trace in figure.data if trace.name == "prompts like these"]
    shares = [found.aligned_difference, *(one.difference for one in found.goals)]
    assert list(like[1].x) == [share.value for share in shares]
    ends = [x + up for x, up in zip(like[1].x, like[1].error_x.array, strict=True)]
    assert ends == pytest.approx([share.high for share in shares])
    assert like[0].x[0] == found.entropy_difference.value
    assert "95% interval" in figure.layout.xaxis2.title.text


def test_the_band_of_a_forest_plot_is_the_margin(pair):
    """0.05 nats to both sides above, five in a hundred responses below."""
    bands = [shape for shape in charts.forest(pair[0]).layout.shapes if shape.type == "rect"]

    assert [(band.x0, band.x1, band.xref) for band in bands] == [(-0.05, 0.05, "x"), (-0.05, 0.05, "x2")]


def test_corrected_differences_stand_beside_raw_ones(pair):
    """Where both sides carry corrections a third mark is drawn, and the table has its column."""
    found = pair[0]
    shares = tuple(one.difference for one in found.goals)
    corrected = CorrectedShift(found.pooled_entropy_difference, found.aligned_difference, shares)
    both = Shift.from_dict(found.to_dict() | {"corrected": _corrected(found, corrected)})

    names = {trace.name for trace in charts.forest(both).data}
    assert names == {"prompts like these", "these prompts", "corrected"}
    assert '<th scope="col" class="n">corrected</th>' in comparison_html([both])
    assert '<th scope="col" class="n">corrected</th>' not in comparison_html([found])


def _corrected(found: Shift, corrected: CorrectedShift) -> dict[str, object]:
    return {
        "pooled_entropy_difference": corrected.pooled_entropy.to_dict(),
        "aligned_difference": corrected.aligned.to_dict(),
        "goals": {one.goal: share.to_dict() for one, share in zip(found.goals, corrected.shares, strict=True)},
    }


def test_goals_have_their_names_where_the_taxonomy_is_known(pair):
    """A comparison knows name and alignment of its goals, also after it was written and read."""
    again = Shift.from_dict(json.loads(json.dumps(pair[0].to_dict())))

    assert [one.name for one in again.goals] == [goal.name for goal in es.FIVE_GOALS.goals]
    assert tuple(one.aligned for one in again.goals) == es.FIVE_GOALS.aligned


def test_the_verdict_is_said_in_words(pair):
    """Changed names the p-value and the shares that moved; inconclusive names what is not shown."""
    changed, same = (" ".join(sentences(one)) for one in pair)

    assert "Had nothing changed" in changed
    assert "g2  Helpful & Misaligned from 2.5%" in changed
    assert "The evidence is short" in same
    assert "No single goal's share" in same


def test_s_over_time_has_a_band_that_ends_where_intervals_end():
    """Lower edge, upper edge, line, for each of two trajectories; the base model comes first."""
    found = alignment_work(followed(), followed(0.1))
    figure = charts.over_time({"base": found.base, "tuned": found.tuned})

    lower, upper, line = figure.data[:3]
    assert line.name == "base"
    assert list(line.y) == [point.headline.value for point in found.base.points]
    assert list(lower.y) == [point.headline.low for point in found.base.points]
    assert list(upper.y) == [point.headline.high for point in found.base.points]
    assert upper.fill == "tonexty"


def test_a_relaxation_is_drawn_only_where_its_time_is_identified():
    """The fitted curve goes from S_0 to S_inf, whose interval stands at its end; a path that does not bend has none."""
    bent, straight = followed(), followed(0.01)
    fit = bent.rates.relaxation

    drawn = {trace.name: trace for trace in charts.over_time({"S": bent}).data}
    assert drawn["S: relaxation"].y[0] == pytest.approx(fit.start.value)
    assert charts.over_time({"S": bent}).data[-1].y == (fit.limit.value,)
    assert all(trace.name != "S: relaxation" for trace in charts.over_time({"S": straight}).data)


def test_shares_are_stacked_to_one_aligned_goals_first():
    """At every step the goals' shares sum to 1, and the aligned share is drawn with its interval."""
    found = followed()
    figure = charts.goals_over_time(found, taxonomy=es.FIVE_GOALS)

    stacked = [trace for trace in figure.data if trace.stackgroup]
    assert [sum(step) for step in zip(*(trace.y for trace in stacked), strict=True)] == pytest.approx([1.0] * 20)
    assert [trace.name[:2] for trace in stacked] == ["g1", "g3", "g2", "g4", "g5"]
    assert [trace.fillpattern.shape for trace in stacked] == ["", "", "/", "/", "/"]
    assert list(figure.data[-2].y) == [point.aligned.high for point in found.points]


def test_versions_are_named_on_the_axis_and_marked_where_they_change():
    """A few versions stand below the axis; in other kinds of time a line marks where the model changes."""
    versions = charts.over_time({"S": followed(steps=3, step="version", text=None)})
    changing = charts.over_time({"S": followed(text="a model ")})

    assert list(versions.layout.xaxis.ticktext) == ["1", "2", "3"]
    marks = [note.text for note in changing.layout.annotations if "model" in note.text]
    assert marks == ["a model 1", "a model 2"]


def test_markdown_of_hostile_names_is_inert():
    """No tag, no link and no mention stands in the Markdown of a comparison or a trajectory."""
    _, _, taxonomy = hostile()
    paths = [trajectory_markdown(followed(text=text, taxonomy=taxonomy, steps=3)) for text in HOSTILE]

    for written in (comparison_markdown([hostile_shift()]), *paths):
        prose = re.sub("(`+) ?.*? ?\\1", "", written)
        assert not set(written) & set("\x00\x1b\u202e\ud800")
        assert "<" not in prose
        assert "@all" not in prose
        assert not re.search(r"(?<!\\)!\[|\]\(", prose)


def test_a_page_of_another_taxonomy_is_refused_and_one_without_has_keys():
    """Goals of other keys are a usage error; where no taxonomy is known, keys stand for names."""
    _, _, taxonomy = hostile()

    with pytest.raises(InvalidInput, match="pass the taxonomy"):
        trajectory_html(followed(), taxonomy=taxonomy)
    assert '<th scope="row">g7</th>' in trajectory_html(followed(taxonomy=taxonomy))
    assert "Helpful &amp; Misaligned" in trajectory_html(followed())


def test_no_comparison_is_no_report():
    """A report of nothing is refused."""
    with pytest.raises(InvalidInput, match="got none"):
        es.write_comparison(Path("x.html"), [])


def test_compare_writes_what_the_suffix_says(capsys):
    """`compare --out` writes a page, Markdown or what --json prints; another suffix is a usage error, told first."""
    for name, seed in (("a", 1), ("b", 2)):
        Path(f"{name}.json").write_text(json.dumps(measured(ALIGNED, seed=seed).to_dict()))

    for suffix in ("html", "md", "json"):
        assert run(app, ["compare", "a.json", "b.json", "--out", f"shift.{suffix}"]) == 0
    assert run(app, ["compare", "a.json", "b.json", "--out", "shift.pdf"]) == 2

    assert Path("shift.html").read_text().startswith("<!doctype html>")
    assert Path("shift.md").read_text().startswith("## Inconclusive")
    assert Shift.from_dict(json.loads(Path("shift.json").read_text())).verdict == "inconclusive"
    assert "a report is .html, .md, .json, .png or .svg" in capsys.readouterr().err


def test_trajectory_writes_what_the_suffix_says(capsys):
    """`trajectory --out` writes a page, Markdown or what --json prints, also of base against tuned."""
    for name, limit in (("base", 0.45), ("tuned", 0.1)):
        Path(f"{name}.json").write_text(json.dumps(followed(limit, name=name).to_dict()))

    assert run(app, ["trajectory", "tuned.json", "--out", "path.md"]) == 0
    assert run(app, ["trajectory", "tuned.json", "--out", "again.json"]) == 0
    assert run(app, ["trajectory", "tuned.json", "--against", "base.json", "--out", "both.html"]) == 0

    assert Path("path.md").read_text().startswith("| nats a turn")
    assert es.Trajectory.from_dict(json.loads(Path("again.json").read_text())) == followed(0.1, name="tuned")
    assert "W, alignment work" in Path("both.html").read_text()
