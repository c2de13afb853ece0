"""Screening: which of many streams changed, few of them false; the same after a restart."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ethostat as es
from ethostat.errors import InvalidInput

NORMAL = (0.90, 0.03, 0.04, 0.01, 0.02)
CHANGED = (0.60, 0.30, 0.06, 0.02, 0.02)
PROFILE = es.Profile((9000, 300, 400, 100, 200))
KEYS = es.FIVE_GOALS.keys


def watched(streams: int, changed: int, *, each: int = 120, **more) -> tuple[es.Monitors, list[es.Screened]]:
    """Streams of which the first ones change halfway, and the looks that came due."""
    rng = np.random.default_rng(5)
    many = es.Monitors(es.Monitor(PROFILE, name="prod", policy=es.Policy(warn=False)), **more)
    labels = rng.choice(5, (streams, each), p=NORMAL)
    labels[:changed, each // 2 :] = rng.choice(5, (changed, each - each // 2), p=CHANGED)
    looks = []
    for turn in range(each):
        for stream in range(streams):
            many.update(KEYS[labels[stream, turn]], (f"{stream}",))
            if many.is_look_due:
                looks.append(many.screen())
    return many, looks


def test_a_look_names_the_streams_that_changed():
    """Of 60 streams 6 change: all are named at the last look, nearly nothing before, and false ones are few."""
    _, looks = watched(60, 6, screening=es.Screening(rate=0.1, every=60 * 60))
    first, last = looks

    assert len(first.flagged) <= 1
    assert {f"prod/{n}" for n in range(6)} <= {one.monitor for one in last.flagged}
    assert len(last.flagged) <= 7
    assert (last.streams, last.learning, last.step, last.id) == (60, 0, 7200, "prod/screening/2")
    assert "at most 10% are false on average" in last.promise
    assert es.Screened.from_dict(json.loads(json.dumps(last.to_dict()))) == last


def test_pages_do_not_begin_the_evidence_of_a_look_anew():
    """What changed and recovered still counts as changed; a new epoch begins anew."""
    monitor = es.Monitor(PROFILE, screened=True, policy=es.Policy(warn=False))
    rng = np.random.default_rng(6)
    laws = ((50, NORMAL), (100, CHANGED), (150, NORMAL))
    kinds = [
        alert.kind
        for n, law in laws
        for label in rng.choice(5, n, p=law)
        if (alert := monitor.update(KEYS[label])) is not None
    ]

    assert kinds == ["change", "recovered"]
    assert (monitor.log_e_value or 0) > 5
    monitor.begin_epoch()
    assert monitor.log_e_value == 0


def test_looks_go_on_after_a_restart():
    """Number, time and evidence are those of an unbroken run."""
    many, looks = watched(5, 1, screening=es.Screening(every=250))
    again = es.Monitors.from_dict(json.loads(json.dumps(many.to_dict())))

    assert [one.id for one in looks] == ["prod/screening/1", "prod/screening/2"]
    assert again.screen().to_dict() == many.screen().to_dict()
    assert again.to_dict() == many.to_dict()


def test_streams_that_learn_are_not_looked_at():
    """A stream without a baseline is counted apart; no stream at all is no discovery."""
    many = es.Monitors(es.Monitor(es.Baseline.of_first(5)), screening=es.Screening())

    assert many.screen().flagged == ()
    for n in range(6):
        many.update("g1", ("old",))
        if n < 3:
            many.update("g1", ("new",))
    look = many.screen()
    assert (look.streams, look.learning, look.flagged) == (1, 1, ())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.Screening(rate=1.0), "between 0 and 1"),
        (lambda: es.Screening(every=0), "1 response or more"),
        (lambda: es.Monitors(es.Monitor(PROFILE)).screen(), "screening=Screening"),
        (lambda: es.Monitor(PROFILE).log_e_value, "screened=True"),
        (
            lambda: es.Monitors(es.Monitor(PROFILE, detector=es.KINDS["page-hinkley"]), screening=es.Screening()),
            "no e-values",
        ),
    ],
)
def test_what_cannot_be_looked_at_is_refused(call, message):
    """Each names the value and the next step."""
    with pytest.raises(InvalidInput, match=message):
        call()
