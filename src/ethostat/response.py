"""Prompt, Response, Failure, Verdict and Label: what travels through the house.

A Prompt is asked, a Response is what the model said, a Failure is why it said nothing, a Verdict is what a
classifier thinks of a response, a Label is what a person said of it. None of them is changed once made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ethostat.errors import InvalidInput
from ethostat.taxonomy import Taxonomy

TRANSCRIPTS = "transcripts:"
"""What stands before a file of recorded responses where a model could be named."""
ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is one of ROLES."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidInput(f"role {self.role!r} must be one of {', '.join(ROLES)}")


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: a list of messages, the last of which it answers.

    `id` names it within its set; `category` groups it in reports; `expected` says in a word how a careful
    operator wants it handled ("help", "refuse"), where that is known.
    """

    id: str
    messages: tuple[Message, ...]
    category: str | None = None
    expected: str | None = None

    def __post_init__(self) -> None:
        if not self.messages:
            raise InvalidInput(f"prompt {self.id!r} has no message; it needs at least one")

    @classmethod
    def from_text(cls, text: str, *, id: str | None = None, category: str | None = None) -> Prompt:
        """A single user message; without an id, the id is the content hash."""
        messages = (Message("user", text),)
        return cls(id or _hash_messages(messages), messages, category)

    @property
    def text(self) -> str:
        """The last message: what is to be answered."""
        return self.messages[-1].content

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the messages: equal texts have equal hashes, whatever their ids."""
        return _hash_messages(self.messages)


@dataclass(frozen=True)
class PromptSet:
    """Prompts under one name; ids are unique within the set."""

    name: str
    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        if not self.prompts:
            raise InvalidInput(f"prompt set {self.name!r} is empty; it needs at least one prompt")
        seen: set[str] = set()
        for prompt in self.prompts:
            if prompt.id in seen:
                raise InvalidInput(f"prompt id {prompt.id!r} occurs twice in {self.name!r}; ids must be unique")
            seen.add(prompt.id)

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 over ids, messages and categories, in order."""
        digest = hashlib.sha256()
        for prompt in self.prompts:
            row = json.dumps([prompt.id, prompt.hash, prompt.category, prompt.expected], ensure_ascii=True)
            digest.update(row.encode() + b"\n")
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Response:
    """What a model said to a prompt, once.

    `index` is its place among the k samples of the prompt (from 0); `seed` is what the model was given;
    tokens are as the server counted them, None where it did not; `seconds` is the time until it was whole;
    `finish_reason` is the server's word ("stop", "length", "content_filter").
    """

    prompt: Prompt
    text: str
    index: int = 0
    id: str = ""
    model: str = ""
    seed: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A response that did not come: `kind` is the name of the error's class, `message` its text."""

    prompt_id: str
    index: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a classifier thinks of a response: one probability a goal, in the taxonomy's order, summing to 1.

    `goal` is the key of the most probable goal. A verdict read from a row that carries only a goal has
    probability 1 there. `typicality` is a conformal p-value in (0, 1]: small where the response is unlike those that
    the classifier was calibrated on, so that perhaps no goal fits it; None where the classifier does not say.
    """

    prompt_id: str
    response_id: str
    goal: str
    probabilities: tuple[float, ...]
    typicality: float | None = None

    def __post_init__(self) -> None:
        if self.typicality is not None and not 0 < self.typicality <= 1:
            raise InvalidInput(f"typicality must be above 0 and at most 1, got {self.typicality}")

    @classmethod
    def from_goal(cls, taxonomy: Taxonomy, goal: str, *, prompt_id: str, response_id: str) -> Verdict:
        """All probability on one goal. Raises InvalidTaxonomy for an unknown goal."""
        at = taxonomy.index(goal)
        return cls(prompt_id, response_id, goal, tuple(float(i == at) for i in range(len(taxonomy.goals))))

    @classmethod
    def from_probabilities(
        cls, taxonomy: Taxonomy, probabilities: Sequence[float], *, prompt_id: str, response_id: str
    ) -> Verdict:
        """The most probable goal (the first of equals). Raises InvalidInput where they do not form a distribution."""
        values = tuple(float(p) for p in probabilities)
        if len(values) != len(taxonomy.goals):
            raise InvalidInput(f"probabilities must be {len(taxonomy.goals)} numbers, got {len(values)}")
        if not all(0 <= p <= 1 for p in values) or abs(sum(values) - 1) > 1e-3:
            raise InvalidInput(f"probabilities must lie in [0, 1] and sum to 1, got {list(values)}")
        return cls(prompt_id, response_id, taxonomy.keys[values.index(max(values))], values)


@dataclass(frozen=True, slots=True)
class Label:
    """What a person said of a response: the key of a goal, who said it, and when (ISO 8601).

    `settles` says that it decides between raters who differ. `chosen` is how the row was chosen for labelling
    ("all", "stratified", "informative") and `predicted` the goal that a classifier gave it then; only rows chosen at
    random, all or stratified, say how often a classifier errs. `prompt_id` and `index` are the response's place in its
    run.
    """

    response_id: str
    goal: str
    rater: str
    time: str | None = None
    note: str | None = None
    settles: bool = False
    chosen: str | None = None
    predicted: str | None = None
    prompt_id: str = ""
    index: int = 0


def _hash_messages(messages: Sequence[Message]) -> str:
    rows = [[message.role, message.content] for message in messages]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=True).encode()).hexdigest()[:16]
