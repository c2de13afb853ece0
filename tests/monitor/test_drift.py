"""Slow drift: a baseline that moved while it was learned is found when it stops learning, once, with a promise."""

from __future__ import annotations

import json

import numpy as np

import ethostat as es

NORMAL = np.array((0.94, 0.02, 0.02, 0.01, 0.01))
LATER = np.array((0.87, 0.09, 0.02, 0.01, 0.01))
COUNTS = es.Profile((940, 20, 20, 10, 10))
KEYS = es.FIVE_GOALS.keys


def drifting(n: int, to: np.ndarray, seed: int = 1) -> list[str]:
    """Goals whose law moves evenly from the normal one."""
    rng = np.random.default_rng(seed)
    laws = np.linspace(NORMAL, to, n)
    return [KEYS[min(int((rng.random() > law.cumsum()).sum()), 4)] for law in laws]


def stopping(baseline: es.Baseline | es.Profile, **more) -> es.Monitor:
    """A monitor that stops learning at 5,000 responses, with a threshold out of reach, so that no page comes first."""
    kept = json.dumps(es.Monitor(baseline, alpha=1e-200, **more).to_dict())
    return es.Monitor.from_dict(json.loads(kept.replace('"freeze_at": null', '"freeze_at": 5000')))


def test_a_baseline_that_drifts_while_it_learns_is_warned_of_once():
    """1,000 responses and the 4,000 after them differ: one warning of its own kind, over restarts too."""
    monitor = stopping(COUNTS)
    found = []
    for n, goal in enumerate(drifting(4500, LATER)):
        if n in (3999, 4000):
            monitor = es.Monitor.from_dict(json.loads(json.dumps(monitor.to_dict())))
        if alert := monitor.update(goal):
            found.append(alert)

    (alert,) = [one for one in found if one.kind == "drift"]
    assert (alert.tier, alert.step, alert.detector) == ("warn", 4000, "same-profile")
    assert alert.statistic is not None
    assert alert.statistic <= 0.01
    assert "chance of 1% at most" in alert.promise
    assert alert.finding is not None
    assert sum(alert.finding.baseline.values()) == 1000
    assert sum(alert.finding.window.values()) == 4000
    assert {one.goal for one in alert.finding.moved} >= {"g2"}
    assert "warn: monitor drifted while its baseline was learned, until response 4000: g" in alert.message
    assert es.Alert.from_dict(alert.to_dict()).to_dict() == alert.to_dict()


def test_a_baseline_that_stays_is_not_warned_of():
    """The same without drift, and where warnings are not wanted, says nothing of it."""
    for to, policy in ((NORMAL, es.Policy()), (LATER, es.Policy(warn=False))):
        monitor = stopping(COUNTS, policy=policy)

        assert [alert for goal in drifting(4100, to) if (alert := monitor.update(goal)) and alert.kind == "drift"] == []


def test_each_stratum_has_its_own_reference():
    """One of two strata drifts: the warning is about its counts alone."""
    counts = {"chat": es.Profile((4700, 100, 100, 50, 50)), "code": COUNTS}
    monitor = stopping(es.Baseline.of_strata(counts), stratified=True)
    found = [alert for goal in drifting(4100, LATER) if (alert := monitor.update(goal, stratum="code"))]
    monitor.update("g1", stratum="chat")

    (alert,) = [one for one in found if one.kind == "drift"]
    assert alert.finding is not None
    assert sum(alert.finding.baseline.values()) == 1000
