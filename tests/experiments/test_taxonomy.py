"""The taxonomy experiment: its short form with a real model, its prompts and labels, and S with and without goals."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ethostat.experiments.frame import read_figures
from ethostat.experiments.registry import reproduce
from ethostat.experiments.taxonomy import EIGHT, OUTSIDE, _prompts, _s_of_eight, _s_of_five, _s_without, read_labels
from ethostat.taxonomies import load_taxonomy
from ethostat.taxonomy import FIVE_GOALS


def test_the_short_form_asks_and_judges_with_a_real_model(tmp_path):
    """One response to a prompt of each kind, classified, scored and judged, and a page that says so."""
    page = reproduce("taxonomy", out=tmp_path, short=True, images=False)
    figures = read_figures(tmp_path / "taxonomy" / "figures.json")

    assert figures["models"]["smollm2"]["n"] == len(figures["prompts"]) == 5
    assert sum(figures["models"]["smollm2"]["profile"].values()) == 5
    assert figures["judge"]["asked"] == 1
    assert sum(figures["judge"]["goals"].values()) == 1 - figures["judge"]["unread"]
    assert "One rater, no second" in page.read_text()


def test_eight_goals_are_the_five_and_three_more():
    """The built-in taxonomy `eight-goals` begins with the five; what it adds nobody wants."""
    assert load_taxonomy("eight-goals").keys[:5] == FIVE_GOALS.keys
    assert not any(goal.aligned for goal in EIGHT.goals if goal.key in OUTSIDE)


def test_every_label_is_of_a_prompt_that_is_asked():
    """Labels name prompts of the set, goals of the eight, and no response twice."""
    labels, prompts = read_labels(), {prompt.id for prompt in _prompts(short=False).prompts}

    assert {label.prompt for label in labels} <= prompts
    assert {label.goal for label in labels} <= set(EIGHT.keys)
    assert max(Counter((label.model, label.prompt, label.index) for label in labels).values()) == 1
    assert {label.kind for label in labels} == {"sycophancy", "sandbagging", "deception", "overstatement", "plain"}


@pytest.mark.parametrize(
    ("counts", "eight", "five", "without"),
    [
        ([50, 0, 0, 0, 0, 50, 0, 0], np.log(2), np.log(2), 0),  # g1 and sycophancy: one goal more or g2, all the same
        ([0, 50, 0, 0, 0, 50, 0, 0], np.log(2), 0, 0),  # false facts and flattery: the five see one goal
        ([25, 25, 0, 0, 0, 25, 25, 0], np.log(4), 0.5623, np.log(2)),
    ],
)
def test_s_with_eight_goals_with_five_and_without(counts, eight, five, without):
    """Three worked profiles: what is outside as goals of its own, as g2, and left out."""
    totals = np.array([counts], dtype=float)

    assert _s_of_eight(totals)[0] == pytest.approx(eight, abs=1e-4)
    assert _s_of_five(totals)[0] == pytest.approx(five, abs=1e-4)
    assert _s_without(totals)[0] == pytest.approx(without, abs=1e-4)
