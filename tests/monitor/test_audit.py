"""Audit: a classifier that moves is told from a model that moves, by what it says about the same responses."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ethostat as es
from ethostat.errors import InvalidInput

KEYS = es.FIVE_GOALS.keys
RECORDED = [KEYS[n % 5] for n in range(200)]


def said(audit: es.Audit, rng: np.random.Generator, *, noise: float, moved: float = 0.0) -> list[str | None]:
    """Verdicts about the responses that are due: as recorded but for noise; g1 becomes g2 where it moved."""
    found: list[str | None] = []
    for place in audit.places:
        goal = RECORDED[place]
        if goal == "g1" and rng.random() < moved:
            goal = "g2"
        elif rng.random() < noise:
            goal = KEYS[rng.integers(5)]
        found.append(goal)
    return found


def rounds(audit: es.Audit, rng: np.random.Generator, n: int, **how: float) -> list[es.Alert]:
    """The alerts of so many rounds."""
    return [alert for _ in range(n) if (alert := audit.take(said(audit, rng, **how))) is not None]


def test_a_classifier_that_moves_is_named_and_the_model_is_not():
    """After quiet rounds, g1 read as g2 is an alert of its own kind that says since when, how, and what to do."""
    audit, rng = es.Audit(RECORDED, name="prod"), np.random.default_rng(1)
    quiet = rounds(audit, rng, 11, noise=0.02)
    found = rounds(audit, rng, 10, noise=0.02, moved=0.9)

    assert quiet == []
    (alert,) = found
    assert (alert.kind, alert.tier, alert.monitor, alert.detector) == ("classifier", "page", "prod/audit", "agreement")
    assert alert.since is not None
    assert alert.since.low <= 401 <= alert.since.high  # 200 of the first round and ten rounds of 20
    assert alert.finding is not None
    assert alert.finding.moved[0].goal in ("g1", "g2")
    assert alert.finding.window["g2"] > alert.finding.baseline["g2"]
    assert "the classifier moved, not the model" in alert.message
    assert "audited responses" in alert.promise
    assert es.Alert.from_dict(json.loads(json.dumps(alert.to_dict()))).to_dict() == alert.to_dict()


def test_after_an_alert_what_it_says_by_then_is_usual():
    """The next round asks about all again, and the same move is not said twice."""
    audit, rng = es.Audit(RECORDED), np.random.default_rng(2)
    rounds(audit, rng, 2, noise=0.0)
    assert audit.agreement == 1.0
    assert len(rounds(audit, rng, 8, noise=0.0, moved=0.9)) == 1
    assert len(rounds(audit, rng, 20, noise=0.0, moved=0.9)) == 0
    assert audit.agreement == pytest.approx(0.82, abs=0.03)


def test_noise_of_a_judge_is_no_move():
    """A tenth of verdicts that differ from round to round, as from the first: no alert in 2,000 audited responses."""
    audit, rng = es.Audit(RECORDED), np.random.default_rng(3)

    assert rounds(audit, rng, 100, noise=0.1) == []


def test_an_audit_goes_on_after_a_restart():
    """Asked about the same responses, with the same evidence; another set or plan is refused."""
    audit, rng = es.Audit(RECORDED), np.random.default_rng(4)
    rounds(audit, rng, 4, noise=0.1, moved=0.1)
    again = es.Audit(RECORDED)
    again.restore(json.loads(json.dumps(audit.to_dict())))

    assert again.places == audit.places
    assert again.to_dict() == audit.to_dict()
    with pytest.raises(InvalidInput, match="another audit set"):
        es.Audit(RECORDED[:50]).restore(audit.to_dict())


def test_a_verdict_that_is_missing_differs():
    """A judge that no longer answers has moved, and the alert says that there are no verdicts."""
    audit = es.Audit(RECORDED)
    audit.take(RECORDED)
    alert = audit.take([None] * 20)

    assert alert is not None
    assert alert.finding is None
    assert "it has no verdicts" in alert.message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.Audit([]), "at least 1 response"),
        (lambda: es.AuditPlan(at_once=0), "1 response or more"),
        (lambda: es.AuditPlan(run_length=0), "run length"),
        (lambda: es.Audit(["g1", "g2"]).take(["g1"]), "2 responses are audited"),
        (lambda: es.Audit(["g1", "g2"]).take(["g2", "g1"]), "differs from all 2 verdicts"),
    ],
)
def test_audits_that_cannot_be_are_refused(call, message):
    """The value and the rule are named."""
    with pytest.raises(InvalidInput, match=message):
        call()
