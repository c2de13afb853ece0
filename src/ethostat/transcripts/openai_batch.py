"""The output file of an OpenAI batch: a line a request, with one answer or more, but without the prompt.

The prompts stand in the file of requests that was uploaded. Without it the `custom_id` names the prompt.
Source: https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ethostat import fields
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.response import Message, Prompt, Response
from ethostat.rows import Row, read_rows
from ethostat.transcripts.transcript import Places, TranscriptRow

Requests = Mapping[str, Prompt]


def is_batch(row: Row) -> bool:
    """Whether this is a line of a batch output."""
    return "custom_id" in row.fields and (isinstance(row.fields.get("response"), Mapping) or "error" in row.fields)


def read_requests(path: Path) -> Requests:
    """The prompt of each request by its `custom_id`. Raises InvalidInput, naming the line, for any bad request."""
    prompts: dict[str, Prompt] = {}
    for row in read_rows(path):
        if isinstance(row, InvalidRow):
            raise row
        try:
            id, prompt = _request(row)
        except InvalidInput as error:
            raise InvalidRow(str(path), row.line, str(error)) from error
        if prompts.setdefault(id, prompt).messages != prompt.messages:
            raise InvalidRow(str(path), row.line, f"custom_id {fields.short(id)} asks something else further up")
    return prompts


def read_row(row: Row, places: Places, requests: Requests | None) -> Iterator[TranscriptRow]:
    """The answers of one line. Raises InvalidInput where the request failed or the line is not as documented."""
    id = _custom_id(row)
    prompt = _prompt(id, requests)
    body = _body(row)
    model, answer_id = body.get("model"), body.get("id")
    for place, text in enumerate(_answers(body)):
        response = Response(
            prompt=prompt,
            text=text,
            id=f"{answer_id}-{place}" if isinstance(answer_id, str) and answer_id else "",
            model=model if isinstance(model, str) else "",
        )
        yield places.put(row, response)


def _request(row: Row) -> tuple[str, Prompt]:
    body = row.fields.get("body")
    if not isinstance(body, Mapping):
        raise InvalidInput(f"a request needs `body` as an object, got {fields.kind(body)}")
    asked = body.get("messages", body.get("input", body.get("prompt")))
    turns = (Message("user", asked),) if isinstance(asked, str) else fields.messages(asked)
    if turns is None:
        raise InvalidInput("the body of a request needs `messages`, `input` or `prompt`")
    return _custom_id(row), fields.named(turns, id=None)


def _custom_id(row: Row) -> str:
    id = fields.word(row, "custom_id")
    if id is None:
        raise InvalidInput("`custom_id` must be text that is not empty")
    return id


def _prompt(id: str, requests: Requests | None) -> Prompt:
    if requests is None:
        return Prompt(id, (Message("user", ""),))
    if id not in requests:
        raise InvalidInput(f"custom_id {fields.short(id)} is not in the file of requests; is it of this batch?")
    return requests[id]


def _body(row: Row) -> Mapping[str, Any]:
    response, error = row.fields.get("response"), row.fields.get("error")
    if not isinstance(response, Mapping):
        raise InvalidInput(f"the request failed and has no response: {fields.short(error)}")
    body, status = response.get("body"), response.get("status_code", 200)
    if status != 200 or not isinstance(body, Mapping):
        said = body.get("error", body) if isinstance(body, Mapping) else body
        raise InvalidInput(f"the request failed with status {fields.short(status)}: {fields.short(said)}")
    return body


def _answers(body: Mapping[str, Any]) -> list[str]:
    if "choices" not in body:
        return [_output(body.get("output"))]
    choices = body["choices"]
    if not isinstance(choices, list) or not choices:
        raise InvalidInput(f"`choices` must be a list of at least one, got {fields.short(choices)}")
    return [_choice(choice) for choice in choices]


def _choice(choice: object) -> str:
    """The text of a chat choice (its refusal, where the server puts it apart) or of a completion."""
    message = choice.get("message", choice) if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        raise InvalidInput("a choice must be an object with a message or a text")
    for name in ("content", "text", "refusal"):
        if isinstance(said := message.get(name), str):
            return said
    raise InvalidInput("a choice needs its answer as text; one that only calls a tool has none")


def _output(output: object) -> str:
    """The text of the messages of /v1/responses."""
    items = [item for item in output if isinstance(item, Mapping)] if isinstance(output, list) else []
    contents = [content for item in items if isinstance(content := item.get("content"), list)]
    parts = [part for content in contents for part in content if isinstance(part, Mapping)]
    texts = [text for part in parts if isinstance(text := part.get("text", part.get("refusal")), str)]
    if not texts:
        raise InvalidInput("the response needs `choices`, or `output` with a text in it")
    return "".join(texts)
