"""The month: traffic that is what it says, pages told true or false, and a short month through a real service."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ethostat.experiments.frame import Settings
from ethostat.experiments.month import AS_IT_COMES, SHORT, paper, replayed, run, scored
from ethostat.experiments.month_page import claims, page
from ethostat.experiments.traffic import DAYS, EVENTS, ROUTES, UPGRADE, confusion, older, profiles, simulate

MONTH = simulate(np.random.default_rng(3), 60_000)
CHAT, FORMS = 0, 5


def shares(at, begin, end):
    """Shares of goals on a route within these days."""
    mine = (MONTH.streams == at) & (MONTH.days >= begin) & (MONTH.days < end)
    return np.bincount(MONTH.goals[mine], minlength=5) / mine.sum()


def test_a_month_is_in_order_and_keeps_its_mix():
    """About the responses that were asked for, in order of time, each route with about its share of them."""
    found = np.bincount(MONTH.streams, minlength=len(ROUTES)) / len(MONTH)

    assert len(MONTH) == pytest.approx(60_000, rel=0.05)
    assert (np.diff(MONTH.seconds) >= 0).all()
    assert 0 <= MONTH.days.min() < MONTH.days.max() < DAYS
    assert found == pytest.approx([one.share for one in ROUTES], abs=0.04)


def test_true_profiles_change_when_and_where_they_are_said_to():
    """The swap moves refusals to harm in the chat alone; the creep triples what is risky in English chat."""
    times = np.array([13.0, 15.0, 17.0, 29.0])

    chat, forms = (profiles(times, np.full(4, at)) for at in (CHAT, FORMS))

    assert chat.sum(axis=1) == pytest.approx(1.0)
    assert chat[1, 1] > 3 * chat[0, 1]
    assert chat[2] == pytest.approx(chat[0])
    assert chat[3, 2] == pytest.approx(3 * chat[0, 2], rel=0.1)
    assert forms == pytest.approx(np.tile(forms[0], (4, 1)))


def test_verdicts_are_the_truth_seen_through_the_classifier():
    """On a quiet route: the true profile times the confusion matrix, before and after the upgrade."""
    truth = profiles(np.linspace(0, 1, 24, endpoint=False), np.full(24, FORMS)).mean(axis=0)

    assert shares(FORMS, 0, UPGRADE) == pytest.approx(truth @ older(confusion()), abs=0.03)
    assert shares(FORMS, UPGRADE, DAYS) == pytest.approx(truth @ confusion(), abs=0.04)


def test_responses_of_a_session_depend_on_each_other():
    """Two responses of one session have the same goal more often than two of different ones."""
    mine = MONTH.streams == CHAT
    order = np.argsort(MONTH.sessions[mine], kind="stable")
    session, goal = MONTH.sessions[mine][order], MONTH.goals[mine][order]
    is_pair = session[1:] == session[:-1]
    same = goal[1:] == goal[:-1]

    assert is_pair.sum() > 5_000
    assert same[is_pair].mean() > same[~is_pair].mean() + 0.02


def test_requests_hold_every_event_once():
    """NDJSON of at most so many events, numbered through, with names and times that a service reads."""
    told = [(number, body.splitlines()) for number, body in MONTH.bodies(5, 25, most=8)]

    assert [number for number, _ in told] == [8, 8, 4]
    events = [json.loads(line) for _, lines in told for line in lines]
    assert [event["id"] for event in events] == [str(n) for n in range(5, 25)]
    assert events[0]["time"].startswith("2026-03-02T00:")
    assert events[0]["time"].endswith("Z")


def test_a_page_is_false_unless_something_is_wrong_with_its_stream_then():
    """A page of the chat during the swap is true, of the forms then false; a campaign excuses no page."""
    pages = [
        {"stream": "chat/en", "day": 14.5}, {"stream": "chat/en", "day": 14.9}, {"stream": "forms/en", "day": 14.5},
        {"stream": "support/es", "day": 9.0},
    ]  # fmt: skip

    found = scored(pages)

    assert [one["stream"] for one in found["false"]] == ["forms/en", "support/es"]
    assert found["found"]["swap"] == {"chat/en": 14.5, "chat/de": None}
    assert set(found["found"]) == {one.name for one in EVENTS if not one.is_harmless}


def _in_order(pages):
    return sorted((one["stream"], one["day"]) for one in pages)


def test_the_papers_rule_alarms_all_month():
    """On most of the steps of 100 responses, while nothing is wrong too."""
    rows = paper(MONTH)["streams"]

    assert sum(one["steps"] for one in rows) > 500
    assert all(one["false"] > 0.8 * one["quiet_steps"] for one in rows)


def test_the_short_month_goes_through_a_service(tmp_path):
    """Everything that is told is counted, and the service pages where its monitors in this process do."""
    settings = Settings(short=True, out=tmp_path)

    figures = run(settings)

    served = figures["setups"]["as-it-comes"]
    again = replayed(AS_IT_COMES, simulate(np.random.default_rng(settings.seed), SHORT))
    assert served["counted"] == figures["responses"]
    assert _in_order(served["pages"]) == _in_order(again["pages"])
    assert _in_order(served["recovered"]) == _in_order(again["recovered"])
    assert served["pages"]
    assert served["cost"]["bytes_each"] > 20
    assert served["cost"]["cpu_seconds"] > 0
    assert not list(tmp_path.rglob("*.db"))
    assert len(claims(figures)) == 2
    assert "## What it cost" in page(figures)
