"""AskingClassifier: asks a model about responses, many at once, and makes verdicts of its answers.

classify -> _verdict (each response) -> _distribution -> _by_logprobs | _by_repeats -> Reading
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, Protocol

from ethostat.errors import ClassifierError, ContextOverflow, InvalidInput, ModelError, UnreadableAnswer
from ethostat.judges.background import Background
from ethostat.judges.cut import Cut
from ethostat.models.base import Decoding, Model, Weighed, WeighingModel
from ethostat.response import Prompt, Response, Verdict
from ethostat.taxonomy import Taxonomy
from ethostat.visible import stripped

Evidence = Literal["logprobs", "repeats"]
Distribution = tuple[float, ...]

_TEMPERATURE = {"logprobs": 0.0, "repeats": 1.0}
_AT_ONCE = 128
_MOST_HALVINGS = 6
# Goes up when the code changes how answers become probabilities, so that the hash changes with it.
_VERSION = 1


class Reading(Protocol):
    """How a model is asked about a response, and what its answers mean.

    `read` and `weigh` give one probability a goal, or None where an answer is not one that was asked for.
    """

    @property
    def name(self) -> str: ...

    @property
    def taxonomy(self) -> Taxonomy: ...

    @property
    def expected(self) -> str:
        """What an answer should look like, in words."""
        ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that decides what is asked and how it is read."""
        ...

    def known(self, response: Response) -> Distribution | None:
        """What is certain without asking; None for most."""
        ...

    def ask(self, response: Response, cut: Cut) -> tuple[Prompt, ...]:
        """The questions; each is answered on its own."""
        ...

    def read(self, response: Response, answers: Sequence[str]) -> Distribution | None: ...

    def weigh(self, response: Response, answers: Sequence[Weighed]) -> Distribution | None: ...


class AskingClassifier:
    """Sorts responses by asking a model about each.

    `evidence` says where probabilities come from. "logprobs": one answer at temperature 0 and the log
    probabilities of its tokens (the default where the model can give them). "repeats": `repeats` answers at
    temperature 1 and their frequencies f, smoothed as if one answer more had been spread evenly over the K goals:
    (f + 1/K) / (repeats + 1). Name and hash tell which.

    A malformed answer is asked for again, `retries` times; a prompt that the model's context does not hold is cut
    to half, at most six times. The seeds come from the texts, so equal pairs are asked equally, whatever stands
    beside them. `max_tokens` is the room for an answer, a few by default; a model that thinks before it answers needs
    hundreds, and "repeats". Safe to share between threads. Give it a model of its own: it closes it. Raises
    UnreadableAnswer where no readable answer comes, ModelError where the model fails.
    """

    def __init__(
        self,
        model: Model,
        reading: Reading,
        *,
        evidence: Evidence | None = None,
        repeats: int = 5,
        retries: int = 3,
        cut: Cut | None = None,
        max_tokens: int | None = None,
    ) -> None:
        if repeats < 1:
            raise InvalidInput(f"repeats must be at least 1, got {repeats}")
        if retries < 0:
            raise InvalidInput(f"retries must be at least 0, got {retries}")
        self._weighing = model if isinstance(model, WeighingModel) and evidence != "repeats" else None
        if evidence == "logprobs" and self._weighing is None:
            raise InvalidInput(f"{model.name} cannot give log probabilities; use evidence='repeats'")
        self._model, self._reading = model, reading
        self._repeats, self._retries = repeats, retries
        self._cut = cut or Cut()
        self._max_tokens = reading.max_tokens if max_tokens is None else max_tokens
        self._background: Background | None = None
        self._starting = threading.Lock()

    @property
    def evidence(self) -> Evidence:
        """Where probabilities come from."""
        return "logprobs" if self._weighing else "repeats"

    @property
    def name(self) -> str:
        """What was asked, how, and of which model; `open_classifier` takes it."""
        return f"{self._reading.name}:{self.evidence}:{self._model.name}"

    @property
    def taxonomy(self) -> Taxonomy:
        """The goals it sorts into."""
        return self._reading.taxonomy

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of model, questions, reading, evidence and cut."""
        decisive = {
            "version": _VERSION,
            "reading": dict(self._reading.identity),
            "model": self._model.identity,
            "evidence": self.evidence,
            "repeats": None if self._weighing else self._repeats,
            "retries": self._retries,
            "cut": asdict(self._cut),
            "max_tokens": self._max_tokens,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """One verdict a response, in order; works inside a running event loop too, which it blocks.

        Ends at the first response without a readable answer; `attempt` goes on.
        """
        found = self._started().run(self._all(responses, strict=True)) if responses else []
        return [verdict for verdict in found if isinstance(verdict, Verdict)]

    def attempt(self, responses: Sequence[Response]) -> list[Verdict | UnreadableAnswer]:
        """As `classify`, with the error in the place of a verdict where no readable answer comes."""
        return self._started().run(self._all(responses, strict=False)) if responses else []

    def close(self) -> None:
        """Close the model and end the thread; both start anew if it is used again."""
        background, self._background = self._background, None
        if background is not None:
            background.end(self._model.aclose)
            background.join()

    def _started(self) -> Background:
        with self._starting:
            if self._background is None:
                self._background = Background()
                weakref.finalize(self, self._background.end, self._model.aclose).atexit = False
            return self._background

    async def _all(self, responses: Sequence[Response], *, strict: bool) -> list[Verdict | UnreadableAnswer]:
        todo = iter(enumerate(responses))
        verdicts: dict[int, Verdict | UnreadableAnswer] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(responses))):
                    group.create_task(self._work(todo, verdicts, strict=strict))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [verdicts[at] for at in range(len(responses))]

    async def _work(
        self,
        todo: Iterator[tuple[int, Response]],
        verdicts: dict[int, Verdict | UnreadableAnswer],
        *,
        strict: bool,
    ) -> None:
        for at, response in todo:
            try:
                verdicts[at] = await self._verdict(response)
            except UnreadableAnswer as error:
                if strict:
                    raise
                verdicts[at] = error

    async def _verdict(self, response: Response) -> Verdict:
        found = await self._distribution(response)
        return Verdict.from_probabilities(self.taxonomy, found, prompt_id=response.prompt.id, response_id=response.id)

    async def _distribution(self, response: Response) -> Distribution:
        cut = self._cut
        for _ in range(_MOST_HALVINGS):
            try:
                return await self._asked(response, cut)
            except ContextOverflow:
                cut = cut.halved()
        return await self._asked(response, cut)

    async def _asked(self, response: Response, cut: Cut) -> Distribution:
        if (known := self._reading.known(response)) is not None:
            return known
        questions = self._reading.ask(response, cut)
        if self._weighing is not None:
            return await self._by_logprobs(self._weighing, response, questions)
        return await self._by_repeats(response, questions)

    async def _by_logprobs(self, model: WeighingModel, response: Response, questions: Sequence[Prompt]) -> Distribution:
        seed = _seed_of(response)
        answers: list[Weighed] = []
        for attempt in range(self._retries + 1):
            decoding = self._decoding(_TEMPERATURE["logprobs" if attempt == 0 else "repeats"])
            answers = [await self._weigh(model, question, decoding, seed + attempt) for question in questions]
            if (found := self._reading.weigh(response, answers)) is not None:
                return found
        raise self._unreadable([answer.response.text for answer in answers])

    async def _weigh(self, model: WeighingModel, question: Prompt, decoding: Decoding, seed: int) -> Weighed:
        try:
            weighed = await model.weigh(question, decoding, seed)
        except ModelError as refusal:
            if type(refusal) is ModelError and "logprob" in str(refusal):
                raise ClassifierError(f"{refusal}; {self._instead()}") from refusal
            raise
        if weighed.response.text and not any(weighed.tokens):
            raise ClassifierError(f"{self._model.name} gives no log probabilities; {self._instead()}")
        return weighed

    async def _by_repeats(self, response: Response, questions: Sequence[Prompt]) -> Distribution:
        seed, found = _seed_of(response), list[Distribution]()
        answers: list[tuple[str, ...]] = []
        for _ in range(self._retries + 1):
            seeds = range(seed, seed + self._repeats - len(found))
            seed = seeds.stop
            answers = list(zip(*[await self._texts(question, seeds) for question in questions], strict=True))
            found += [one for texts in answers if (one := self._reading.read(response, texts)) is not None]
            if len(found) == self._repeats:
                return _smoothed(found)
        raise self._unreadable(next(texts for texts in answers if self._reading.read(response, texts) is None))

    async def _texts(self, question: Prompt, seeds: Sequence[int]) -> list[str]:
        decoding = self._decoding(_TEMPERATURE["repeats"])
        came = {one.index: one.text async for one in self._model.sample(question, decoding, seeds)}
        return [came[at] for at in range(len(seeds))]

    def _decoding(self, temperature: float) -> Decoding:
        return Decoding(temperature=temperature, max_tokens=self._max_tokens)

    def _unreadable(self, answers: Sequence[str]) -> UnreadableAnswer:
        said = " / ".join(repr(stripped(text[:400], most=80)) for text in answers)
        return UnreadableAnswer(
            f"{self.name} gave no readable answer in {self._retries + 1} attempts: expected {self._reading.expected}, "
            f"got {said}; use a model that follows instructions"
        )

    def _instead(self) -> str:
        return f"ask it several times instead: {self._reading.name}:repeats:{self._model.name}"


def _smoothed(found: Sequence[Distribution]) -> Distribution:
    """Mean of the distributions and of one that is even over the goals."""
    goals, n = len(found[0]), len(found)
    return tuple((sum(one[goal] for one in found) + 1 / goals) / (n + 1) for goal in range(goals))


def _seed_of(response: Response) -> int:
    """A seed below 2**30 that the texts decide, with room above for the repeats."""
    return int(content_hash(response), 16) % 2**30


def content_hash(response: Response) -> str:
    """SHA-256 in hex of what was asked and said."""
    return hashlib.sha256(json.dumps([response.prompt.hash, response.text]).encode()).hexdigest()
