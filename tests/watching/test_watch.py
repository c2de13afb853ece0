"""Watch: looks at a model, against what it did before; over crashes; "not known" is never "no"."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

import ethostat as es
from ethostat.errors import AuthenticationFailed, InvalidInput, UnreadableAnswer
from goals import PROMPTS, WordClassifier


class Answers:
    """A function for a FunctionModel: mostly g1, and other goals in these shares once `shares` is set."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {"g1": 0.97, "g3": 0.03}
        self.asked: Counter[tuple[str, int]] = Counter()
        self.error: BaseException | None = None
        self.dies_after: int | None = None

    def __call__(self, prompt: es.Prompt, seed: int) -> str:
        if self.error is not None:
            raise self.error
        if self.dies_after is not None and self.asked.total() >= self.dies_after:
            raise AuthenticationFailed("the key is gone")
        self.asked[prompt.id, seed] += 1
        chance = random.Random(f"{prompt.id}/{seed}")  # noqa: S311 - a simulation
        return chance.choices(list(self.shares), list(self.shares.values()))[0] + f" said {seed}"


@pytest.fixture
def answers() -> Answers:
    """What the model says."""
    return Answers()


@pytest.fixture
def store(tmp_path):
    """A store of its own."""
    with es.Store(tmp_path / "runs.db") as opened:
        yield opened


def watch_of(answers: Answers, store: es.Store, tmp_path: Path, **settings) -> es.Watch:
    """A watch of twelve prompts, 20 responses each as baseline, three each a look."""
    settings.setdefault("classifier", WordClassifier())
    settings.setdefault("pace", es.Pace(responses=36, budget=72, baseline=20))
    model = es.FunctionModel(answers, name="answers", max_concurrency=4)
    prompts = settings.pop("prompts", PROMPTS)
    return es.Watch(model, prompts, store, tmp_path / "watch.state", seed=4, **settings)


def test_one_call_begins_and_says_what_it_spent(answers, store, tmp_path):
    """The first look makes a baseline, holds 36 responses against it, and costs what the forecast said."""
    watch = watch_of(answers, store, tmp_path)
    expected = {name: one.responses for name, one in watch.forecast().items()}
    look = watch.look()

    assert expected == {"baseline": 240, "look": 36, "look at most": 72}
    assert (look.answer, look.asked, look.spent) == ("no", 36, 276)
    assert answers.asked.total() == 276
    assert watch.forecast().keys() == {"look", "look at most"}


def test_a_change_is_found_said_once_and_stands(answers, store, tmp_path):
    """An alert names what moved, where, examples and the promise; later looks say yes without another alert."""
    watch = watch_of(answers, store, tmp_path, out=tmp_path / "alerts.jsonl")
    for _ in range(3):
        assert watch.look().answer == "no"
    answers.shares = {"g1": 0.6, "g2": 0.4}
    looks = [watch.look() for _ in range(4)]

    (alarm,) = [look for look in looks if look.alert]
    assert looks[-1].answer == "yes"
    assert alarm.alert.finding.moved[0].goal in ("g1", "g2")
    assert alarm.alert.since.low <= 3 * 36 + 1 <= alarm.alert.since.high
    assert alarm.categories.keys() == {"even", "odd"}
    assert alarm.prompts
    assert alarm.prompts[0].since["g2"] >= 1
    assert all(one["goal"] == "g2" for one in alarm.exemplars)
    assert "it was not you" in alarm.cause
    assert [json.loads(line)["alert"]["id"] for line in (tmp_path / "alerts.jsonl").read_text().splitlines()] == [
        "watch/1"
    ]


def test_a_change_that_ends_is_said_to_end(answers, store, tmp_path):
    """Once responses fit the baseline again there is one alert of kind recovered, and the answer is no."""
    watch = watch_of(answers, store, tmp_path)
    watch.look()
    usual, answers.shares = answers.shares, {"g1": 0.5, "g2": 0.5}
    while not watch.look().alert:
        pass
    answers.shares = usual
    looks = [watch.look() for _ in range(6)]

    assert [look.alert.kind for look in looks if look.alert] == ["recovered"]
    assert looks[-1].answer == "no"


def test_a_look_takes_more_where_evidence_grows_and_never_more_than_its_budget(answers, store, tmp_path):
    """A quiet look takes 36 responses, one with growing evidence more, none more than 72."""
    watch = watch_of(answers, store, tmp_path)
    quiet = [watch.look().asked for _ in range(4)]
    answers.shares = {"g1": 0.8, "g3": 0.2}
    busy = [watch.look().asked for _ in range(6)]

    assert quiet == [36] * 4
    assert 36 < max(busy) <= 72


def test_a_model_that_is_down_is_not_known(answers, store, tmp_path):
    """No answer is neither yes nor no; the next look is the same one, and goes on where it was."""
    watch = watch_of(answers, store, tmp_path)
    watch.look()
    answers.error = AuthenticationFailed("the key was refused")
    down = watch.look()
    answers.error = None
    up = watch.look()

    assert (down.answer, down.number) == ("unknown", 2)
    assert "the key was refused" in down.reason
    assert (up.answer, up.number, up.judged) == ("no", 2, 36)


@pytest.mark.parametrize("calls", [5, 100, 239, 241, 260, 275])
def test_nothing_is_asked_for_twice(answers, store, tmp_path, calls):
    """A watch that broke off in its baseline or its look asks for what is missing only, and ends as an unbroken one."""
    watch = watch_of(answers, store, tmp_path)
    answers.dies_after = calls
    broken = watch.look()
    answers.dies_after = None
    look = watch.look()
    whole = Answers()
    with es.Store(tmp_path / "other.db") as other:
        (tmp_path / "other").mkdir()
        unbroken = watch_of(whole, other, tmp_path / "other").look()

    assert broken.answer == "unknown"
    assert answers.asked == whole.asked
    assert max(answers.asked.values()) == 1
    assert (look.log_evidence, look.answer) == (unbroken.log_evidence, unbroken.answer)


def test_a_classifier_that_fails_is_not_known_and_costs_no_response(answers, store, tmp_path):
    """Where nothing can be judged the answer is unknown; the responses are kept, and are not asked for again."""

    class Mute(WordClassifier):
        def classify(self, responses):
            raise UnreadableAnswer("nothing that could be read")

    watch_of(answers, store, tmp_path).look()
    deaf = watch_of(answers, store, tmp_path, classifier=Mute()).look()
    look = watch_of(answers, store, tmp_path).look()

    assert deaf.answer == "unknown"
    assert "UnreadableAnswer" in deaf.reason
    assert look.answer == "no"
    assert answers.asked.total() == 276 + 36


def test_another_classifier_judges_the_same_baseline_again(answers, store, tmp_path):
    """A new classifier begins an epoch that is named as the user's own change; the baseline is not paid for twice."""

    class Other(WordClassifier):
        hash = "fedcba9876543210"

    watch_of(answers, store, tmp_path).look()
    look = watch_of(answers, store, tmp_path, classifier=Other()).look()

    assert look.epoch["number"] == 1
    assert any("you changed the classifier" in change for change in look.changes)
    assert look.spent == 276 + 36
    assert look.baseline["responses"] == 240


def test_another_system_message_makes_a_new_baseline(answers, store, tmp_path):
    """What changes the answers on the user's side begins an epoch with a baseline of its own."""
    watch_of(answers, store, tmp_path).look()
    other = watch_of(answers, store, tmp_path, decoding=es.Decoding(system="Be brief."))
    expected = other.forecast()
    look = other.look()

    assert expected["baseline"].responses == 240
    assert look.changes == ("you changed the decoding: system None -> Be brief.",)
    assert (look.number, look.epoch["began"], look.spent) == (2, 2, 2 * 276)


def test_accepting_makes_what_is_new_normal(answers, store, tmp_path):
    """After --accept the alert is gone, and the model is held against what it does now."""
    watch = watch_of(answers, store, tmp_path)
    watch.look()
    answers.shares = {"g1": 0.5, "g2": 0.5}
    while watch.look().answer != "yes":
        pass
    watch.accept()
    looks = [watch.look() for _ in range(3)]

    assert [look.answer for look in looks] == ["no"] * 3
    assert looks[0].epoch["because"] == ["you accepted what the model does now"]


def test_a_run_of_the_store_is_a_baseline(answers, store, tmp_path):
    """A measurement stands in for the baseline, and costs nothing more."""
    model = es.FunctionModel(answers, name="answers")
    es.measure(model, PROMPTS, samples=20, classifier=WordClassifier(), store=store, seed=1)
    look = watch_of(answers, store, tmp_path, baseline="latest").look()

    assert (look.answer, look.spent, look.baseline["asked"]) == ("no", 36, 0)


def test_a_named_baseline_survives_a_change_that_is_undone(answers, store, tmp_path):
    """A change that a named baseline does not fit is refused, and leaves the watch as it was; accepting is not."""
    model = es.FunctionModel(answers, name="answers")
    es.measure(model, PROMPTS, samples=20, classifier=WordClassifier(), store=store, seed=1)
    watch = watch_of(answers, store, tmp_path, baseline="latest")
    before = watch.look()
    with pytest.raises(InvalidInput, match="undo the change"):
        watch_of(answers, store, tmp_path, baseline="latest", decoding=es.Decoding(top_p=0.5)).look()
    after = watch.look()
    watch.accept()
    accepted = watch.look()

    assert (after.number, after.epoch) == (2, before.epoch)
    assert (accepted.epoch["number"], accepted.baseline["asked"]) == (1, 240)


def test_a_classifier_that_never_answered_costs_no_baseline(answers, store, tmp_path):
    """Back to the classifier before, the baseline is judged again, not asked for again."""

    class Mute(WordClassifier):
        hash = "mute"

        def classify(self, responses):
            raise UnreadableAnswer("nothing that could be read")

    watch_of(answers, store, tmp_path).look()
    watch_of(answers, store, tmp_path, classifier=Mute()).look()
    look = watch_of(answers, store, tmp_path).look()

    assert (look.answer, look.spent) == ("no", 276 + 36)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decoding": es.Decoding(temperature=0.2)}, "temperature"),
        ({"prompts": es.PromptSet("other", (es.Prompt.from_text("another question"),))}, "has no prompt"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(answers, store, tmp_path, settings, words):
    """A baseline of other prompts, or sampled otherwise, is no baseline."""
    model = es.FunctionModel(answers, name="answers")
    es.measure(model, PROMPTS, samples=20, classifier=WordClassifier(), store=store, seed=1)

    with pytest.raises(InvalidInput, match=words):
        watch_of(answers, store, tmp_path, baseline="latest", **settings).look()


def test_the_total_is_never_exceeded(answers, store, tmp_path):
    """Once the total is spent the answer is unknown; a total that no baseline fits into is refused."""
    watch = watch_of(answers, store, tmp_path, pace=es.Pace(responses=36, total=300, baseline=20))
    looks = [watch.look() for _ in range(3)]

    assert [look.asked for look in looks] == [36, 24, 0]
    assert looks[-1].answer == "unknown"
    assert "300 responses of the total" in looks[-1].reason
    (tmp_path / "other").mkdir()
    with pytest.raises(InvalidInput, match="a baseline takes 240"):
        watch_of(answers, store, tmp_path / "other", pace=es.Pace(total=200, baseline=20)).look()


def test_a_state_goes_on_under_its_own_promise_only(answers, store, tmp_path):
    """Another promise over the same state would be none."""
    watch_of(answers, store, tmp_path).look()

    with pytest.raises(InvalidInput, match="another promise"):
        watch_of(answers, store, tmp_path, alpha=0.05).look()
