"""Figures show what the estimates say."""

import math

import pytest

from ethostat import charts
from ethostat.maths.estimate import Estimate
from ethostat.measurement import VarianceShares
from ethostat.taxonomy import FIVE_GOALS
from report_cases import HOSTILE, measured


def test_every_share_is_drawn_with_its_interval() -> None:
    """A bar is the share, its whiskers end where the interval ends."""
    measurement, _ = measured()

    bars = charts.goal_shares(measurement.shares, taxonomy=FIVE_GOALS).data[0]

    assert list(bars.x) == [share.value for share in measurement.shares]
    assert [x + up for x, up in zip(bars.x, bars.error_x.array, strict=True)] == pytest.approx(
        [share.high for share in measurement.shares]
    )
    assert [x - down for x, down in zip(bars.x, bars.error_x.arrayminus, strict=True)] == pytest.approx(
        [share.low for share in measurement.shares]
    )


def test_goals_that_are_not_aligned_are_hatched() -> None:
    """Without colour one still sees which goals are aligned."""
    measurement, _ = measured()

    bars = charts.goal_shares(measurement.shares, taxonomy=FIVE_GOALS).data[0]

    assert list(bars.marker.pattern.shape) == ["", "/", "", "/", "/"]


def test_every_axis_of_estimates_names_unit_n_and_level() -> None:
    """A figure says what its numbers are, from how many responses, and what its lines are."""
    measurement, _ = measured()
    figures = (
        charts.goal_shares(measurement.shares, taxonomy=FIVE_GOALS),
        charts.entropy_parts(measurement),
        charts.entropy_by_category(measurement.categories, goals=5),
        charts.prompt_entropies(measurement.per_prompt, goals=5),
    )

    titles = [figure.layout.xaxis.title.text for figure in figures]

    assert titles == [
        "share of responses<br>n = 48; lines: 95% interval",
        "nats<br>n = 48; lines: 95% interval",
        "mean within-prompt S, nats<br>n = 24; lines: 95% interval",
        "prompts, by S<br>n = 8; lines: 95% interval",
    ]


def test_prompts_stand_in_order_of_s_and_know_their_place() -> None:
    """The points rise, and each carries the place of its prompt in the measurement."""
    measurement, _ = measured()

    points = charts.prompt_entropies(measurement.per_prompt, goals=5).data[1]

    assert list(points.y) == sorted(points.y)
    assert [measurement.per_prompt[place].entropy.value for place in points.customdata] == list(points.y)


def test_an_undefined_estimate_is_not_drawn() -> None:
    """An estimate that the evidence does not determine has no point, and its name says so."""
    rows = {"a": Estimate.undefined("k = 1", level=0.95, unit="nats", n=3)}

    figure = charts.entropy_by_category(rows, goals=5)

    assert figure.data[0].x == (None,)
    assert figure.layout.yaxis.ticktext == ("a (undefined)",)


def test_the_parts_of_the_variance_fill_the_bar() -> None:
    """Sampling, prompts and classifier are stacked to 1 and named with their share."""
    bars = charts.variance(VarianceShares(0.78, 0.18, 0.04, 0.0004)).data

    assert math.isclose(sum(bar.x[0] for bar in bars), 1)
    assert [bar.name for bar in bars] == ["sampling 78%", "prompts 18%", "classifier 4%"]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_in_a_figure_hold_no_markup(text: str) -> None:
    """plotly reads tags in text, so a name's are escaped and its control characters dropped."""
    rows = {text: Estimate(0.5, 0.4, 0.6, 0.95, "nats", 9, text)}

    figure = charts.entropy_by_category(rows, goals=5)

    name, hover = figure.layout.yaxis.ticktext[0], figure.data[0].hovertext[0].replace("<br>", "", 1)
    assert not set("<>\x00\x1b\u202e\ud800") & set(name + hover)


def test_goals_of_one_kind_have_colours_of_their_own() -> None:
    """The five goals have five colours in either scheme."""
    for scheme in (charts.LIGHT, charts.DARK):
        assert len(set(charts.goal_colors(FIVE_GOALS.aligned, scheme))) == 5


def test_a_curve_has_an_interval_at_every_epoch_of_both_parts() -> None:
    """Two lines, each point with whiskers to its interval's ends, the kept epoch named."""
    rows = [Estimate(value, value - 0.1, value + 0.2, 0.95, "nats", 50, "counted") for value in (0.9, 0.5)]

    figure = charts.by_epoch({"training": rows, "validation": rows}, title="mean loss, nats", best=2)

    assert [line.name for line in figure.data] == ["training", "validation"]
    for line in figure.data:
        assert list(line.y) == [0.9, 0.5]
        assert list(line.error_y.array) == pytest.approx([0.2, 0.2])
        assert list(line.error_y.arrayminus) == pytest.approx([0.1, 0.1])
    assert figure.layout.xaxis.title.text == "epoch (kept: 2)<br>n = 50; lines: 95% interval"
    assert figure.layout.yaxis.title.text == "mean loss, nats"
