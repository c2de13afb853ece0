"""HTTPModel with servers that do what the protocol says, each in its own way."""

from __future__ import annotations

import asyncio
import time

import pytest

from asking import PROMPT, SHORT, ask, attempt
from ethostat.errors import ModelError
from ethostat.models.base import Decoding
from ethostat.models.http import HTTPModel
from ethostat.response import Message, Prompt
from servers import Asked, FaultyServer, Reply, answer, as_json, refusal, well_behaved


def test_k_samples_take_few_requests() -> None:
    """20 consecutive seeds are asked for in requests of n = 8, 8 and 4."""
    with FaultyServer(well_behaved) as server:
        responses = ask(HTTPModel(server.url, "m"), range(20))

    assert sorted(asked.body["n"] for asked in server.asked) == [4, 8, 8]
    assert [response.text for response in responses] == [f"seed {i}" for i in range(20)]


def test_seeds_with_a_gap_do_not_share_a_request() -> None:
    """Servers give choice i the seed + i, so 1, 2 and 5 are asked in two requests: no answer is repeated."""
    with FaultyServer(well_behaved) as server:
        responses = ask(HTTPModel(server.url, "m"), [1, 2, 5])

    assert [response.text for response in responses] == ["seed 1", "seed 2", "seed 5"]


def test_a_server_that_ignores_n_is_asked_singly() -> None:
    """One choice where eight were asked: the rest follow one by one, and later calls begin that way."""

    def script(asked: Asked, _: int) -> Reply:
        return answer(f"seed {asked.body['seed']}")

    with FaultyServer(script) as server:
        model = HTTPModel(server.url, "m")
        first = [response.text for response in ask(model, range(8))]
        ask(model, range(8))

    assert first == [f"seed {i}" for i in range(8)]
    assert [asked.body.get("n", 1) for asked in server.asked] == [8] + [1] * 15


def test_a_server_that_rejects_n_is_asked_for_less() -> None:
    """A 400 to n = 8 where 3 are allowed is met with n = 4, then 2; every answer comes."""

    def script(asked: Asked, number: int) -> Reply:
        if asked.body.get("n", 1) > 3:
            return refusal(400, "Field 'n': Value must be between 1 and 3")
        return well_behaved(asked, number)

    with FaultyServer(script) as server:
        responses = ask(HTTPModel(server.url, "m"), range(8))

    assert [response.text for response in responses] == [f"seed {i}" for i in range(8)]
    assert [asked.body["n"] for asked in server.asked] == [8, 4, 2, 2, 2, 2]


def test_a_prompt_that_is_refused_teaches_nothing_about_n() -> None:
    """A prompt that a filter blocks with 400, however few answers are asked, leaves n as it was for the others."""

    def script(asked: Asked, number: int) -> Reply:
        is_bad = asked.body["messages"][0]["content"] == "bad"
        return refusal(400, "content_filter") if is_bad else well_behaved(asked, number)

    with FaultyServer(script) as server:
        model = HTTPModel(server.url, "m")
        _, failure = attempt(model, range(8), prompt=Prompt.from_text("bad"))
        ask(model, range(8))

    assert type(failure) is ModelError
    assert server.asked[-1].body["n"] == 8


def test_copies_of_one_answer_are_not_measured() -> None:
    """A server that copies one answer n times is found out by a probe and asked singly."""

    def script(asked: Asked, _: int) -> Reply:
        return answer(*[f"seed {asked.body['seed']}"] * asked.body.get("n", 1))

    with FaultyServer(script) as server:
        responses = ask(HTTPModel(server.url, "m"), range(8))

    assert [response.text for response in responses] == [f"seed {i}" for i in range(8)]


def test_equal_answers_of_an_honest_server_stand() -> None:
    """A model that says "Yes." eight times is believed, for its answers to the probe differ."""

    def script(asked: Asked, number: int) -> Reply:
        if asked.body["messages"][0]["content"] == PROMPT.text:
            return answer(*["Yes."] * asked.body.get("n", 1))
        return well_behaved(asked, number)

    with FaultyServer(script) as server:
        model = HTTPModel(server.url, "m")
        texts = [response.text for _ in range(2) for response in ask(model, range(8))]

    assert texts == ["Yes."] * 16
    assert [asked.body["n"] for asked in server.asked] == [8, 4, 8]


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        ("seed", "Extra inputs are not permitted: seed"),
    ],
)
def test_a_refused_parameter_is_said_differently(refused: str, message: str) -> None:
    """A server that knows no max_tokens, or no seed, is answered in its own words from then on."""

    def script(asked: Asked, _: int) -> Reply:
        return refusal(422, message) if refused in asked.body else answer(*"ab"[: asked.body.get("n", 1)])

    with FaultyServer(script) as server:
        model = HTTPModel(server.url, "m")
        assert len(ask(model, [1, 2])) == 2
        (response,) = ask(model, [1])

    assert len(server.asked) == 3
    assert response.seed == (None if refused == "seed" else 1)


def test_another_refusal_is_told() -> None:
    """A 400 about something else is a ModelError with the server's words, on one line."""
    with FaultyServer(lambda asked, _: refusal(400, "temperature\nmust be \x1b[31m1")) as server:
        _, failure = attempt(HTTPModel(server.url, "m"))

    assert type(failure) is ModelError
    assert "temperature must be [31m1" in str(failure)


def test_what_was_said_is_what_is_measured() -> None:
    """Parts are joined, a refusal is text, a filtered answer is empty, reasoning is left out, surrogates replaced."""
    messages = [
        {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"content": None, "refusal": "I cannot."},
        {"content": None},
        {"content": "c", "reasoning_content": "let me think"},
        {"content": "\ud83d!"},
    ]
    choices = [{"message": message, "finish_reason": "content_filter"} for message in messages]

    with FaultyServer(lambda asked, _: as_json({"choices": choices})) as server:
        responses = ask(HTTPModel(server.url, "m"), range(5))

    assert [response.text for response in responses] == ["ab", "I cannot.", "", "c", "\ufffd!"]
    assert {response.finish_reason for response in responses} == {"content_filter"}


def test_tokens_are_shared_among_choices() -> None:
    """The completion tokens of the choices sum to the server's count; llama.cpp's count is the first choice's."""
    usage = {"prompt_tokens": 9, "completion_tokens": 8}

    for extra, expected in (({}, [3, 3, 2]), ({"timings": {}}, [8, None, None])):
        with FaultyServer(lambda asked, _, extra=extra: answer("a", "b", "c", usage=usage, **extra)) as server:
            responses = ask(HTTPModel(server.url, "m"), range(3))
        assert [response.completion_tokens for response in responses] == expected
        assert responses[0].prompt_tokens == 9


def test_a_base_model_continues_plain_text() -> None:
    """With completions a lone user message is the prompt itself, and a conversation is written as turns."""
    talk = Prompt("talk", (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Who?")))

    with FaultyServer(lambda asked, _: as_json({"choices": [{"text": "x"}]})) as server:
        model = HTTPModel(server.url, "m", kind="completions")
        ask(model, [1], prompt=Prompt.from_text("The capital of"))
        ask(model, [1], prompt=talk, decoding=Decoding(system="Be brief."))

    assert [asked.path for asked in server.asked] == ["/v1/completions"] * 2
    assert server.asked[0].body["prompt"] == "The capital of"
    assert (
        server.asked[1].body["prompt"]
        == "System: Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Who?\n\nAssistant:"
    )


def test_the_decoding_is_sent() -> None:
    """Temperature, top_p, max_tokens and the seed reach the server; n is absent for one answer."""
    with FaultyServer(well_behaved) as server:
        ask(HTTPModel(server.url, "m"), [5], decoding=Decoding(temperature=0.3, top_p=0.9, max_tokens=7))

    assert server.asked[0].body == {
        "model": "m",
        "messages": [{"role": "user", "content": PROMPT.text}],
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 5,
    }


def test_requests_run_side_by_side() -> None:
    """40 prompts at 0.05 s each take well under the 2 s that one after another would."""

    def script(asked: Asked, number: int) -> Reply:
        reply = well_behaved(asked, number)
        reply.hang = 0.05
        return reply

    async def run(model: HTTPModel) -> None:
        async def one(text: str) -> None:
            async for _ in model.sample(Prompt.from_text(text), SHORT, [1]):
                pass

        await asyncio.gather(*[one(str(i)) for i in range(40)])
        await model.aclose()

    with FaultyServer(script) as server:
        began = time.monotonic()
        asyncio.run(run(HTTPModel(server.url, "m")))

    assert time.monotonic() - began < 1.0
    assert 8 <= server.at_once <= 64
