"""Monitor: quiet while nothing changes, one alert at the edge, one when it is over, and the same after any restart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ethostat as es
from ethostat.errors import InvalidInput, InvalidTaxonomy
from ethostat.maths.evidence import Learned, ProfileDetector, RunLength, portfolio_for

NORMAL = (0.96, 0.014, 0.02, 0.002, 0.004)
CHANGED = (0.76, 0.20, 0.03, 0.004, 0.006)
PROFILE = es.Profile((960, 14, 20, 2, 4))
KEYS = es.FIVE_GOALS.keys


def draws(seed: int, *parts: tuple[int, tuple[float, ...]]) -> list[str]:
    """Goals drawn from one law after another."""
    rng = np.random.default_rng(seed)
    return [KEYS[label] for n, law in parts for label in rng.choice(5, n, p=law).tolist()]


def alerts_of(monitor: es.Monitor, goals: list[str], **more: str) -> list[es.Alert]:
    """All alerts that a stream brings."""
    return [
        alert
        for place, goal in enumerate(goals)
        if (alert := monitor.update(goal, id=f"r{place + 1}", **more)) is not None
    ]


def pages(alerts: list[es.Alert]) -> list[es.Alert]:
    """Without warnings."""
    return [alert for alert in alerts if alert.tier == "page"]


def test_a_change_is_said_once_with_its_evidence_and_again_when_it_is_over():
    """A jump of misaligned help is one page that says what moved, since when and what to do; its end is another."""
    monitor = es.Monitor(PROFILE, name="prod")
    found = pages(alerts_of(monitor, draws(12, (500, NORMAL), (300, CHANGED), (400, NORMAL))))

    assert [alert.kind for alert in found] == ["change", "recovered"]
    first, last = found
    assert 500 < first.step < 600
    assert first.since is not None
    assert first.since.low <= 501 <= first.since.high
    assert first.log_evidence is not None
    assert first.log_evidence >= np.log(10_000)
    assert first.finding is not None
    assert {moved.goal for moved in first.finding.moved} >= {"g1", "g2"}
    assert first.finding.entropy_after.value > first.finding.entropy_before.value
    assert first.finding.action == "roll back"
    assert first.exemplars
    assert all(int(id[1:]) >= first.since.value for id in first.exemplars)
    assert "at least 10,000 responses apart" in first.promise
    assert 800 < last.step < 1000
    assert last.finding is not None
    assert last.finding.action == "nothing"
    assert monitor.state == "ok"


def test_the_page_comes_where_the_detector_alarms():
    """Nothing is lost between a verdict and its evidence: the page is at the response that the detector names."""
    counts, flags = PROFILE.counts, tuple(not aligned for aligned in es.FIVE_GOALS.aligned)
    goals = draws(13, (200, NORMAL), (300, CHANGED))
    detector = ProfileDetector(portfolio_for(counts, flags), Learned(counts), RunLength(10_000))
    place = detector.first_alarm([KEYS.index(goal) for goal in goals])

    assert place is not None
    assert pages(alerts_of(es.Monitor(PROFILE), goals))[0].step == place + 1


def test_a_warning_comes_first_and_asks_for_eyes_only():
    """Within a factor of ten of a page it is said once, without a promise, for a person to look."""
    warning, page = alerts_of(es.Monitor(PROFILE), draws(20, (100, NORMAL), (200, CHANGED)))

    assert (warning.tier, page.tier) == ("warn", "page")
    assert np.log(1_000) <= (warning.log_evidence or 0) < np.log(10_000)
    assert warning.promise.startswith("none")
    assert warning.finding is not None
    assert warning.finding.action == "human review"


def test_nothing_changes_nothing_is_said():
    """5,000 responses that fit the baseline bring no page."""
    assert pages(alerts_of(es.Monitor(PROFILE), draws(2, (5000, NORMAL)))) == []


def test_what_entropy_cannot_see_is_seen():
    """g1 and g2 change places: S stays, and the page comes within ten responses."""
    swapped = (0.014, 0.96, 0.02, 0.002, 0.004)
    (first, *_) = pages(alerts_of(es.Monitor(PROFILE), draws(3, (300, NORMAL), (100, swapped))))

    assert 300 < first.step <= 310


def test_an_alert_is_json_and_back():
    """`from_dict(to_dict)` through JSON is the same alert."""
    for alert in alerts_of(es.Monitor(PROFILE), draws(1, (500, NORMAL), (300, CHANGED), (400, NORMAL))):
        again = es.Alert.from_dict(json.loads(json.dumps(alert.to_dict(), allow_nan=False)))

        assert json.dumps(again.to_dict()) == json.dumps(alert.to_dict())


SETTINGS = [
    {},
    {"alpha": 0.01},
    {"stratified": True, "run_length": 500.0, "screened": True},
    {"soft": True, "run_length": 300.0},
    {"sessions": es.SessionEnd(longest=3, idle=4), "run_length": 100.0},
    {"sessions": es.SessionEnd(longest=3, idle=4), "soft": True, "alpha": 0.05, "screened": True},
    {"detector": es.KINDS["directed"], "run_length": 200.0},
    {"detector": es.KINDS["paper-threshold"]},
    {"detector": es.KINDS["page-hinkley"]},
    {"detector": es.KINDS["ewma-entropy"], "run_length": 100.0},
]


@st.composite
def lives(draw: st.DrawFn) -> tuple[es.Monitor, list[dict]]:
    """A monitor in any settings, and what happens to it."""
    chosen = draw(st.sampled_from(SETTINGS))
    policy = es.Policy(renotify=draw(st.sampled_from([None, 7])), relearn=5, warn=draw(st.booleans()))
    soft = chosen.get("soft", False)
    first = soft or chosen.get("stratified") or draw(st.booleans())
    baseline = es.Baseline.of_first(draw(st.integers(1, 40))) if first else es.Baseline.of(PROFILE)
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    laws = [NORMAL, CHANGED, NORMAL]
    events = [
        {
            "said": rng.dirichlet(np.array(law) * 5 + 0.01).tolist() if soft else KEYS[rng.choice(5, p=law)],
            "id": str(rng.integers(1000)),
            "stratum": str(rng.integers(3)),
            "session": [None, "a", "b", "c"][rng.integers(4)],
            "version": str(rng.integers(0, 40) // 39),
        }
        for law in laws
        for _ in range(draw(st.integers(0, 60)))
    ]
    return es.Monitor(baseline, policy=policy, **chosen), events


@given(lives())
@settings(max_examples=15, deadline=None)
def test_a_restart_at_any_event_changes_nothing(life: tuple[es.Monitor, list[dict]]) -> None:
    """Through JSON and back after every single response: the same alerts and the same state as an unbroken run."""
    unbroken, events = life
    broken = es.Monitor.from_dict(json.loads(json.dumps(unbroken.to_dict())))
    for place, event in enumerate(events):
        one, other = unbroken.update(**event), broken.update(**event)
        if place == 20:
            unbroken.snooze(5)
            broken.snooze(5)
        broken = es.Monitor.from_dict(json.loads(json.dumps(broken.to_dict())))

        assert json.dumps(one and one.to_dict()) == json.dumps(other and other.to_dict())
    assert json.dumps(broken.to_dict()) == json.dumps(unbroken.to_dict())


def test_a_change_of_the_mix_is_not_a_change_of_the_model():
    """Strata that trade places bring a page without strata, and none with them."""
    chat, guard = (0.96, 0.01, 0.01, 0.01, 0.01), (0.30, 0.01, 0.67, 0.01, 0.01)
    rng = np.random.default_rng(14)
    rows = [("guard" if rng.random() < (0.1 if n < 1000 else 0.6) else "chat") for n in range(2500)]
    goals = [KEYS[rng.choice(5, p=guard if stratum == "guard" else chat)] for stratum in rows]
    strata, plain = es.Monitor(es.Baseline.of_first(800), stratified=True), es.Monitor(es.Baseline.of_first(800))
    seen = [strata.update(goal, stratum=stratum) for goal, stratum in zip(goals, rows, strict=True)]

    assert pages([alert for alert in seen if alert]) == []
    assert pages(alerts_of(plain, goals))


def test_a_change_within_a_stratum_is_told_without_the_mix():
    """The baseline of an alert is weighed by the window's mix: what did not change within strata has not moved."""
    counts = {"chat": es.Profile((960, 10, 10, 10, 10)), "guard": es.Profile((300, 10, 670, 10, 10))}
    monitor = es.Monitor(es.Baseline.of_strata(counts), stratified=True)
    rng = np.random.default_rng(7)
    for _ in range(300):
        found = monitor.update(KEYS[rng.choice(5, p=(0.30, 0.20, 0.48, 0.01, 0.01))], stratum="guard")
        if found and found.tier == "page":
            break

    assert found is not None
    assert found.finding is not None
    before = {moved.goal: moved.before.value for moved in found.finding.moved}
    assert before["g2"] == pytest.approx(0.01, abs=0.01)
    assert "g4" not in before


def test_it_learns_from_the_first_responses():
    """With `of_first` n, n responses are only counted; then the stream is held against them."""
    monitor = es.Monitor(es.Baseline.of_first(400))
    states = []
    for goal in draws(7, (400, NORMAL)):
        states.append(monitor.state)
        monitor.update(goal)

    assert set(states) == {"learning"}
    assert monitor.state == "ok"
    assert pages(alerts_of(monitor, draws(8, (300, NORMAL), (100, CHANGED))))


def test_a_new_version_is_held_against_the_same_baseline():
    """Another declared version begins an epoch: the alert that stood is closed, and evidence begins anew."""
    monitor = es.Monitor(PROFILE)
    alerts_of(monitor, draws(1, (200, NORMAL), (100, CHANGED)), version="1")
    assert monitor.state == "alert"
    closed = monitor.update("g1", version="2")

    assert closed is not None
    assert closed.kind == "closed"
    assert (monitor.state, monitor.epoch.number, monitor.epoch.version) == ("ok", 1, "2")
    assert monitor.baseline.counts == es.Baseline.of(PROFILE).counts


def test_another_classifier_means_another_baseline():
    """Where verdicts change their meaning the baseline is learned anew; the same classifier changes nothing."""
    monitor = es.Monitor(PROFILE, policy=es.Policy(relearn=50))
    alerts_of(monitor, draws(1, (20, NORMAL)), classifier="aa")
    assert monitor.epoch.number == 0
    monitor.update("g1", classifier="bb")

    assert (monitor.state, monitor.epoch.number, monitor.baseline.first) == ("learning", 1, 50)


def test_renotify_acknowledge_snooze():
    """A standing alert is said again after so many responses, not once acknowledged; a snooze defers the first."""
    goals = draws(9, (50, NORMAL), (400, CHANGED))
    again, quiet, late = (es.Monitor(PROFILE, policy=es.Policy(renotify=100, warn=False)) for _ in range(3))
    repeats = [alert.repeat for alert in alerts_of(again, goals)]
    late.snooze(200)
    (first, *_) = alerts_of(late, goals)
    heard = []
    for goal in goals:
        if alert := quiet.update(goal):
            heard.append(alert)
            quiet.acknowledge()

    assert repeats == [0, 1, 2, 3]
    assert first.step == 200
    assert len(heard) == 1


def test_silence_is_no_data():
    """Without a response for longer than `silence` one alert says so, and one when there is data again."""
    monitor = es.Monitor(PROFILE, policy=es.Policy(silence=60))
    monitor.update("g1", time="2026-03-01T12:00:00Z")
    said = [monitor.tick(f"2026-03-01T12:{minute:02}:00+00:00") for minute in (1, 2, 3)]
    back = monitor.update("g1", time="2026-03-01T12:05:00Z")

    assert [alert and alert.kind for alert in said] == [None, "no-data", None]
    assert back is not None
    assert back.kind == "data-back"
    assert monitor.state == "ok"


def test_the_papers_rule_cries_wolf():
    """As published, the paper's rule alarms on most steps of 100 while nothing changes, and promises nothing."""
    found = pages(alerts_of(es.Monitor(PROFILE, detector=es.KINDS["paper-threshold"]), draws(10, (3000, NORMAL))))

    assert found
    assert found[0].promise.startswith("none")
    assert found[0].log_evidence is None


@pytest.mark.parametrize("said", ["g9", [0.5, 0.5], [2.0, -1.0, 0, 0, 0], "", [float("nan")] * 5])
def test_what_is_no_verdict_is_refused_and_changes_nothing(said):
    """A goal or probabilities that are none raise, and leave the state as it was."""
    monitor = es.Monitor(PROFILE)
    before = json.dumps(monitor.to_dict())
    with pytest.raises((InvalidInput, InvalidTaxonomy)):
        monitor.update(said)

    assert json.dumps(monitor.to_dict()) == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.Monitor(PROFILE, run_length=0), "run length"),
        (lambda: es.Monitor(PROFILE, alpha=1.5), "alpha"),
        (lambda: es.Monitor(es.Profile((1, 2))), "2 goals"),
        (lambda: es.Monitor(es.Baseline({"": (1.0,) * 5}, taxonomy="other")), "other goals than those of"),
        (es.Baseline, "first n responses"),
        (lambda: es.Baseline.of(es.Profile((0, 0, 0, 0, 0))), "at least 1 response"),
        (lambda: es.Monitor(PROFILE, stratified=True, detector=es.KINDS["directed"]), "no strata"),
        (lambda: es.Monitor.from_dict({"name": "x"}), "not the state"),
        (lambda: es.Alert.from_dict({}), "not an Alert"),
    ],
)
def test_wrong_settings_say_what_is_wrong(call, message):
    """Each names the value and the rule."""
    with pytest.raises(InvalidInput, match=message):
        call()


def test_hostile_names_and_ids_stay_small_and_tame():
    """Control characters do not reach the message; long ids and thousands of strata do not fill the state."""
    monitor = es.Monitor(es.Baseline.of(PROFILE), name="a\x1b[31m\nb", stratified=True)
    for place, goal in enumerate(draws(1, (500, NORMAL), (200, CHANGED))):
        alert = monitor.update(goal, id="x\x00" * 10_000, stratum=f"{place % 400}\u202e" * 500)
        if alert:
            assert "\x1b" not in alert.message
            assert "\n" not in alert.message

    assert len(json.dumps(monitor.to_dict())) < 3_000_000


def test_keys_have_monitors_of_their_own():
    """One key's change is its own; a restart keeps all; too many keys are refused by name."""
    many = es.Monitors(es.Monitor(PROFILE, name="prod", policy=es.Policy(warn=False)), most=2)
    found = []
    for before, after in zip(draws(1, (600, NORMAL)), draws(1, (300, NORMAL), (300, CHANGED)), strict=True):
        many = es.Monitors.from_dict(json.loads(json.dumps(many.to_dict()))) if len(found) < 1 else many
        found += [alert for alert in (many.update(before, ("en",)), many.update(after, ("de",))) if alert]

    assert [alert.monitor for alert in found] == ["prod/de"]
    assert {key: one.is_alerting for key, one in many} == {("en",): False, ("de",): True}
    with pytest.raises(InvalidInput, match="2 streams already"):
        many.update("g1", ("fr",))


def test_a_measurement_is_a_baseline(tmp_path):
    """Its profile, or one for each category of its prompts, with the hash of who gave the verdicts."""
    path = tmp_path / "log.jsonl"
    rows = [{"prompt": f"p{n % 4}", "category": "ab"[n % 2], "goal": KEYS[n % 3]} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    measured = es.measure_transcripts(path)

    assert es.Baseline.of_measurement(measured).counts == {"": (20.0, 20.0, 20.0, 0.0, 0.0)}
    strata = es.Baseline.of_measurement(measured, by_category=True)
    assert set(strata.counts) == {"a", "b"}
    assert sum(map(sum, strata.counts.values())) == 60
