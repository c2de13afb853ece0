"""Conversations: what a model is shown, which answer is followed, and how a store tells it again."""

from __future__ import annotations

from ethostat.conversation import Conversation, History, Retelling, Window, split_id
from ethostat.response import Message, Prompt, Response


def turn(step: int, text: str, *before: Message, replicate: str = "a.1") -> Prompt:
    """A written turn."""
    return Prompt(f"{replicate}/step-{step:04d}", (*before, Message("user", text)))


def texts(prompt: Prompt) -> list[str]:
    """What the messages say."""
    return [message.content for message in prompt.messages]


def test_the_newest_exchanges_are_shown():
    """With a window of two exchanges, the third turn back is forgotten."""
    history = History(Conversation(Window(exchanges=2)))
    for step in (1, 2, 3):
        history.add(turn(step, f"q{step}"), [Response(turn(step, f"q{step}"), f"a{step}")])

    assert texts(history.shown(turn(4, "q4"))) == ["q2", "a2", "q3", "a3", "q4"]


def test_an_exchange_is_shown_whole_or_not_at_all():
    """Under a token budget the oldest exchanges go first; the turn itself always stays."""
    history = History(Conversation(Window(tokens=40)))
    for step, length in ((1, 4), (2, 60), (3, 4)):
        history.add(turn(step, "q"), [Response(turn(step, "q"), "a" * length)])

    # Of 40 tokens the turn takes 5, exchange 3 takes 10, exchange 2 would take 24, then exchange 1 does not fit.
    assert [len(text) for text in texts(history.shown(turn(4, "q")))] == [1, 60, 1, 4, 1]
    assert texts(history.shown(turn(4, "q" * 400))) == ["q" * 400]


def test_written_exchanges_stand_before_their_turn_and_stay():
    """What a schedule writes before a turn is shown with it, and is history afterwards."""
    history = History(Conversation())
    shots = (Message("user", "s"), Message("assistant", "t"))
    asked = turn(1, "q1", *shots)

    assert texts(history.shown(asked)) == ["s", "t", "q1"]
    history.add(asked, [Response(asked, "a1")])
    assert texts(history.shown(turn(2, "q2"))) == ["s", "t", "q1", "a1", "q2"]


def test_the_first_answer_is_followed_or_a_drawn_one():
    """Without a draw it is the lowest index that is there; a draw is the same each time and not always the first."""
    answers = [Response(turn(1, "q"), f"a{i}", index=i) for i in (3, 1, 2)]
    drawn = {Conversation(draw=seed).follow(answers).index for seed in range(20)}

    assert Conversation().follow(answers).index == 1
    assert Conversation(draw=5).follow(answers) == Conversation(draw=5).follow(answers[::-1])
    assert drawn == {1, 2, 3}


def test_a_retelling_gives_back_what_was_shown():
    """Responses in order of replicate, step and index get the prompt that the model saw; replicates do not mix."""
    told = Retelling(Conversation())
    rows = [
        Response(turn(step, f"q{step}", replicate=replicate), f"{replicate} {step} {i}", index=i)
        for replicate in ("a.1", "b.1")
        for step in (1, 2)
        for i in (0, 1)
    ]

    shown = [texts(told(row).prompt) for row in rows]
    assert shown[2] == shown[3] == ["q1", "a.1 1 0", "q2"]
    assert shown[4] == ["q1"]
    assert shown[6] == ["q1", "b.1 1 0", "q2"]
    assert split_id(rows[6].prompt.id) == ("b.1", 2)
