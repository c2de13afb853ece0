"""What every Model keeps, whoever answers."""

from __future__ import annotations

import asyncio

import pytest

from asking import PROMPT, SHORT, ask
from ethostat.errors import ContextOverflow
from ethostat.models.base import Decoding, Model
from ethostat.models.function import FunctionModel
from ethostat.models.local import LocalModel
from ethostat.models.simulated import SimulatedModel
from ethostat.response import Message, Prompt


def test_one_response_for_each_seed(model: Model) -> None:
    """k seeds bring k responses with indices 0 to k - 1, each to the prompt, under the model's name."""
    responses = ask(model, range(40, 50))

    assert [response.index for response in responses] == list(range(10))
    assert {response.prompt for response in responses} == {PROMPT}
    assert {response.model for response in responses} == {model.name}
    assert all(response.seconds is not None and response.seconds > 0 for response in responses)


def test_seeds_are_recorded(model: Model) -> None:
    """Each response carries its seed, or the seed of the request that asked for it and some before it."""
    seeds = [7, 8, 9, 500_000]

    for response in ask(model, seeds):
        assert response.seed in seeds[: response.index + 1]


def test_distinct_seeds_give_distinct_answers(model: Model) -> None:
    """At temperature 1 nearly all answers to an open prompt differ."""
    texts = [response.text for response in ask(model, range(8))]

    assert len(set(texts)) >= 6


def test_same_seed_gives_the_same_answer(model: Model) -> None:
    """A seed asked alone gives the same text each time."""
    first, second = (ask(model, [11])[0].text for _ in range(2))

    assert first == second


def test_max_tokens_bounds_the_answer(model: Model) -> None:
    """No answer is longer than max_tokens, and one that was cut says so."""
    (response,) = ask(model, [3], decoding=Decoding(max_tokens=4))

    assert response.finish_reason == "length"
    assert len(response.text.split()) <= 4


def test_a_conversation_is_answered(model: Model) -> None:
    """Several turns and a system message from the decoding are taken."""
    turns = (Message("user", "I am Ann."), Message("assistant", "Hello Ann."), Message("user", "Who am I?"))
    decoding = Decoding(max_tokens=4, system="You are brief.")

    (response,) = ask(model, [1], prompt=Prompt("talk", turns), decoding=decoding)

    assert response.text


def test_no_seeds_no_answers(model: Model) -> None:
    """An empty list of seeds asks for nothing."""
    assert ask(model, []) == []


def test_a_prompt_beyond_the_context_is_named(model: Model) -> None:
    """A prompt longer than the context is ContextOverflow; a function or a simulation has no context and answers."""
    long = Prompt.from_text("word " * 2000)

    if isinstance(model, FunctionModel | SimulatedModel):
        assert len(ask(model, [1, 2], prompt=long)) == 2
        return
    with pytest.raises(ContextOverflow, match="context"):
        ask(model, [1, 2], prompt=long)


def test_many_prompts_at_once(model: Model) -> None:
    """Calls that run side by side each get their own answers."""

    async def run() -> list[list[int]]:
        async def one(text: str) -> list[int]:
            prompt = Prompt.from_text(text)
            return sorted([r.index async for r in model.sample(prompt, SHORT, [1, 2]) if r.prompt is prompt])

        indices = await asyncio.gather(*[one(f"Say {i}.") for i in range(4)])
        if not isinstance(model, LocalModel):
            await model.aclose()
        return indices

    assert asyncio.run(run()) == [[0, 1]] * 4


def test_closing_twice_is_safe(model: Model) -> None:
    """aclose may be called twice, and the model can be used again after it."""

    async def run() -> int:
        await model.aclose()
        await model.aclose()
        count = len([response async for response in model.sample(PROMPT, SHORT, [1])])
        await model.aclose()
        return count

    assert asyncio.run(run()) == 1


def test_identity_names_what_decides_the_answers(model: Model) -> None:
    """identity is plain values and always the same."""
    assert model.identity == model.identity
    assert all(isinstance(value, str | int) for value in model.identity.values())
    assert isinstance(model, Model)
