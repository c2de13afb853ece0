"""HTTPModel with servers that fail: every response arrives, or the failure has its name."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Callable

import pytest

from asking import SHORT, attempt
from ethostat.errors import (
    AuthenticationFailed,
    ContextOverflow,
    EmptyAnswer,
    ModelError,
    ModelNotFound,
    ModelTimeout,
    RateLimited,
    ServerFault,
)
from ethostat.models.http import HTTPModel
from ethostat.response import Prompt
from servers import Asked, FaultyServer, Reply, answer, as_json, refusal, well_behaved

FAULTS: dict[str, Callable[[], Reply]] = {
    "429": lambda: refusal(429, "slow down", Retry_After="0.01"),
    "500": lambda: refusal(500, "out of memory"),
    "hang": lambda: Reply(hang=30.0),
    "truncated": lambda: Reply(200, {}, b'{"choices": [{"message"', sends=10),
    "half an answer": lambda: Reply(200, {}, b'{"choices": [{"message"'),
    "garbage": lambda: Reply(200, {}, b"\xff\xfe<html>"),
    "a list": lambda: as_json([1, 2]),
    "no choices": lambda: as_json({"object": "chat.completion"}),
    "wrong types": lambda: as_json({"choices": [{"message": {"content": 5}}]}),
    "null choice": lambda: as_json({"choices": [None]}),
    "an error in a 200": lambda: as_json({"error": {"message": "upstream died"}}),
    "deep": lambda: Reply(200, {}, b"[" * 200_000),
    "dropped": lambda: Reply(drops=True),
}
NAMED = {"429": RateLimited, "hang": ModelTimeout}


def quick(server: FaultyServer, **options: object) -> HTTPModel:
    """A model that does not wait long between its attempts."""
    return HTTPModel(server.url, "m", **{"timeout": 0.3, "max_retries": 2, "retry_wait": 0.01, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_not_seen(fault: str) -> None:
    """A request that fails once is repeated, and all answers arrive, in the same words."""

    def script(asked: Asked, number: int) -> Reply:
        return FAULTS[fault]() if number == 0 else well_behaved(asked, number)

    with FaultyServer(script) as server:
        responses, failure = attempt(quick(server), range(3))

    assert failure is None
    assert [response.text for response in responses] == ["seed 0", "seed 1", "seed 2"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_has_its_name(fault: str) -> None:
    """A fault that outlasts the attempts is RateLimited, ModelTimeout or ServerFault, and the attempts are few."""
    with FaultyServer(lambda asked, _: FAULTS[fault]()) as server:
        responses, failure = attempt(quick(server))

    assert responses == []
    assert type(failure) is NAMED.get(fault, ServerFault)
    assert len(server.asked) == (2 if fault == "hang" else 3)


def test_half_of_all_requests_fail() -> None:
    """With every second request failing in a random way, 200 answers to 25 prompts all arrive."""
    rng = random.Random(5)  # noqa: S311 - faults, not secrets
    names = [name for name in FAULTS if name != "hang"]

    def script(asked: Asked, number: int) -> Reply:
        return FAULTS[rng.choice(names)]() if rng.random() < 0.5 else well_behaved(asked, number)

    async def run(model: HTTPModel) -> list[str]:
        async def one(i: int) -> list[str]:
            prompt = Prompt.from_text(f"prompt {i}")
            return [response.text async for response in model.sample(prompt, SHORT, range(100 * i, 100 * i + 8))]

        texts = await asyncio.gather(*[one(i) for i in range(25)])
        await model.aclose()
        return [text for part in texts for text in part]

    with FaultyServer(script) as server:
        texts = asyncio.run(run(quick(server, max_retries=20, retry_wait=0.002)))

    assert sorted(texts) == sorted(f"seed {100 * i + j}" for i in range(25) for j in range(8))


def test_what_arrived_before_the_failure_stands() -> None:
    """Of 16 answers in two requests, the 8 of the good request are yielded before the other's failure."""

    def script(asked: Asked, number: int) -> Reply:
        return refusal(500, "no") if asked.body["seed"] == 0 else well_behaved(asked, number)

    with FaultyServer(script) as server:
        responses, failure = attempt(quick(server), range(16))

    assert [response.index for response in responses] == list(range(8, 16))
    assert isinstance(failure, ServerFault)


def test_what_one_request_brought_outlives_the_failure_of_the_next() -> None:
    """A server that ignores n and dies after four answers leaves four, each given as it came."""

    def script(asked: Asked, number: int) -> Reply:
        return answer(f"answer {number}") if number < 4 else refusal(400, "no more")

    with FaultyServer(script) as server:
        responses, failure = attempt(quick(server), range(8))

    assert [response.text for response in responses] == [f"answer {i}" for i in range(4)]
    assert failure is not None


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(form: str) -> None:
    """No request is sent before the time that a 429 names, in seconds or as a date."""

    def script(asked: Asked, number: int) -> Reply:
        if number:
            return well_behaved(asked, number)
        date = email.utils.formatdate(time.time() + 2, usegmt=True)  # whole seconds: 1 to 2 s from now
        return refusal(429, "wait", Retry_After="1" if form == "seconds" else date)

    with FaultyServer(script) as server:
        responses, _ = attempt(quick(server))

    assert len(responses) == 1
    assert 0.9 < server.asked[1].time - server.asked[0].time < 3


def test_an_exhausted_quota_is_not_waited_for() -> None:
    """A 429 that says insufficient_quota will not pass: RateLimited after one request."""
    with FaultyServer(lambda asked, _: refusal(429, "insufficient_quota: check your plan")) as server:
        _, failure = attempt(quick(server))

    assert isinstance(failure, RateLimited)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_the_variable(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """401 and 403 say which variable to set, and never show the key, even where the server does."""
    monkeypatch.setenv("ETHOSTAT_API_KEY", "sk-secret")

    with FaultyServer(lambda asked, _: refusal(status, "bad key sk-secret")) as server:
        model = quick(server)
        _, failure = attempt(model)

    assert isinstance(failure, AuthenticationFailed)
    assert "set ETHOSTAT_API_KEY" in str(failure)
    assert "sk-secret" not in str(failure) + repr(failure) + repr(model) + str(vars(model)) + str(model.identity)
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer sk-secret"]


def test_a_prompt_flagged_with_403_is_no_matter_of_the_key() -> None:
    """403 for a prompt that moderation flags is a ModelError of that prompt, not AuthenticationFailed."""
    with FaultyServer(lambda asked, _: refusal(403, "your input was flagged by moderation")) as server:
        _, failure = attempt(quick(server))

    assert type(failure) is ModelError


def test_an_unknown_model_names_the_known_ones() -> None:
    """404 is ModelNotFound with what /models offers; without such a list it doubts the URL."""
    for models, hint in ((["llama", "qwen"], "offers llama, qwen"), (None, "does the URL end where")):
        with FaultyServer(lambda asked, _: refusal(404, "model `m` does not exist"), models=models) as server:
            _, failure = attempt(quick(server))
        assert isinstance(failure, ModelNotFound)
        assert hint in str(failure)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
        "Input length (5000) exceeds model's maximum context length (4096).",
        "request (9031 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "context_length_exceeded",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_context_overflow_is_recognised(message: str) -> None:
    """The words of OpenAI, vLLM, llama.cpp and others for a prompt too long are one error, not retried."""
    with FaultyServer(lambda asked, _: refusal(400, message)) as server:
        _, failure = attempt(quick(server), range(8))

    assert isinstance(failure, ContextOverflow)
    assert len(server.asked) == 1


def test_no_choice_is_an_empty_answer() -> None:
    """A list of choices that stays empty is EmptyAnswer."""
    with FaultyServer(lambda asked, _: answer()) as server:
        _, failure = attempt(quick(server))

    assert isinstance(failure, EmptyAnswer)


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect could carry the key elsewhere: it is a ServerFault that names its target."""
    monkeypatch.setenv("ETHOSTAT_API_KEY", "sk-secret")

    with FaultyServer(well_behaved) as other:
        with FaultyServer(lambda asked, _: Reply(307, {"Location": other.url + "/chat/completions"})) as server:
            _, failure = attempt(quick(server))
        assert isinstance(failure, ServerFault)
        assert other.url in str(failure)
        assert other.asked == []


def test_a_body_without_end_is_refused() -> None:
    """More than 32 MiB in one answer is a ServerFault, and is not asked for again."""
    with FaultyServer(lambda asked, _: Reply(200, {}, b" " * (33 << 20))) as server:
        _, failure = attempt(quick(server, timeout=10))

    assert isinstance(failure, ServerFault)
    assert "32 MiB" in str(failure)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there() -> None:
    """A refused connection is a ServerFault within a second, and asks whether the server runs."""
    with FaultyServer(well_behaved) as server:
        model = quick(server)

    began = time.monotonic()
    _, failure = attempt(model)

    assert isinstance(failure, ServerFault)
    assert "is the server running" in str(failure)
    assert time.monotonic() - began < 1


def test_one_prompt_that_fails_does_not_stop_the_others() -> None:
    """A prompt that the server refuses raises in its own call only."""

    def script(asked: Asked, number: int) -> Reply:
        is_bad = asked.body["messages"][0]["content"] == "bad"
        return refusal(400, "no") if is_bad else well_behaved(asked, number)

    async def run(model: HTTPModel) -> list[object]:
        async def one(text: str) -> int:
            return len([r async for r in model.sample(Prompt.from_text(text), SHORT, range(4))])

        results = await asyncio.gather(*map(one, ["good", "bad", "fine"]), return_exceptions=True)
        await model.aclose()
        return list(results)

    with FaultyServer(script) as server:
        good, bad, fine = asyncio.run(run(quick(server)))

    assert (good, fine) == (4, 4)
    assert isinstance(bad, ModelError)
