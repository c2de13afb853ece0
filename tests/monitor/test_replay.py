"""Replay: many responses at once leave monitors where one at a time would, with the same alerts."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import ethostat as es
from ethostat.monitor.replay import Replay, Said

GOALS = np.array([[0.7, 0.05, 0.2, 0.03, 0.02], [0.3, 0.4, 0.2, 0.05, 0.05], [0.72, 0.04, 0.2, 0.02, 0.02]])


def _traffic(streams: int, count: int, *, seed: int, moved: float = 0.3) -> Said:
    """Streams of unequal size; in some behaviour changes half-way, in some of these it comes back."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(streams, 3.0))
    which = rng.choice(streams, size=count, p=weights)
    kind, labels, seen = rng.random(streams) < moved, np.empty(count, dtype=np.int64), np.zeros(streams)
    total = np.bincount(which, minlength=streams)
    for place, stream in enumerate(which.tolist()):
        part = seen[stream] / total[stream]
        phase = 0 if not kind[stream] or part < 0.4 else 1 if part < 0.6 or stream % 2 else 2
        labels[place] = rng.choice(5, p=GOALS[phase])
        seen[stream] += 1
    ids = [None if place % 7 == 0 else f"id {place}" for place in range(count)]
    times = [None if place % 5 == 0 else f"2026-03-01T00:00:{place % 60:02d}" for place in range(count)]
    return Said([(f"s{n}",) for n in range(streams)], which, labels, ids, times)


def _monitors(**more) -> es.Monitors:
    baseline = more.pop("baseline", None) or es.Baseline.of_first(100)
    return es.Monitors(es.Monitor(baseline, name="m", **more))


def _one_by_one(monitors: es.Monitors, said: Said) -> list[dict]:
    found = []
    for place, stream in enumerate(said.streams.tolist()):
        key = said.keys[stream]
        by = said.classifier if said.judged is not None and said.judged[place] else None
        goal = es.FIVE_GOALS.keys[said.labels[place]]
        alert = monitors.update(goal, key, time=said.times[place], id=said.ids[place], classifier=by)
        while alert is not None:
            found.append(alert.to_dict())
            alert = monitors.get(key).due()
    return found


def _both(said: Said, *, pieces: int = 3, **more) -> list[dict]:
    """Replayed in pieces and taken one by one: the states must be equal; gives the alerts, which must be too."""
    many, single = _monitors(**more), _monitors(**more)
    expected, found = _one_by_one(single, said), []
    replay, ends = Replay(many), np.linspace(0, len(said.streams), pieces + 1).astype(int).tolist()
    for start, stop in itertools.pairwise(ends):
        part = slice(start, stop)
        judged = None if said.judged is None else said.judged[part]
        some = Said(
            said.keys, said.streams[part], said.labels[part], said.ids[part], said.times[part], judged, said.classifier
        )
        found += [one.alert.to_dict() for one in replay.take(some)]

    assert found == expected
    mine, theirs = dict(many), dict(single)
    assert {key: one.to_dict() for key, one in mine.items()} == {key: one.to_dict() for key, one in theirs.items()}
    return found


@pytest.mark.parametrize("seed", range(3))
def test_replay_is_one_at_a_time_to_the_last_bit(seed):
    """Evidence, memory, exemplars, warnings, pages, recoveries: all that a state holds is equal, and every alert."""
    found = _both(_traffic(6, 6_000, seed=seed))

    assert {"change", "recovered"} <= {one["kind"] for one in found}
    assert {"page", "warn"} <= {one["tier"] for one in found}


def test_a_baseline_that_stops_learning_is_compared_where_it_would_be():
    """The test of drift comes at the very response at which learning stops."""
    rng, laws = (
        np.random.default_rng(1),
        np.linspace((0.94, 0.02, 0.02, 0.01, 0.01), (0.87, 0.09, 0.02, 0.01, 0.01), 4_100),
    )
    labels = (rng.random(4_100)[:, None] > laws.cumsum(axis=1)).sum(axis=1).clip(max=4)
    said = Said([()], np.zeros(4_100, dtype=np.int64), labels, [None] * 4_100, [None] * 4_100)
    # Learning that ends at 5,000 responses, under a threshold out of reach: no page comes first.
    before = json.dumps(es.Monitor(es.Profile((940, 20, 20, 10, 10)), alpha=1e-200).to_dict())
    kept = json.loads(before.replace('"freeze_at": null', '"freeze_at": 5000'))
    many, single = es.Monitors(es.Monitor.from_dict(kept)), es.Monitor.from_dict(kept)
    many.get(()).restore(kept["state"])

    found = [one.alert.to_dict() for one in Replay(many).take(said)]

    expected = [alert.to_dict() for label in labels.tolist() if (alert := single.update(es.FIVE_GOALS.keys[label]))]
    assert found == expected
    assert [one["step"] for one in found if one["kind"] == "drift"] == [4_000]
    assert many.get(()).to_dict() == single.to_dict()


@pytest.mark.parametrize(
    "more",
    [
        {"alpha": 0.01},
        {"policy": es.Policy(warn=False, renotify=200)},
        {"run_length": 50.0},
        {"detector": es.KINDS["directed"]},
        {"detector": es.KINDS["paper-threshold"]},
    ],
    ids=["lifetime", "renotify", "short", "directed", "paper"],
)
def test_every_promise_policy_and_detector_is_replayed(more):
    """What is not made for speed is taken one at a time, and is equal too."""
    _both(_traffic(3, 2_000, seed=7), **more)


def test_verdicts_of_another_classifier_begin_an_epoch():
    """A verdict that names its classifier is taken as it would be alone."""
    said = _traffic(2, 1_500, seed=8)._replace(judged=np.arange(1_500) % 3 == 0, classifier="abc")

    _both(said, baseline=es.Baseline({"": (70.0, 5.0, 20.0, 3.0, 2.0)}, classifier="other"))
    _both(said)
