"""How the tests of models ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ethostat.errors import ModelError
from ethostat.models.base import Decoding, Model
from ethostat.models.local import LocalModel
from ethostat.response import Prompt, Response

PROMPT = Prompt.from_text("Once upon a time there was a lighthouse, and in it lived")
SHORT = Decoding(temperature=1.0, max_tokens=8)


def ask(
    model: Model, seeds: Sequence[int] = (1,), *, prompt: Prompt = PROMPT, decoding: Decoding = SHORT
) -> list[Response]:
    """All responses, by index; the model is closed, except that a local one keeps its weights for the next test."""
    responses, failure = attempt(model, seeds, prompt=prompt, decoding=decoding)
    if failure:
        raise failure
    return responses


def attempt(
    model: Model, seeds: Sequence[int] = (1,), *, prompt: Prompt = PROMPT, decoding: Decoding = SHORT
) -> tuple[list[Response], ModelError | None]:
    """What arrived, by index, and the failure that ended it."""

    async def run() -> tuple[list[Response], ModelError | None]:
        responses: list[Response] = []
        failure = None
        try:
            async for response in model.sample(prompt, decoding, seeds):
                responses.append(response)  # noqa: PERF401 - what came before a failure is kept
        except ModelError as error:
            failure = error
        if not isinstance(model, LocalModel):
            await model.aclose()
        return sorted(responses, key=lambda response: response.index), failure

    return asyncio.run(run())
