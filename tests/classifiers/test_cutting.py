"""What of a prompt and a response an encoder sees."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from ethostat.classifiers.cutting import Cutting, split_turns
from ethostat.classifiers.encoder import BUILTIN, TOKENIZER
from ethostat.errors import ClassifierError
from ethostat.response import Message, Prompt

SMALL = Cutting(prompt=4, context=2, response_head=3, response_tail=2)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The tokenizer of the built-in encoder."""
    return Tokenizer.from_file(str(BUILTIN / TOKENIZER))


def words(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The tokens as text, special ones included."""
    return tokenizer.decode(ids, skip_special_tokens=False)


def test_short_pair_is_kept_whole(tokenizer: Tokenizer) -> None:
    """A pair that fits is [CLS] prompt [SEP] [CLS] response [SEP], the second half marked 1."""
    tokens = SMALL.tokens(tokenizer, Prompt.from_text("one two"), "three four")

    assert words(tokenizer, tokens.ids) == "[CLS] one two [SEP] [CLS] three four [SEP]"
    assert tokens.segments == [0, 0, 0, 0, 1, 1, 1, 1]


def test_long_prompt_keeps_its_end(tokenizer: Tokenizer) -> None:
    """Of a prompt that is too long the last tokens stay."""
    tokens = SMALL.tokens(tokenizer, Prompt.from_text("one two three four five six"), "")

    assert words(tokenizer, tokens.ids) == "[CLS] three four five six [SEP] [CLS] [SEP]"


@pytest.mark.parametrize("times", [2, 100_000])
def test_long_response_keeps_head_and_tail(tokenizer: Tokenizer, times: int) -> None:
    """Of a response that is too long the first and the last tokens stay, whether it is cut at characters or not."""
    tokens = SMALL.tokens(tokenizer, Prompt.from_text("hi"), "one two three " + "four " * times + "five six")

    assert words(tokenizer, tokens.ids) == "[CLS] hi [SEP] [CLS] one two three five six [SEP]"


def test_context_takes_the_room_that_is_left(tokenizer: Tokenizer) -> None:
    """Earlier turns come before the last user turn, cut to their own limit and to the room it leaves."""
    turns = (Message("user", "one"), Message("assistant", "two three"), Message("user", "four five"))
    tokens = SMALL.tokens(tokenizer, Prompt("p", turns), "six")

    assert words(tokenizer, tokens.ids) == "[CLS] two three [SEP] four five [SEP] [CLS] six [SEP]"


def test_long_last_turn_leaves_no_context(tokenizer: Tokenizer) -> None:
    """A last turn that fills the prompt's room pushes all context out."""
    turns = (Message("user", "one"), Message("assistant", "two"), Message("user", "three four five six"))
    tokens = SMALL.tokens(tokenizer, Prompt("p", turns), "seven")

    assert words(tokenizer, tokens.ids) == "[CLS] three four five six [SEP] [CLS] seven [SEP]"


def test_text_with_turns_reads_like_messages() -> None:
    """A conversation written as `User:` and `Assistant:` lines splits as the same messages do."""
    text = "User: How are you?\nAssistant: Fine.\nUser: Good.\nWhat is two plus two?\nAssistant:"
    messages = (
        Message("user", "How are you?"),
        Message("assistant", "Fine."),
        Message("user", "Good.\nWhat is two plus two?"),
    )

    assert split_turns(Prompt.from_text(text)) == split_turns(Prompt("p", messages))
    assert split_turns(Prompt("p", messages))[1] == "Good.\nWhat is two plus two?"


@pytest.mark.parametrize("text", ["User: hello", "Explain this line: User: bob", "Model: T-800", "", "no turns"])
def test_text_without_an_exchange_is_one_turn(text: str) -> None:
    """A single text stays whole unless both sides of a conversation speak in it."""
    assert split_turns(Prompt.from_text(text)) == ("", text)


def test_conversation_without_user_ends_in_its_last_turn() -> None:
    """Where nobody asks, the last message counts as the request."""
    prompt = Prompt("p", (Message("system", "Be kind."), Message("assistant", "Hello.")))

    assert split_turns(prompt) == ("system: Be kind.", "Hello.")


def test_impossible_cutting_is_refused() -> None:
    """Negative lengths, and context longer than the prompt, raise with the numbers."""
    with pytest.raises(ClassifierError, match="response_head must be at least 0 tokens, got -1"):
        Cutting(response_head=-1)
    with pytest.raises(ClassifierError, match="context \\(9 tokens\\) must fit"):
        Cutting(prompt=4, context=9)
