"""Strata, sessions and editions of the goals: what is counted together, and what never is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

import ethostat as es
from ethostat.ledger import Judgement, Ledger, NewEvent
from ethostat.response import Verdict
from ethostat.server.following import Following
from ethostat.server.grouping import Grouping
from serving import FLAGS, GOALS, assert_replays, serving, settle, told

OTHER = es.Taxonomy(
    "help", "1", (es.Goal("g1", "Helps", "It helps.", True), es.Goal("g2", "Harms", "It harms.", False))
)
FIRST = es.Baseline.of_first(20)


@pytest.fixture
def ledger(database):
    """A ledger in an empty database."""
    with Ledger(database) as opened:
        yield opened


def follow(ledger, template, **grouping):
    """Until all of the log was followed."""
    one = Following(ledger, template, grouping=Grouping(**grouping))
    one.start()
    settle(ledger, one)
    one.stop()


def test_a_label_tells_the_stratum_and_a_restart_keeps_it(ledger):
    """The monitor is es.Monitor's, told the label; what the service is started with later changes nothing."""
    template = es.Monitor(FIRST, run_length=1000, stratified=True)
    by_hand = es.Monitor(FIRST, run_length=1000, stratified=True, name="chat")
    routes = ["a" if n < 200 or n % 4 else "b" for n in range(500)]
    rows = [
        NewEvent("chat", f"{n}", goal="g2" if route == "b" else "g1", labels={"route": route} if n else {})
        for n, route in enumerate(routes)
    ]
    for n, row in enumerate(rows):
        by_hand.update(row.goal, id=row.id, stratum=routes[n] if n else "(none)")
    ledger.append(rows[:300])
    follow(ledger, template, stratum="route")
    ledger.append(rows[300:])
    follow(ledger, es.Monitor(FIRST, run_length=50), stratum="tier")

    assert json.loads(json.dumps(by_hand.to_dict())).items() <= ledger.find_stream("", "chat").monitor.items()
    assert_replays(ledger, template=template)


def test_a_label_tells_the_session(ledger):
    """Responses of one user count once, as they do for es.Monitor."""
    end = es.SessionEnd(idle=30)
    by_hand = es.Monitor(FIRST, run_length=1000, sessions=end, name="chat")
    rows = [
        NewEvent("chat", one["id"], goal=one["goal"], labels={"user": f"u{n // 7}"}) for n, one in enumerate(told(200))
    ]
    for row in rows:
        by_hand.update(row.goal, id=row.id, session=row.labels["user"])
    ledger.append(rows)
    follow(ledger, es.Monitor(FIRST, run_length=1000, sessions=end), session="user")

    assert json.loads(json.dumps(by_hand.to_dict())).items() <= ledger.find_stream("", "chat").monitor.items()


def publish(ledger, template):
    """The edition of the goals that verdicts are of from now on."""
    baseline = template.baseline.to_dict()
    return ledger.publish(template.taxonomy.to_dict(), template.taxonomy.hash, baseline).number


def test_other_goals_begin_an_epoch_and_are_not_mixed(ledger):
    """Verdicts of new goals begin an epoch, with a baseline of theirs; late ones of the old goals are failures."""
    five, two = es.Monitor(FIRST, run_length=1000), es.Monitor(es.Baseline.of_first(30), taxonomy=OTHER)
    old = publish(ledger, five)
    ledger.append([replace(row, goal=GOALS[n % 5]) for n, row in enumerate(_events(25))], edition=old)
    ledger.append([NewEvent("chat", "late", response="g1 said")], edition=old)
    new = publish(ledger, two)
    ledger.append(_events(40, start=100), edition=new)
    ledger.append(_events(3, start=200), edition=old)
    key = ledger.find_stream("", "chat").stream_key
    ledger.judge([Judgement(key, 26, Verdict("", "", "g1", (0.9, 0.1)), "c")], edition=new)
    follow(ledger, two)

    monitor = assert_replays(ledger, template=two)
    kept = ledger.find_stream("", "chat")
    assert (old, new, publish(ledger, two)) == (1, 2, 2)
    assert (monitor.taxonomy.hash, monitor.counts, monitor.epoch.began) == (OTHER.hash, (41.0, 0.0), 25)
    assert (monitor.baseline.first, kept.failures, kept.cursor) == (30, 3, 69)


def _events(count, start=0):
    return [NewEvent("chat", f"{start + n}", goal="g1") for n in range(count)]


def test_the_same_goals_again_are_the_same(ledger):
    """An edition that comes back to goals which the monitor counts begins no epoch."""
    five, two = es.Monitor(FIRST), es.Monitor(FIRST, taxonomy=OTHER)
    for template, start in ((five, 0), (two, 0), (five, 100)):
        edition = publish(ledger, template)
        if template is five:
            ledger.append(_events(5, start=start), edition=edition)
    follow(ledger, five)

    assert edition == 3
    assert ledger.find_stream("", "chat").monitor["edition"] == 3
    assert assert_replays(ledger, template=five).epoch.number == es.Monitor(FIRST).epoch.number


def test_another_classifier_begins_an_epoch(ledger):
    """Verdicts of another classifier are not held against those of the first."""
    template = es.Monitor(FIRST)
    ledger.append([NewEvent("chat", f"{n}", response="said") for n in range(60)])
    key = ledger.find_stream("", "chat").stream_key
    said = Verdict("", "", "g1", (1.0, 0, 0, 0, 0))
    ledger.judge([Judgement(key, seq, said, "one" if seq <= 30 else "two") for seq in range(1, 61)])
    follow(ledger, template)

    monitor = assert_replays(ledger, template=template)
    assert (monitor.epoch.began, monitor.epoch.classifier, monitor.counts[0]) == (30, "two", 30.0)


def test_a_service_that_is_started_with_other_goals_goes_on(tmp_path):
    """Strata by flag; then other goals on the same database: everything works before and after the next event."""
    goals = tmp_path / "goals.yaml"
    goals.write_text(yaml.safe_dump(OTHER.to_dict()))
    events = [{**one, "labels": {"route": f"r{n % 2}"}} for n, one in enumerate(told(150))]
    with serving(tmp_path / "serve.db", *FLAGS, "--stratum", "route", "--session-idle", "9") as one:
        one.tell(events)
        one.wait_for(150)
        one.stop()
    with Ledger(tmp_path / "serve.db") as ledger:
        kept = ledger.find_stream("", "chat").monitor
    with serving(tmp_path / "serve.db", *FLAGS, "--taxonomy", str(goals)) as one:
        before = [one.client.get(path).status_code for path in PAGES]
        one.tell([{"id": "new", "stream": "chat", "goal": "g2"}, {"id": "gone", "stream": "chat", "goal": "g5"}])
        stream = one.wait_for(151)
        after = [one.client.get(path).status_code for path in PAGES]
        window = one.client.put("/v1/streams/chat/baseline", json={"window": 100})

    assert kept["stratum"] == "route"
    assert set(es.Monitor.from_dict(kept).normal.counts) == {"r0", "r1"}
    assert before == after == [200] * len(PAGES)
    assert (stream["profile"], stream["state"], stream["epoch"]["began"]) == ({"g1": 0, "g2": 1}, "learning", 150)
    assert window.json()["baseline"]["counts"] == {"": [0.0, 1.0]}


PAGES = (
    "/",
    "/stream?name=chat",
    "/v1/streams",
    "/v1/streams/chat",
    "/v1/streams/chat/minutes",
    "/metrics",
    "/settings",
)


def test_soft_needs_a_baseline_that_is_learned(tmp_path):
    """serve --soft with counts is refused, as monitor --soft is."""
    command = [sys.executable, "-c", "from ethostat.cli import main; main()", "serve", "--soft"]
    command += ["--baseline", "counts:80,5,5,5,5", "--db", str(tmp_path / "serve.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "--soft needs a baseline that is learned" in done.stderr
