"""Guarantees: a promise that is kept is found to hold, one that is broken on purpose is found broken."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput
from ethostat.guarantees import BROKEN, CANNOT_TELL, HOLDS, alarms, comparison, suite
from ethostat.guarantees.check import LEVEL, Bounds, Check, mean_of, rate_of, ratio_of, share_of
from ethostat.guarantees.streams import CAREFUL, default, labels_of, spread
from ethostat.maths.detection import alarms_on
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence import Lifetime, RunLength

QUIET = labels_of(np.random.default_rng(5), CAREFUL, 60, 900)


def figure(low: float, high: float) -> Estimate:
    """A share somewhere between these ends."""
    return Estimate((low + high) / 2, low, high, LEVEL, "share", 100, "made for a test")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.94, 0.96, HOLDS),
        (0.925, 0.95, HOLDS),
        (0.92, 0.95, HOLDS),
        (0.91, 0.95, CANNOT_TELL),
        (0.90, 0.99, CANNOT_TELL),
        (0.91, 0.929, BROKEN),
        (0.971, 0.99, BROKEN),
    ],
)
def test_an_interval_decides(low, high, verdict):
    """Within the promise and its slack holds, wholly outside the promise is broken, all else cannot be told."""
    assert Bounds(0.93, 0.97, 0.01).verdict(figure(low, high)) == verdict


def test_what_was_not_measured_cannot_be_told():
    """An undefined figure neither holds nor breaks a promise."""
    assert Bounds(least=1).verdict(share_of(0, 0, of="simulations")) == CANNOT_TELL


def test_no_alarm_in_a_long_time_keeps_a_run_length():
    """At 99 % a mean of m shows none in 5.3 m once in 200 times: none in 5,000 is enough for 900, not for 1,000."""
    found = {nominal: rate_of(5000, 0, nominal=nominal, n=5, of="responses") for nominal in (900, 1000)}

    assert found[1000].low == pytest.approx(5 / -np.log(0.005))
    assert [Bounds(least=1).verdict(one) for one in found.values()] == [HOLDS, CANNOT_TELL]


def test_a_right_threshold_holds_and_a_wrong_one_is_found_broken():
    """The check of run lengths finds a detector that alarms ten times as soon as it says."""
    right = alarms.run_length_check("right", default(CAREFUL, RunLength(300)), QUIET, nominal=300)
    wrong = alarms.run_length_check("wrong", default(CAREFUL, RunLength(30)), QUIET, nominal=300)

    assert (right.verdict, wrong.verdict) == (HOLDS, BROKEN)


def test_a_wrong_alpha_is_found_broken():
    """The check of lifetimes finds a detector whose alpha is sixty times what it says."""
    places = {alpha: alarms_on(default(CAREFUL, Lifetime(alpha, horizon=900)), QUIET) for alpha in (0.01, 0.6)}

    assert alarms.lifetime_check("right", places[0.01], 900, 0.01, slack=0.15).verdict == HOLDS
    assert alarms.lifetime_check("wrong", places[0.6], 900, 0.01, slack=0.15).verdict == BROKEN


def test_a_test_that_errs_too_often_is_found_broken():
    """At 20 % the exchange test calls four times as many changes as a promise of 5 % allows."""
    rng = np.random.default_rng(3)
    values = [comparison.unchanged(rng, "tuned")["any change"] for _ in range(300)]
    shares = {level: share_of(sum(p <= level for p in values), 300, of="comparisons") for level in (0.05, 0.2)}

    assert Bounds(most=0.05, slack=0.05).verdict(shares[0.05]) == HOLDS
    assert Bounds(most=0.05, slack=0.05).verdict(shares[0.2]) == BROKEN


def test_the_papers_rule_stands_beside_and_alarms_on_most_steps():
    """On quiet streams of S = .25 more than 90 % of the steps of 100 responses move by more than .001 nats."""
    labels = labels_of(np.random.default_rng(1), spread(0.25, (5, 2, 1, 2)), 50, 1000)

    assert alarms.paper_rule(labels, 1000)["the paper's rule, steps that alarm"].low > 0.9


def test_labels_have_the_shares_asked_for():
    """One profile for all runs, or one for each."""
    rng, other = np.random.default_rng(2), np.array([0.1, 0.2, 0.3, 0.2, 0.2])
    one = labels_of(rng, CAREFUL, 1, 40_000)[0]
    each = labels_of(rng, np.stack([CAREFUL, other]), 2, 40_000)

    for labels, shares in ((one, CAREFUL), (each[0], CAREFUL), (each[1], other)):
        assert np.bincount(labels, minlength=5) / 40_000 == pytest.approx(shares, abs=0.01)


def test_intervals_of_ratios_and_means_hold_the_truth():
    """Of 200 samples at most 6 miss at 99 %: the mean 2, its ratio to a mean of 1, and the root of that."""
    rng, misses = np.random.default_rng(4), np.zeros(3)
    for _ in range(200):
        a, b = rng.gamma(2, 1, 100), rng.gamma(1, 1, 100)
        found = mean_of(a, unit="nats", of="x"), ratio_of(a, b, of="x"), ratio_of(a, b, of="x", root=True)
        misses += [not one.low <= truth <= one.high for one, truth in zip(found, (2, 2, 2**0.5), strict=True)]

    assert misses.max() <= 6


def _broken(rng, full):
    yield alarms.run_length_check("wrong threshold", default(CAREFUL, RunLength(30)), QUIET, nominal=300)


def _untold(rng, full):
    yield Check("false alarms", "two simulations", Bounds(most=0.05), share_of(0, 2, of="simulations"))


def _kept(rng, full):
    yield alarms.run_length_check("right threshold", default(CAREFUL, RunLength(300)), QUIET, nominal=300)


@pytest.mark.parametrize(("part", "code"), [((_kept,), 0), ((_kept, _untold), 3), ((_untold, _kept, _broken), 100)])
def test_the_exit_code_says_what_was_found(part, code, capsys, monkeypatch):
    """0 where all hold, 3 where some cannot be told, 100 where one is broken; JSON is one object."""
    monkeypatch.setattr(suite, "PARTS", {"alarms": part})
    assert run(app, ["selftest", "--json"]) == code

    found = json.loads(capsys.readouterr().out)
    assert [check["verdict"] for check in found["checks"]].count("broken") == found["broken"] == (code == 100)
    assert set(found["checks"][0]) >= {"name", "promise", "measured", "simulations", "verdict", "beside"}


def test_the_terminal_and_the_page_show_every_check(tmp_path, capsys, monkeypatch):
    """Each promise stands in the table and on the page, which is one file."""
    monkeypatch.setattr(suite, "PARTS", {"alarms": (_kept, _broken, _untold)})
    monkeypatch.setenv("COLUMNS", "200")
    run(app, ["selftest", "--out", str(tmp_path / "selftest.html")])

    printed, page = capsys.readouterr().out, (tmp_path / "selftest.html").read_text()
    for name in ("right threshold", "wrong threshold", "two simulations"):
        assert name in printed
        assert name in page


def test_the_same_seed_gives_the_same_figures_and_parts_do_not_depend_on_each_other():
    """A part alone has the figures that it has among others."""
    first, again = (es.selftest(only=["streams"], seed=4) for _ in range(2))

    assert [check.measured for check in first.checks] == [check.measured for check in again.checks]
    assert first.verdict in (HOLDS, CANNOT_TELL)


def test_another_part_is_an_error():
    """The message names the parts there are."""
    with pytest.raises(InvalidInput, match="intervals, correction"):
        es.selftest(only=["nothing"])
