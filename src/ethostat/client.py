"""Client: an `ethostat serve` from Python, waiting or awaited.

A call says what it asks of the service (`_calls`); `Client` and `AsyncClient` send it, and send it again where that is
safe. The two have the same methods.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from ethostat.errors import InvalidInput, ServiceError
from ethostat.models.keys import find_key, is_loopback

DEFAULT_URL = "http://127.0.0.1:8750"
URL_VARIABLE, KEY_VARIABLE = "ETHOSTAT_URL", "ETHOSTAT_SERVICE_KEY"
AT_ONCE = 500
"""Events that go into one request."""
_BUSY = frozenset((429, 503))
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 30.0
Fields = Mapping[str, Any]
Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of events: how many are on disk now, how many were before, and the others with why.

    `rejected` has the place of an event among those that were told, and the reason.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Call:
    """One request. `is_repeatable` says that to ask twice is to ask once, so that a broken connection is no matter."""

    method: str
    path: str
    body: Any = None
    query: Fields = field(default_factory=dict)
    is_repeatable: bool = True
    accepts: frozenset[int] = frozenset((200, 201, 204))


@dataclass(slots=True)
class _Trying:
    """How long a call is tried for, and how long to wait before the next time."""

    until: float
    wait: float = _FIRST_WAIT

    def rest(self, retry_after: str | None = None) -> float | None:
        """Seconds until the next try, None where there is to be none."""
        text = retry_after or ""
        asked = float(text) if text.isascii() and text.isdigit() else self.wait
        rest = min(asked, _LONGEST_WAIT) * random.uniform(1.0, 1.25)  # noqa: S311 - so that clients do not come together
        self.wait = min(2 * self.wait, _LONGEST_WAIT)
        return rest if time.monotonic() + rest <= self.until else None


class _Asking:
    """What both clients know: where the service is, with which key, and for how many seconds a call is tried."""

    def __init__(self, url: str | None = None, *, patience: float = 60.0, timeout: float = 30.0) -> None:
        self.url = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
        parsed = _parsed(self.url)
        key = find_key(KEY_VARIABLE)
        if key is not None and parsed.scheme != "https" and not is_loopback(parsed.host):
            raise InvalidInput(f"{KEY_VARIABLE} would be sent unencrypted to {parsed.host}; use https")
        if not (patience >= 0 and timeout > 0):
            raise InvalidInput(f"patience must be at least 0 s and a timeout above 0 s, got {patience} and {timeout}")
        self._patience = patience
        self._settings: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout,
            "headers": {} if key is None else {"authorization": f"Bearer {key}"},
        }

    def _trying(self) -> _Trying:
        return _Trying(time.monotonic() + self._patience)


class Client(_Asking):
    """A service at `url` (else that of ETHOSTAT_URL, else on this machine), with the key of ETHOSTAT_SERVICE_KEY.

    Where the service has no room (429) or no database (503) a call waits as long as it is asked to and comes again, for
    `patience` seconds in all; where a connection breaks it comes again if to ask twice is to ask once, as it is for
    events. `timeout` is that of one request, in seconds. Answers are the JSON of the service, described by its
    `/openapi.json`. Raises ServiceError, with the `status`, where it refuses or cannot be reached; InvalidInput for a
    key that would travel unencrypted.
    """

    def __init__(self, url: str | None = None, *, patience: float = 60.0, timeout: float = 30.0) -> None:
        super().__init__(url, patience=patience, timeout=timeout)
        self._http = httpx.Client(**self._settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def tell(self, events: Sequence[Fields]) -> Told:
        """Tell events, in requests of 500; what is acknowledged is on disk, each once.

        An event is a dict as `POST /v1/events` takes it; one without an `id` is given one, so that it counts once
        however often it has to be sent.
        """
        told = [self._ask(call) for call in _telling(events)]
        return _told(told)

    def streams(self, *, after: str = "", limit: int = 100) -> list[Found]:
        """Streams by name, those after one."""
        return list(self._ask(_streams(after, limit))["streams"])

    def stream(self, name: str) -> Found:
        """One stream: state, profile, entropy, evidence, lag."""
        return self._ask(_stream(name))

    def monitor(self, stream: str) -> Found:
        """What watches a stream: promise, detector, goals, baseline."""
        return self._ask(_stream(stream, "/monitor"))

    def events(self, stream: str, *, after: int = 0, limit: int = 100) -> list[Found]:
        """Events of a stream's log, by number."""
        return list(self._ask(_stream(stream, "/events", after=after, limit=limit))["events"])

    def alerts(self, *, stream: str | None = None, before: int | None = None, limit: int = 100) -> list[Found]:
        """Alerts, the latest first; `before` gives those with a smaller `number`."""
        return list(self._ask(_alerts(stream, before, limit))["alerts"])

    def acknowledge(self, alert: str, *, by: str | None = None) -> Found:
        """Somebody looks at an alert, by its `id`: it is not told again."""
        return self._ask(_on_alert(alert, "acknowledge", {"by": by}))

    def snooze(self, alert: str, *, responses: int = 1_000, by: str | None = None) -> Found:
        """Say nothing about changes of its stream for so many responses."""
        return self._ask(_on_alert(alert, "snooze", {"responses": responses, "by": by}))

    def expect(self, alert: str, *, by: str | None = None) -> Found:
        """The change was meant: what came since is normal from now on."""
        return self._ask(_on_alert(alert, "expected", {"by": by}))

    def baseline(self, stream: str) -> Found | None:
        """What is normal for a stream by now, None while it is learned."""
        found: Found | None = self._ask(_stream(stream, "/baseline"))["baseline"]
        return found

    def set_baseline(
        self,
        stream: str,
        *,
        first: int | None = None,
        window: int | None = None,
        responses: tuple[int, int] | None = None,
        profile: Mapping[str, float] | None = None,
    ) -> Found:
        """Hold a stream against its next `first` responses, its last `window`, `responses` by number, or a `profile`.

        One of them is given; a profile is counts by goal.
        """
        asked = {"first": first, "window": window, "responses": responses, "profile": profile}
        return self._ask(_set_baseline(stream, asked))

    def deploy(self, version: str, *, streams: Sequence[str] | None = None, note: str | None = None) -> Found:
        """A version of the model was deployed: these streams, or all, begin an epoch."""
        return self._ask(_deploy(version, streams, note))

    def deployments(self, *, limit: int = 100) -> list[Found]:
        """Declared versions, the latest first."""
        return list(self._ask(_Call("GET", "/v1/deployments", query={"limit": limit}))["deployments"])

    def runs(self) -> list[Found]:
        """Runs of the store, the latest first."""
        return list(self._ask(_Call("GET", "/v1/runs"))["runs"])

    def measurement(self, run: str) -> Found:
        """The Measurement of a run, with what labels correct."""
        return self._ask(_of_run(run))

    def review(self, stream: str, *, rater: str) -> str:
        """Make what is kept of a stream a run to label; gives its id."""
        return str(self._ask(_review(stream, rater))["run"])

    def responses(self, run: str, *, offset: int = 0, limit: int = 100) -> list[Found]:
        """Responses of a run, to be labelled by `prompt_id` and `index`."""
        return list(self._ask(_of_run(run, "/responses", offset=offset, limit=limit))["responses"])

    def label(self, run: str, labels: Sequence[Fields], *, rater: str = "") -> int:
        """Label responses: each a dict of `prompt_id`, `index`, `goal` and perhaps `note`. Gives how many."""
        return int(self._ask(_label(run, labels, rater))["labelled"])

    def labels(self, run: str) -> list[Found]:
        """People's labels of a run, as they stand."""
        return list(self._ask(_Call("GET", f"/v1/labels/{_in_path(run)}"))["labels"])

    def _ask(self, call: _Call) -> Found:
        trying = self._trying()
        while True:
            try:
                answer = self._http.request(call.method, call.path, json=call.body, params=dict(call.query))
            except httpx.TransportError as error:
                wait, failure = _broken(call, error, trying, self.url)
            else:
                if (found := _read(call, answer)) is not None:
                    return found
                wait, failure = _refused(answer, trying)
            if wait is None:
                raise failure
            time.sleep(wait)


class AsyncClient(_Asking):
    """`Client`, awaited: the same methods, in an event loop."""

    def __init__(self, url: str | None = None, *, patience: float = 60.0, timeout: float = 30.0) -> None:
        super().__init__(url, patience=patience, timeout=timeout)
        self._http = httpx.AsyncClient(**self._settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Release the connections."""
        await self._http.aclose()

    async def tell(self, events: Sequence[Fields]) -> Told:
        """As `Client.tell`."""
        return _told([await self._ask(call) for call in _telling(events)])

    async def streams(self, *, after: str = "", limit: int = 100) -> list[Found]:
        """As `Client.streams`."""
        return list((await self._ask(_streams(after, limit)))["streams"])

    async def stream(self, name: str) -> Found:
        """As `Client.stream`."""
        return await self._ask(_stream(name))

    async def monitor(self, stream: str) -> Found:
        """As `Client.monitor`."""
        return await self._ask(_stream(stream, "/monitor"))

    async def events(self, stream: str, *, after: int = 0, limit: int = 100) -> list[Found]:
        """As `Client.events`."""
        return list((await self._ask(_stream(stream, "/events", after=after, limit=limit)))["events"])

    async def alerts(self, *, stream: str | None = None, before: int | None = None, limit: int = 100) -> list[Found]:
        """As `Client.alerts`."""
        return list((await self._ask(_alerts(stream, before, limit)))["alerts"])

    async def acknowledge(self, alert: str, *, by: str | None = None) -> Found:
        """As `Client.acknowledge`."""
        return await self._ask(_on_alert(alert, "acknowledge", {"by": by}))

    async def snooze(self, alert: str, *, responses: int = 1_000, by: str | None = None) -> Found:
        """As `Client.snooze`."""
        return await self._ask(_on_alert(alert, "snooze", {"responses": responses, "by": by}))

    async def expect(self, alert: str, *, by: str | None = None) -> Found:
        """As `Client.expect`."""
        return await self._ask(_on_alert(alert, "expected", {"by": by}))

    async def baseline(self, stream: str) -> Found | None:
        """As `Client.baseline`."""
        found: Found | None = (await self._ask(_stream(stream, "/baseline")))["baseline"]
        return found

    async def set_baseline(
        self,
        stream: str,
        *,
        first: int | None = None,
        window: int | None = None,
        responses: tuple[int, int] | None = None,
        profile: Mapping[str, float] | None = None,
    ) -> Found:
        """As `Client.set_baseline`."""
        asked = {"first": first, "window": window, "responses": responses, "profile": profile}
        return await self._ask(_set_baseline(stream, asked))

    async def deploy(self, version: str, *, streams: Sequence[str] | None = None, note: str | None = None) -> Found:
        """As `Client.deploy`."""
        return await self._ask(_deploy(version, streams, note))

    async def deployments(self, *, limit: int = 100) -> list[Found]:
        """As `Client.deployments`."""
        return list((await self._ask(_Call("GET", "/v1/deployments", query={"limit": limit})))["deployments"])

    async def runs(self) -> list[Found]:
        """As `Client.runs`."""
        return list((await self._ask(_Call("GET", "/v1/runs")))["runs"])

    async def measurement(self, run: str) -> Found:
        """As `Client.measurement`."""
        return await self._ask(_of_run(run))

    async def review(self, stream: str, *, rater: str) -> str:
        """As `Client.review`."""
        return str((await self._ask(_review(stream, rater)))["run"])

    async def responses(self, run: str, *, offset: int = 0, limit: int = 100) -> list[Found]:
        """As `Client.responses`."""
        return list((await self._ask(_of_run(run, "/responses", offset=offset, limit=limit)))["responses"])

    async def label(self, run: str, labels: Sequence[Fields], *, rater: str = "") -> int:
        """As `Client.label`."""
        return int((await self._ask(_label(run, labels, rater)))["labelled"])

    async def labels(self, run: str) -> list[Found]:
        """As `Client.labels`."""
        return list((await self._ask(_Call("GET", f"/v1/labels/{_in_path(run)}")))["labels"])

    async def _ask(self, call: _Call) -> Found:
        trying = self._trying()
        while True:
            try:
                answer = await self._http.request(call.method, call.path, json=call.body, params=dict(call.query))
            except httpx.TransportError as error:
                wait, failure = _broken(call, error, trying, self.url)
            else:
                if (found := _read(call, answer)) is not None:
                    return found
                wait, failure = _refused(answer, trying)
            if wait is None:
                raise failure
            await asyncio.sleep(wait)


# What is asked


def _telling(events: Sequence[Fields]) -> Iterator[_Call]:
    known = [event if event.get("id") is not None else {**event, "id": uuid.uuid4().hex} for event in events]
    for start in range(0, len(known), AT_ONCE):
        body = {"events": [dict(event) for event in known[start : start + AT_ONCE]]}
        yield _Call("POST", "/v1/events", body, accepts=frozenset((200, 422)))


def _told(answers: Sequence[Found]) -> Told:
    rejected = [
        (turn * AT_ONCE + one["index"], one["error"])
        for turn, answer in enumerate(answers)
        for one in answer["rejected"]
    ]
    accepted, duplicates = (sum(answer[name] for answer in answers) for name in ("accepted", "duplicates"))
    return Told(accepted, duplicates, tuple(rejected))


def _streams(after: str, limit: int) -> _Call:
    return _Call("GET", "/v1/streams", query={"after": after, "limit": limit})


def _stream(name: str, part: str = "", **query: Any) -> _Call:
    return _Call("GET", f"/v1/streams/{_in_path(name)}{part}", query=query)


def _alerts(stream: str | None, before: int | None, limit: int) -> _Call:
    query = {"stream": stream, "before": before, "limit": limit}
    return _Call("GET", "/v1/alerts", query={name: value for name, value in query.items() if value is not None})


def _on_alert(alert: str, act: str, body: Fields) -> _Call:
    return _Call("POST", f"/v1/alerts/{_in_path(alert)}/{act}", dict(body), is_repeatable=act == "acknowledge")


def _set_baseline(stream: str, body: Fields) -> _Call:
    given = {name: value for name, value in body.items() if value is not None}
    return _Call("PUT", f"/v1/streams/{_in_path(stream)}/baseline", given, is_repeatable=False)  # each begins an epoch


def _deploy(version: str, streams: Sequence[str] | None, note: str | None) -> _Call:
    body = {"version": version, "streams": None if streams is None else list(streams), "note": note}
    return _Call("POST", "/v1/deployments", body, is_repeatable=False)


def _of_run(run: str, part: str = "", **query: Any) -> _Call:
    return _Call("GET", f"/v1/runs/{_in_path(run)}{part}", query=query)


def _review(stream: str, rater: str) -> _Call:
    return _Call("POST", "/v1/reviews", {"of": f"stream:{stream}", "rater": rater})


def _label(run: str, labels: Sequence[Fields], rater: str) -> _Call:
    return _Call("POST", f"/v1/labels/{_in_path(run)}", {"rater": rater, "labels": [dict(one) for one in labels]})


def _in_path(name: str) -> str:
    if not name:
        raise InvalidInput("a name must not be empty")
    return quote(name, safe="")


# What is answered


def _read(call: _Call, answer: httpx.Response) -> Found | None:
    """The answer where it is one, None where it is a refusal."""
    if answer.status_code not in call.accepts:
        return None
    try:
        found: Found = answer.json() if answer.content else {}
    except ValueError:
        raise ServiceError("the service answered something that is not JSON", status=answer.status_code) from None
    return found


def _refused(answer: httpx.Response, trying: _Trying) -> tuple[float | None, ServiceError]:
    """How long to wait before this is asked again, None for no more; and what to say then."""
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"no reason is given ({answer.headers.get('content-type', 'no content')})"
    failure = ServiceError(f"the service answered {answer.status_code}: {message}", status=answer.status_code)
    return (trying.rest(answer.headers.get("retry-after")) if answer.status_code in _BUSY else None), failure


def _broken(call: _Call, error: httpx.TransportError, trying: _Trying, url: str) -> tuple[float | None, ServiceError]:
    """As `_refused`, for a connection that broke: before it was made nothing can have happened yet."""
    failure = ServiceError(f"{url} cannot be reached: {type(error).__name__}; is `ethostat serve` running there?")
    is_safe = call.is_repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return (trying.rest() if is_safe else None), failure


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"the service's URL cannot be read: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise InvalidInput(f"the service's URL should look like {DEFAULT_URL}; its key comes from {KEY_VARIABLE}")
    return parsed
