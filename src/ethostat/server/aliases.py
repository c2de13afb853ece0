"""The one table of names under which instrumentations write the same thing.

OpenTelemetry's GenAI conventions, now and before 1.37, OpenInference (Phoenix), OpenLLMetry (Traceloop), Langfuse and
the Vercel AI SDK. The first name that a span has is taken. Sources: opentelemetry.io/docs/specs/semconv/gen-ai,
github.com/Arize-ai/openinference/tree/main/spec, github.com/traceloop/openllmetry, langfuse.com/docs/opentelemetry,
ai-sdk.dev/docs/ai-sdk-core/telemetry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ethostat.response import Message
from ethostat.server.turns import Said, name_of, read_answers, read_turns

SERVICE = ("service.name",)
REQUEST_MODEL = ("gen_ai.request.model", "llm.model_name", "langfuse.observation.model.name", "ai.model.id")
RESPONSE_MODEL = ("gen_ai.response.model", "ai.response.model", *REQUEST_MODEL)
RESPONSE_ID = ("gen_ai.response.id", "ai.response.id", "llm.response.id")
SESSION = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
    "ai.telemetry.metadata.sessionId",
)
LABELS: Mapping[str, tuple[str, ...]] = {
    "service": SERVICE,
    "version": ("service.version", "langfuse.release"),
    "environment": ("deployment.environment.name", "deployment.environment", "langfuse.environment"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    "user": ("user.id", "enduser.id", "langfuse.user.id", "traceloop.association.properties.user_id"),
    "agent": ("gen_ai.agent.name",),
}

_OPERATIONS = ("chat", "text_completion", "generate_content", "completion", "message")
_ANSWERS_BY: Mapping[str, Callable[[str], bool]] = {
    "gen_ai.operation.name": lambda said: said in _OPERATIONS,
    "openinference.span.kind": lambda said: said.upper() == "LLM",
    "langfuse.observation.type": lambda said: said == "generation",
    "llm.request.type": lambda said: said in ("chat", "completion"),
    "ai.operationId": lambda said: said.endswith((".doGenerate", ".doStream")),
}
_SIGNS = ("gen_ai.output.messages", "gen_ai.completion", "llm.output_messages")

# Where a conversation stands: as one value (JSON or a structure), or spread over names with numbers in them.
_ASKED = ("gen_ai.input.messages", "gen_ai.prompt", "langfuse.observation.input", "ai.prompt.messages", "ai.prompt")
_ASKED_SPREAD = ("gen_ai.prompt", "llm.input_messages", "llm.prompts")
_ASKED_WHOLE = ("input.value",)
_SYSTEM = ("gen_ai.system_instructions",)
_SAID = ("gen_ai.output.messages", "gen_ai.completion", "langfuse.observation.output")
_SAID_SPREAD = ("gen_ai.completion", "llm.output_messages", "llm.choices")
_SAID_WHOLE = ("ai.response.text", "output.value")
_REASONS = ("gen_ai.response.finish_reasons", "ai.response.finishReason", "llm.response.finish_reason")

_DEEPEST = 10
_WRAPS = ("message", "message_content", "tool_call", "prompt", "completion")

Attributes = Mapping[str, Any]


def first(attributes: Attributes, names: tuple[str, ...]) -> str | None:
    """The first of these names that the attributes hold as a name that says something."""
    for name in names:
        found = name_of(attributes.get(name))
        if found is not None:
            return found
    return None


def is_answer(attributes: Attributes) -> bool:
    """Whether a span is one call of a model; calls of tools, agents and chains around it are not."""
    votes = [says(str(attributes[name])) for name, says in _ANSWERS_BY.items() if name in attributes]
    if votes:
        return all(votes)
    return any(name.startswith(_SIGNS) for name in attributes)


def asked(attributes: Attributes) -> tuple[Message, ...]:
    """The conversation that the model was shown, the system's instructions first."""
    system = tuple(Message("system", turn.content) for name in _SYSTEM for turn in read_turns(attributes.get(name)))
    return system + _asked(attributes)


def _asked(attributes: Attributes) -> tuple[Message, ...]:
    for name in _ASKED:
        if turns := read_turns(attributes.get(name)):
            return turns
    for prefix in _ASKED_SPREAD:
        if turns := read_turns(gathered(attributes, prefix)):
            return turns
    for name in _ASKED_WHOLE:
        if turns := read_turns(attributes.get(name)):
            return turns
    return ()


def said(attributes: Attributes) -> tuple[Said, ...]:
    """The answers, one for each choice; none where the span carries no text."""
    answers = _said(attributes)
    reasons = attributes.get(_REASONS[0])
    reasons = reasons if isinstance(reasons, list) else [first(attributes, _REASONS[1:])] * len(answers)
    known = [name_of(reason) for reason in reasons[: len(answers)]]
    known += [None] * (len(answers) - len(known))
    pairs = zip(answers, known, strict=True)
    return tuple(Said(answer.text, answer.calls, answer.finish_reason or reason) for answer, reason in pairs)


def _said(attributes: Attributes) -> tuple[Said, ...]:
    for name in _SAID:
        if answers := read_answers(attributes.get(name)):
            return answers
    for prefix in _SAID_SPREAD:
        if answers := read_answers(gathered(attributes, prefix)):
            return answers
    for name in _SAID_WHOLE:
        if answers := read_answers(attributes.get(name)):
            return answers
    return ()


def gathered(attributes: Attributes, prefix: str) -> list[Any] | None:
    """What is spread over `prefix.0.role`, `prefix.0.content`, ... as the list that it was; None where nothing is.

    >>> gathered({"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi"},
    ...          "llm.input_messages")
    [{'role': 'user', 'content': 'Hi'}]
    """
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix + "."):
            _plant(tree, name[len(prefix) + 1 :].split(".", _DEEPEST), value)
    whole = _grown(tree) if tree else None
    return whole if isinstance(whole, list) else None


def _plant(tree: dict[str, Any], path: list[str], value: object) -> None:
    for step in path[:-1]:
        branch = tree.setdefault(step, {})
        if not isinstance(branch, dict):
            return
        tree = branch
    tree.setdefault(path[-1], value)


def _grown(tree: object) -> object:
    """Numbered branches as lists in the order of their numbers, wrappers taken off."""
    if not isinstance(tree, dict):
        return tree
    if all(step.isdecimal() and step.isascii() and len(step) < 10 for step in tree):
        return [_grown(tree[step]) for step in sorted(tree, key=int)]
    if len(tree) == 1 and (only := next(iter(tree))) in _WRAPS and isinstance(tree[only], dict):
        return _grown(tree[only])
    return {step: _grown(branch) for step, branch in tree.items()}
