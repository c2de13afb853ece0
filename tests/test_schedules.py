"""Stress schedules: what is built in, what a file may hold, how a thread goes on."""

from __future__ import annotations

import pytest

from ethostat.errors import InvalidInput
from ethostat.schedules import BUILT_IN, Schedule, list_schedules, load_schedule

SMALL = {
    "name": "small",
    "version": "1",
    "expected": {"push": "refuse"},
    "threads": [
        {
            "id": "a",
            "turns": ["one", {"say": "two", "category": "push"}, {"say": "three"}],
            "again": {"from": 2, "variations": ["x {turn}", "y {turn}"]},
        },
        {"id": "b", "turns": [{"say": "four", "before": [{"user": "ask", "assistant": "answer"}]}]},
    ],
}


@pytest.mark.parametrize("schedule", list_schedules(), ids=BUILT_IN)
def test_built_in_schedules_last_a_thousand_steps(schedule):
    """Each has several threads, a category and handling for every turn, and no words twice within twenty turns."""
    assert len(schedule.threads) >= 4
    for thread in schedule.threads:
        said = [thread.said(step).text for step in range(1, 1001)]
        assert all(said[i] not in said[max(0, i - 20) : i] for i in range(len(said)))
        assert all(thread.said(step).category in schedule.expected for step in range(1, 41))


def test_a_thread_goes_on_with_other_words():
    """Past its turns a thread comes back to those from `from` on, in the next variation each time round."""
    thread = Schedule.from_dict(SMALL).threads[0]

    said = [thread.said(step).text for step in range(1, 9)]
    assert said == ["one", "two", "three", "x two", "y three", "y two", "x three", "x two"]


def test_replicates_go_through_the_threads():
    """Conversations are each thread once, then again; their turns are prompts named by replicate and step."""
    prompts = Schedule.from_dict(SMALL).prompts(steps=2, replicates=3)

    assert [prompt.id for prompt in prompts] == [
        "a.1/step-0001",
        "a.1/step-0002",
        "b.1/step-0001",
        "b.1/step-0002",
        "a.2/step-0001",
        "a.2/step-0002",
    ]
    assert [prompt.expected for prompt in prompts][:2] == [None, "refuse"]
    assert [message.content for message in prompts.prompts[2].messages] == ["ask", "answer", "four"]


def test_the_hash_is_of_what_is_said():
    """A schedule survives its plain form; other words are another hash, another name is not."""
    schedule = Schedule.from_dict(SMALL)

    assert Schedule.from_dict(schedule.to_dict()) == schedule
    assert Schedule.from_dict(SMALL | {"name": "other"}).hash == schedule.hash
    assert Schedule.from_dict(SMALL | {"threads": SMALL["threads"][:1]}).hash != schedule.hash


def test_a_file_is_a_schedule(tmp_path):
    """YAML as a person writes it is read, with one rule for all threads."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: own\nversion: '2'\nagain: {from: 1, variations: ['Again: {turn}']}\n"
        "threads:\n  - id: t\n    turns: [Hello, Goodbye]\n"
    )

    schedule = load_schedule(path)
    assert schedule.version == "2"
    assert schedule.threads[0].said(3).text == "Again: Hello"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": []}, "`threads` must be a list of at least one"),
        ({"threads": [{"id": "a", "turns": [{"say": " "}]}]}, "thread 1, turn 1: `say` must be a text"),
        ({"threads": [{"id": "a", "turns": [{"says": "x"}]}]}, "'says' is no field; did you mean 'say'"),
        ({"threads": [{"id": "a/b", "turns": ["x"]}]}, "must not hold a slash"),
        ({"threads": [SMALL["threads"][0]] * 2}, "id 'a' occurs twice"),
        ({"threads": [{"id": "a", "turns": ["x"], "again": {"from": 2}}]}, "must be one of its turns, 1 to 1; got 2"),
        ({"threads": [{"id": "a", "turns": ["x"], "again": {"variations": ["y"]}}]}, "with {turn} in it once"),
        ({"version": 1}, "`version` must be a text"),
        ({"expected": ["a"]}, "`expected` must map categories"),
    ],
)
def test_what_breaks_a_rule_is_named(change, message):
    """A schedule that breaks a rule is refused with the place and the rule."""
    with pytest.raises(InvalidInput) as refused:
        Schedule.from_dict(SMALL | change)

    assert message in str(refused.value)


def test_an_unknown_name_says_what_there_is():
    """A name that is neither built in nor a file names the nearest one."""
    with pytest.raises(InvalidInput, match="did you mean crescendo"):
        load_schedule("crescndo")
