"""The proxy: what goes through is what came, and no fault of ours reaches the caller."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
import socket
import socketserver
import threading
import time
from collections.abc import AsyncIterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from ethostat.errors import InvalidInput
from ethostat.server.answers import ENDPOINTS, read_exchange
from ethostat.server.proxy import Proxy, ProxySettings
from ethostat.server.watching import Sampling
from proxied import app_of, served, soon
from servers import FaultyServer, Reply, answer, as_json, llama_server, refusal, well_behaved

PATIENT = httpx.Timeout(60)
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "What is 7 times 8?"}]}


@pytest.fixture(scope="module")
def llama():
    """The base URL of llama.cpp's own server."""
    with llama_server(slots=4, context=256) as url:
        yield url


@pytest.fixture
def through(serve):
    """Puts a proxy before an upstream: its base URL, the events it observed (which grow), and itself."""

    def put(upstream, observe=None, **settings):
        events = []
        proxy = Proxy(ProxySettings(upstream, **settings), observe or events.append)
        return serve(app_of(proxy)) + "/v1", events, proxy

    return put


def sse(*chunks, end="data: [DONE]\n\n"):
    """A stream of server-sent events."""
    return ("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end).encode()


def streamed(content, **headers):
    """A reply that is a stream."""
    return Reply(200, {"Content-Type": "text/event-stream", **headers}, content)


def delta(index=0, reason=None, **delta):
    """A chunk of a chat stream."""
    return {"model": "m-1", "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


class _Relay(socketserver.BaseRequestHandler):
    """One connection: what the server sends is kept."""

    def handle(self):
        with socket.create_connection(self.server.above) as above:
            self.server.kept.append(kept := bytearray())
            down = threading.Thread(target=self.copy, args=(above, self.request, kept))
            down.start()
            self.copy(self.request, above, bytearray())
            down.join()

    def copy(self, source, target, kept):
        with suppress(OSError):
            while data := source.recv(65536):
                kept += data
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def tee(url):
    """A relay before a server: its own base URL, and what the server sent, a byte string a connection."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Relay) as relay:
        relay.above, relay.kept = (httpx.URL(url).host, httpx.URL(url).port), []
        threading.Thread(target=relay.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{relay.server_address[1]}/v1", relay.kept
        relay.shutdown()


def body_of(raw):
    """The body of an HTTP/1.1 answer with its chunks put together."""
    head, _, rest = bytes(raw).partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


def test_an_openai_client_is_served_and_its_answers_are_observed(through, llama):
    """The OpenAI client, whole and streamed, chat and completions, n of them: events hold what the client got."""
    url, events, _ = through(llama)
    with openai.OpenAI(base_url=url, api_key="sk-secret") as client:
        asked = {"model": "smollm2", "messages": QUESTION["messages"], "max_tokens": 8, "temperature": 1.0}
        whole = client.chat.completions.create(**asked)
        pair = client.chat.completions.create(**asked, n=2)
        chunks = list(client.chat.completions.create(**asked, stream=True))
        continued = client.completions.create(model="smollm2", prompt="Once upon", max_tokens=8)
        models = client.models.list()
    soon(lambda: len(events) == 5)

    got = [whole.choices[0].message.content]
    got += [choice.message.content for choice in pair.choices]
    got += ["".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)]
    got += [continued.choices[0].text]
    assert [event.response for event in events] == got
    assert [event.prompt.text for event in events] == ["What is 7 times 8?"] * 4 + ["Once upon"]
    assert {event.stream for event in events} == {"smollm2"}
    assert len({event.id for event in events}) == 5
    assert events[0].labels["output_tokens"] == str(whole.usage.completion_tokens)
    assert models.data
    assert "sk-secret" not in repr(events)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_bytes_of_a_real_server_are_identical(llama, is_streamed):
    """What the caller gets is, byte for byte, what llama.cpp sent."""
    with tee(llama) as (relay, kept), served(app_of(Proxy(ProxySettings(relay), [].append))) as base:
        url = f"{base}/v1"
        asked = {**QUESTION, "max_tokens": 12, "stream": is_streamed, "n": 2}
        with (
            httpx.Client(timeout=PATIENT) as client,
            client.stream("POST", f"{url}/chat/completions", json=asked) as response,
        ):
            raw = b"".join(response.iter_raw())

    assert raw == body_of(kept[0])
    assert len(raw) > 100


@pytest.mark.parametrize(
    "reply",
    [
        answer("56."),
        streamed(sse(delta(content="5"), delta(content="6"))),
        streamed(b"data: {not json\r\n\r\n: comment\n\n\xff\xfe\x00"),
        Reply(200, {"Content-Encoding": "gzip", "Content-Type": "application/json"}, gzip.compress(b'{"choices":[]}')),
        Reply(200, {"Content-Encoding": "br", "X-Odd": "a,b"}, b"not really"),
        refusal(429, "slow down", Retry_After="7"),
        refusal(401, "no key"),
        Reply(418, {"X-Teapot": "yes"}, b""),
        Reply(307, {"Location": "/elsewhere", "Set-Cookie": "a=1"}, b"moved"),
        Reply(500, {"Content-Type": "text/html"}, b"<h1>oh</h1>"),
    ],
)
def test_any_reply_goes_through_as_it_is(through, reply):
    """Status, headers and body are the same with and without the proxy, errors, redirects and packed bodies too."""
    with FaultyServer(lambda *_: reply) as server, httpx.Client(timeout=PATIENT) as client:
        url, _, _ = through(server.url)
        seen = []
        for base in (server.url, url):
            client.cookies.clear()
            with client.stream("POST", f"{base}/chat/completions", json=QUESTION) as response:
                raw = b"".join(response.iter_raw())
            headers = {name: value for name, value in response.headers.items() if name not in ("date", "connection")}
            seen.append((response.status_code, raw, headers))

    assert seen[0] == seen[1]


def test_a_caller_who_takes_brotli_is_observed(through):
    """An observed request asks for what can be unpacked here; others ask for what the caller said."""
    with FaultyServer(lambda *_: answer("56.")) as server, httpx.Client(timeout=PATIENT) as client:
        url, _, _ = through(server.url)
        for path in ("chat/completions", "moderations"):
            client.post(f"{url}/{path}", json=QUESTION, headers={"Accept-Encoding": "zstd, br;q=0.9, gzip;q=0.8"})
            client.post(f"{url}/{path}", json=QUESTION, headers={"Accept-Encoding": "br"})

    asked = [{name.lower(): value for name, value in one.headers.items()}["accept-encoding"] for one in server.asked]
    assert asked == ["gzip;q=0.8", "identity", "zstd, br;q=0.9, gzip;q=0.8", "br"]


def test_requests_arrive_as_they_were_sent(through):
    """Path, query, body and headers reach the server; those of the connection and those for us do not."""
    with FaultyServer(lambda *_: answer("56.")) as server:
        url, events, _ = through(server.url)
        headers = {
            "Authorization": "Bearer sk-secret",
            "X-Ethostat-Stream": "shop",
            "X-Ethostat-Session": "s1",
            "X-Ethostat-Labels": "team=red, tier=gold",
            "X-Custom": "yes",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
        }
        httpx.post(f"{url}/chat%2Fx/completions?a=%20b", json=QUESTION, headers=headers)
        httpx.post(f"{url}/chat/completions", json=QUESTION, headers=headers)
        soon(lambda: events)

    odd, asked = server.asked
    received = {name.lower(): value for name, value in asked.headers.items()}
    assert odd.path == "/v1/chat%2Fx/completions?a=%20b"
    assert asked.body == QUESTION
    assert (received["authorization"], received["x-custom"]) == ("Bearer sk-secret", "yes")
    assert not [name for name in received if name.startswith("x-ethostat") or name == "x-hop"]
    assert (events[0].stream, events[0].session) == ("shop", "s1")
    assert (events[0].labels["team"], events[0].labels["tier"]) == ("red", "gold")


async def _echo(request):
    """Says what it was sent, and how."""
    body = await request.body()
    return JSONResponse(
        {"choices": [{"message": {"content": body.decode()}}], "length": request.headers.get("content-length")}
    )


def test_bodies_in_parts_arrive_whole(through, serve):
    """A request that is sent in parts is forwarded as it comes, with its length where that was said."""
    url, events, _ = through(serve(Starlette(routes=[Route("/v1/chat/completions", _echo, methods=["POST"])])) + "/v1")
    text = json.dumps({"messages": [{"role": "user", "content": "x" * 500_000}]})
    parts = [text[at : at + 100_000].encode() for at in range(0, len(text), 100_000)]
    chunked = httpx.post(f"{url}/chat/completions", content=iter(parts), timeout=PATIENT).json()
    whole = httpx.post(f"{url}/chat/completions", content=text, timeout=PATIENT).json()
    soon(lambda: len(events) == 2)

    assert chunked["choices"][0]["message"]["content"] == whole["choices"][0]["message"]["content"] == text
    assert (chunked["length"], whole["length"]) == (None, str(len(text)))
    assert events[0].prompt == events[1].prompt


CALLING = [
    delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "add", "arguments": ""}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a":7}'}}]),
    delta(reason="tool_calls"),
]


GREETING = [{"type": "message", "content": [{"type": "output_text", "text": "ab"}]}]
FINISHED = {"model": "m-1", "status": "completed", "output": [{"type": "reasoning", "summary": []}, *GREETING]}
FOUR = {"choices": [{"index": place, "text": str(place)} for place in range(4)]}
FORMS = {
    "chat": ("chat/completions", answer("a", "b"), ["a", "b"]),
    "chat, empty": ("chat/completions", answer(""), [""]),
    "a stream": ("chat/completions", streamed(sse(delta(content="5"), delta(content="6"), delta(reason="stop"))), ["56"]),  # noqa: E501
    "two choices": ("chat/completions", streamed(sse(delta(1, content="b"), delta(content="a"), delta(1, content="c"))), ["a", "bc"]),  # noqa: E501
    "CR LF": ("chat/completions", streamed(sse(delta(content="é")).replace(b"\n", b"\r\n")), ["é"]),
    "no [DONE]": ("chat/completions", streamed(sse(delta(content="a"), end="")), ["a"]),
    "gzip": ("chat/completions", streamed(gzip.compress(sse(delta(content="a"))), **{"Content-Encoding": "gzip"}), ["a"]),  # noqa: E501
    "a refusal": ("chat/completions", streamed(sse(delta(refusal="I can"), delta(refusal="not."))), ["I cannot."]),
    "a call": ("chat/completions", streamed(sse(*CALLING)), []),
    "words and a call": ("chat/completions", streamed(sse(delta(content="Sure. "), *CALLING)), ["Sure. "]),
    "completions": ("completions", as_json(FOUR), ["0", "1", "2", "3"]),
    "completions, a stream": ("completions", streamed(sse({"choices": [{"text": "a"}]}, {"choices": [{"text": "b"}]})), ["ab"]),  # noqa: E501
    "responses": ("responses", as_json(FINISHED), ["ab"]),
    "responses, a stream": (
        "responses",
        streamed(sse({"type": "response.output_text.delta", "delta": "a"}, {"type": "response.completed", "response": FINISHED}, end="")),  # noqa: E501
        ["ab"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_put_together(through, form):
    """Every form of an answer gives its texts, a choice an event, in order; one that only calls tools gives none."""
    path, reply, said = FORMS[form]
    with FaultyServer(lambda _, number: answer("the end") if number else reply) as server:
        url, events, _ = through(server.url)
        httpx.post(f"{url}/{path}", json={**QUESTION, "prompt": ["p", "q"], "n": 2, "input": "p"}, timeout=PATIENT)
        httpx.post(f"{url}/chat/completions", json=QUESTION, timeout=PATIENT)
        soon(lambda: events and events[-1].response == "the end")

    assert [event.response for event in events[:-1]] == said
    if form == "completions":
        assert [event.prompt.text for event in events[:4]] == ["p", "p", "q", "q"]


@pytest.mark.parametrize(
    "reply",
    [
        refusal(500, "no"),
        as_json({"error": {"message": "no"}}),
        streamed(b"data: {not json\n\n"),
        streamed(sse(delta(content="a"), {"error": {"message": "no"}})),
        streamed(sse({"type": "response.output_text.delta", "delta": "a"}, {"type": "response.failed"})),
        Reply(200, {"Content-Type": "application/json"}, b"[" * 100_000),
        Reply(200, {"Content-Type": "application/json", "Content-Encoding": "br"}, b"x"),
        answer("x" * 3_000_000),
    ],
)
def test_what_cannot_be_read_is_counted(through, reply):
    """Errors, what is no JSON, unknown packing and what is too large are forwarded, not observed, and counted."""
    with FaultyServer(lambda *_: reply) as server:
        url, events, proxy = through(server.url)
        got = httpx.post(f"{url}/chat/completions", json=QUESTION, headers={"accept-encoding": ""}, timeout=PATIENT)
        soon(lambda: proxy.counts.unread == 1)

    assert (got.status_code, len(got.content)) == (reply.status, len(reply.content))
    assert events == []


def test_no_bytes_raise_anything_else():
    """Random damage to requests and answers gives what can be read, or InvalidInput."""
    rng = random.Random(0)  # noqa: S311
    request = json.dumps({**QUESTION, "prompt": ["p", "q"], "input": "p", "n": 2}).encode()

    for _ in range(1000):
        path, reply, _ = FORMS[rng.choice(list(FORMS))]
        bad = [bytearray(request), bytearray(reply.content)]
        for _ in range(rng.randrange(1, 5)):
            part = rng.choice(bad)
            part[rng.randrange(len(part))] = rng.choice(b'"{}[]:,0\\nu\xff\n ')
        try:
            answered = read_exchange(ENDPOINTS[path], *map(bytes, bad), reply.headers["Content-Type"])
        except InvalidInput:
            continue
        assert len(answered.turns) == len(answered.choices)


def test_other_paths_are_forwarded_and_not_observed(through):
    """Embeddings and models go through; what belongs to the service, and ways out of /v1, do not."""
    with FaultyServer(lambda *_: answer("56."), models=["m"]) as server, httpx.Client(timeout=PATIENT) as client:
        url, events, _ = through(server.url)
        assert client.get(f"{url}/models").json()["data"] == [{"id": "m"}]
        assert client.post(f"{url}/embeddings", json={"input": "x"}).status_code == 200
        for path in ("events", "streams/a", "traces", "%65vents", "/events", "..%2Fadmin", "a/%2e%2e/b"):
            assert client.post(f"{url}/{path}", json={}).status_code == 404

    assert [asked.path for asked in server.asked] == ["/v1/embeddings"]
    assert events == []


def test_a_stream_can_be_named_in_the_path(through):
    """A client that can only set its base URL names its stream there."""
    with FaultyServer(lambda *_: answer("56.")) as server:
        url, events, _ = through(server.url)
        base = url.removesuffix("/v1") + "/proxy/check%20out/v1"
        httpx.post(f"{base}/chat/completions?a=1", json=QUESTION, timeout=PATIENT)
        soon(lambda: events)

    assert (events[0].stream, server.asked[0].path) == ("check out", "/v1/chat/completions?a=1")


def test_each_stream_has_its_share(through):
    """A stream with share 0 is not observed, one with share 1 always is, whatever the others have."""
    with FaultyServer(lambda *_: answer("56.")) as server, httpx.Client(timeout=PATIENT) as client:
        url, events, _ = through(server.url, sampling=Sampling(0.0, {"all": 1.0}))
        for stream in ("none", "all", "none", "all"):
            client.post(f"{url}/chat/completions", json=QUESTION, headers={"X-Ethostat-Stream": stream})
        soon(lambda: len(events) == 2)

    assert {event.stream for event in events} == {"all"}
    with pytest.raises(InvalidInput, match=r"\[0, 1\], got 2"):
        Sampling(2)


def test_redaction_comes_before_everything(through):
    """What the hook gives back is what is observed; None is nothing."""

    def redact(event):
        return None if "drop" in event.response else replace(event, response="[redacted]")

    with FaultyServer(lambda *_: answer("secret", "drop me")) as server:
        url, events, _ = through(server.url, redact=redact)
        httpx.post(f"{url}/chat/completions", json=QUESTION, timeout=PATIENT)
        soon(lambda: events)

    assert [event.response for event in events] == ["[redacted]"]


def _raises(_):
    raise RuntimeError("the database is gone; prompt: what is 7 times 8")


@pytest.mark.parametrize("broken", ["observe", "redact"])
def test_a_fault_of_ours_does_not_reach_the_caller(through, broken, caplog):
    """Where the ledger or the hook raises, the caller gets its answer, the fault is counted, and no text is logged."""
    with FaultyServer(well_behaved) as server, httpx.Client(timeout=PATIENT) as client:
        url, _, proxy = through(server.url, **{broken: _raises})
        got = [client.post(f"{url}/chat/completions", json=QUESTION) for _ in range(3)]
        soon(lambda: proxy.counts.failed == 3)

    assert [one.status_code for one in got] == [200] * 3
    assert "RuntimeError" in caplog.text
    assert "7 times 8" not in caplog.text


def test_an_observer_that_hangs_delays_nobody(through):
    """Where the ledger blocks for good, answers go on and what there is no room for is dropped and counted."""
    blocked = threading.Event()
    with FaultyServer(lambda *_: answer("x" * 2000)) as server, httpx.Client(timeout=PATIENT) as client:
        url, _, proxy = through(server.url, observe=lambda _: blocked.wait(60), most_kept=20_000)
        got = [client.post(f"{url}/chat/completions", json=QUESTION) for _ in range(10)]
        dropped = proxy.counts.dropped
        blocked.set()

    assert [one.status_code for one in got] == [200] * 10
    assert dropped >= 5


def test_nothing_secret_is_logged(through, caplog):
    """At the most talkative level, neither keys nor texts are in the log."""
    caplog.set_level(logging.DEBUG)
    with FaultyServer(lambda *_: answer("56.")) as server:
        url, events, _ = through(server.url)
        httpx.post(
            f"{url}/chat/completions", json=QUESTION, headers={"Authorization": "Bearer sk-secret"}, timeout=PATIENT
        )
        soon(lambda: events)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("ethostat")]

    assert not [line for line in ours if "sk-secret" in line or "7 times" in line]


def test_a_server_that_dies_in_the_middle_is_seen_to_die(through):
    """The caller gets what came and a broken connection, not an answer that looks whole; nothing is observed."""
    with FaultyServer(lambda *_: replace(answer("x" * 100_000), sends=50_000)) as server:
        url, events, proxy = through(server.url)
        with (
            httpx.stream("POST", f"{url}/chat/completions", json=QUESTION, timeout=PATIENT) as response,
            pytest.raises(httpx.RemoteProtocolError, match="peer closed"),
        ):
            list(response.iter_raw())
        soon(lambda: proxy.counts.cut == 1)

    assert response.status_code == 200
    assert events == []


def test_a_server_that_is_not_there_is_a_502(through):
    """The caller gets an error in OpenAI's form."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url, _, _ = through(f"http://127.0.0.1:{port}/v1")
    got = httpx.post(f"{url}/chat/completions", json=QUESTION, timeout=PATIENT)

    assert got.status_code == 502
    assert got.json()["error"]["type"] == "proxy_error"


def test_a_kept_connection_that_was_closed_is_opened_anew(through):
    """A server that closes each connection after its answer, without saying so, costs the caller nothing."""

    def serve_once(listening):
        for _ in range(3):
            connection, _ = listening.accept()
            with connection:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening, httpx.Client(timeout=PATIENT) as client:
        thread = threading.Thread(target=serve_once, args=(listening,))
        thread.start()
        url, _, _ = through(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        got = [client.post(f"{url}/moderations").status_code for _ in range(3)]
        thread.join()

    assert got == [200] * 3


class Endless:
    """A server whose stream has no end; `sent` counts its parts, `is_left` says that its caller left."""

    def __init__(self, size: int) -> None:
        self.part = b"x" * size
        self.sent = 0
        self.is_left = False
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.stream, methods=["POST"])])

    async def stream(self, request):
        return StreamingResponse(self.parts(), media_type="text/event-stream")

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield self.part
                self.sent += 1
                await asyncio.sleep(0.001)
        finally:
            self.is_left = True


def test_a_caller_who_leaves_on_the_last_word_has_had_the_whole_answer(through, serve):
    """OpenAI's client leaves on [DONE], before the connection says that the answer is over: it is observed."""

    async def stream(request):
        async def parts():
            yield sse(delta(content="5"), delta(content="6"))
            await asyncio.Event().wait()

        return StreamingResponse(parts(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", stream, methods=["POST"])])
    url, events, proxy = through(serve(app) + "/v1")
    with openai.OpenAI(base_url=url, api_key="none") as client:
        chunks = list(client.chat.completions.create(**QUESTION, stream=True))
    soon(lambda: events)

    assert [event.response for event in events] == ["".join(chunk.choices[0].delta.content for chunk in chunks)]
    assert proxy.counts.cut == 0


def test_a_caller_who_leaves_ends_the_stream_above(through, serve):
    """The connection to the server is closed when the caller's is, so that it stops generating."""
    endless = Endless(100)
    url, events, proxy = through(serve(endless.app) + "/v1")
    with httpx.stream("POST", f"{url}/chat/completions", json=QUESTION, timeout=PATIENT) as response:
        next(response.iter_raw())
    soon(lambda: endless.is_left)
    soon(lambda: proxy.counts.cut == 1)

    assert events == []


def test_a_caller_who_leaves_before_the_answer_ends_the_request(through):
    """Also while the server has not begun to answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url, _, _ = through(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/chat/completions", json=QUESTION, timeout=httpx.Timeout(60, read=0.3))
        connection, _ = listening.accept()
        connection.settimeout(20)
        received = b""
        while part := connection.recv(65536):
            received += part
        connection.close()

    assert received.endswith(b'8?"}]}')


def test_a_slow_caller_slows_the_server_and_not_the_others(through, serve):
    """What a caller does not read is not piled up here: the server above has to wait, and others are served."""
    endless = Endless(100_000)
    url, _, _ = through(serve(endless.app) + "/v1")
    with httpx.stream("POST", f"{url}/chat/completions", json=QUESTION, timeout=PATIENT):
        soon(lambda: endless.sent > 10)
        last = -1
        while last != endless.sent:  # until it stands still
            last = endless.sent
            time.sleep(0.5)
        other = httpx.get(f"{url}/models", timeout=PATIENT).status_code

    assert other == 404
    assert endless.sent * 100_000 < 50_000_000
