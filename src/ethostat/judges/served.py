"""ServedClassifier: a classifier that runs elsewhere, behind Ray Serve, in as many replicas as the work needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from ethostat.classifiers import all_verdicts
from ethostat.errors import ClassifierError, InvalidInput, UnreadableAnswer
from ethostat.judges.wire import Question, Reply, question
from ethostat.response import Response, Verdict
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

SCHEME = "ray://"
_AT_ONCE = 64
_SECONDS, _TO_CONNECT = 120.0, 5.0


class Served(msgspec.Struct):
    """Who classifies there: name, hash, and the taxonomy's hash."""

    name: str
    hash: str
    taxonomy: str


class ServedClassifier:
    """The classifier of the deployment `ethostat.scaling.deployment` at `ray://HOST:PORT/NAME`.

    Its name and hash are those of the classifier that runs there, so that verdicts are the same wherever they were
    made. It is asked over plain HTTP: keep it within a private network. Raises InvalidInput for what is no such
    address; nothing is asked before a verdict, the name or the hash is wanted. Where nobody answers, or another
    classifier than before does, that raises ClassifierError: what was asked can be asked again.
    """

    def __init__(self, spec: str, *, taxonomy: Taxonomy = FIVE_GOALS, timeout: float = _SECONDS) -> None:
        rest = spec.removeprefix(SCHEME)
        host, slash, name = rest.partition("/")
        if not spec.startswith(SCHEME) or not host or "@" in host or "?" in rest or "#" in rest:
            raise InvalidInput(f"a served classifier is ray://HOST:PORT/NAME, got {spec[:80]!r}")
        self._spec, self._url = spec, f"http://{host}{slash}{name}".rstrip("/") + "/"
        self._taxonomy = taxonomy
        self._timeout = timeout
        self._client = self._connected()
        self._served: Served | None = None

    @property
    def name(self) -> str:
        return self._known().name

    @property
    def hash(self) -> str:
        return self._known().hash

    @property
    def taxonomy(self) -> Taxonomy:
        return self._taxonomy

    def close(self) -> None:
        """Close the connections; it opens new ones if it is asked again."""
        self._client.close()
        self._client = self._connected()

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """One verdict a response, in order. Raises UnreadableAnswer for the first that has none."""
        return all_verdicts(self.attempt(responses))

    def attempt(self, responses: Sequence[Response]) -> list[Verdict | UnreadableAnswer]:
        """One verdict a response, or why there is none. Raises ClassifierError where nobody answers now."""
        found: list[Verdict | UnreadableAnswer] = []
        for start in range(0, len(responses), _AT_ONCE):
            found += self._ask(responses[start : start + _AT_ONCE])
        return found

    def _ask(self, responses: Sequence[Response]) -> list[Verdict | UnreadableAnswer]:
        known = self._known()
        asked: list[Question] = [question(one.prompt, one.text) for one in responses]
        body = msgspec.msgpack.encode({"classifier": known.hash, "questions": asked})
        reply = self._read(self._send("POST", content=body), Reply)
        if reply.trouble is not None or len(reply.answers) != len(responses):
            self._served = None  # another classifier may run there now
            raise ClassifierError(f"{self._spec}: {reply.trouble or 'it did not answer all'}; ask again later")
        return [self._verdict(one, answer) for one, answer in zip(responses, reply.answers, strict=True)]

    def _verdict(self, response: Response, answer: Any) -> Verdict | UnreadableAnswer:
        if answer.goal is None or answer.probabilities is None:
            return UnreadableAnswer(f"{self._spec} finds no verdict")
        return Verdict(response.prompt.id, response.id, answer.goal, tuple(answer.probabilities), answer.typicality)

    def _connected(self) -> httpx.Client:
        return httpx.Client(timeout=httpx.Timeout(self._timeout, connect=_TO_CONNECT), follow_redirects=False)

    def _known(self) -> Served:
        if self._served is None:
            found = self._read(self._send("GET"), Served)
            if found.taxonomy != self._taxonomy.hash:
                raise ClassifierError(
                    f"classifier {found.name} at {self._spec} sorts into other goals than {self._taxonomy.name!r}; "
                    "pass the taxonomy that it was deployed with"
                )
            self._served = found
        return self._served

    def _send(self, method: str, content: bytes | None = None) -> bytes:
        try:
            reply = self._client.request(method, self._url, content=content)
        except httpx.HTTPError as error:
            raise ClassifierError(f"{self._spec} does not answer ({type(error).__name__}); is it deployed?") from error
        if reply.status_code != 200:
            raise ClassifierError(f"{self._spec} answers {reply.status_code}; is the name behind the port right?")
        return reply.content

    def _read(self, content: bytes, kind: Any) -> Any:
        try:
            return msgspec.msgpack.decode(content, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ClassifierError(f"{self._spec} answers what a deployment of this version does not") from error
