"""What looks like a secret or an address is taken out before anything keeps it, whichever way it came."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from ethostat.errors import InvalidInput
from ethostat.ledger import NewEvent
from ethostat.response import Message, Prompt
from ethostat.server.redaction import kept, read_redaction
from servers import FaultyServer, answer
from serving import FLAGS, serving

TAKEN = {
    "email": ["ann@example.org", "a.b+c@mail.example.co.uk"],
    "phone": ["+49 30 1234567", "(555) 123-4567", "0301234567"],
    "key": [
        "sk-abcdefghijklmnop1234",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijklmnopqrst",
        "Bearer abcdefghijklmnop.xyz",
    ],
    "card": ["4111 1111 1111 1111", "5500005555555559"],
    "ip": ["192.0.2.17", "2001:db8::1"],
}
LEFT = [
    "2026-01-01 10:30",
    "version 3.11.4",
    "add",
    "4111 1111 1111 1112 apples",
    "call 911",
    "a@b",
    "10:30:59",
    "sk-1",
]
HOOK = '''
from dataclasses import replace

def seen(event):
    """Nothing of the stream `secret`; no names."""
    return None if event.stream == "secret" else replace(event, response=event.response.replace("Smith", "[name]"))

def broken(event):
    raise RuntimeError(event.response)
'''


@pytest.mark.parametrize("kind", TAKEN)
def test_each_kind_is_found(kind):
    """What is of a kind gives place to its name in brackets, in prompt, response and labels; the rest stays."""
    redact = read_redaction([kind])
    for secret in TAKEN[kind]:
        text = f"before {secret}, after"
        seen = redact(NewEvent("s", "1", Prompt("1", (Message("user", text),)), text, labels={"a": secret}))

        assert [seen.response, seen.prompt.text] == [f"before [{kind}], after"] * 2
        assert seen.labels == {"a": f"[{kind}]"}


@pytest.mark.parametrize("text", LEFT)
def test_what_is_no_secret_stays(text):
    """Dates, times, versions and words are left as they are by all kinds together."""
    assert read_redaction(["all"])(NewEvent("s", "1", response=text)).response == text


def test_no_text_takes_long():
    """A hundred thousand characters that nearly match take a fraction of a second for every kind."""
    redact, began = read_redaction(["all"]), time.process_time()
    for part in ("a", "1", "1 ", "1.", "a@", "a.", "sk-", "-----BEGIN PRIVATE KEY-----", "::", "eyJ", "+1("):
        redact(NewEvent("s", "1", response=part * (100_000 // len(part))))

    assert time.process_time() - began < 5


def test_what_a_hook_refuses_is_not_kept(tmp_path):
    """A hook may leave an event out; one that fails leaves it out too, without a word of what was said."""
    Path("hooks.py").write_text(HOOK)
    event = NewEvent("secret", "1", response="what was said")

    with pytest.raises(InvalidInput, match="leaves it out"):
        kept(event, read_redaction(["hooks:seen"]))
    with pytest.raises(InvalidInput, match=r"failed \(RuntimeError\)") as failed:
        kept(event, read_redaction(["hooks:broken"]))
    assert "what was said" not in repr(failed.value.__context__.__cause__) + str(failed.value)


@pytest.mark.parametrize("word", ["mail", "re:(", "nowhere:f", "os.path:sep", "json:nothing"])
def test_what_is_no_redaction_is_refused(word):
    """Words that name nothing are refused with what may be named."""
    with pytest.raises(InvalidInput):
        read_redaction([word])


def test_nothing_reaches_the_disk(tmp_path):
    """Events, spans and observed answers alike: their secrets are nowhere in the database or the log."""
    Path("hooks.py").write_text(HOOK)
    flags = [*FLAGS, "--store-text", "all", "--redact", "email", "--redact", r"re:case \d+", "--redact", "hooks:seen"]
    text = "g1 said Smith (ann@example.org) about case 4711"
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": [_pair("gen_ai.request.model", "chat")]}
    span["attributes"] += [_pair("gen_ai.operation.name", "chat"), _pair("gen_ai.completion", text)]
    with (
        FaultyServer(lambda *_: answer(text)) as server,
        serving(
            tmp_path / "serve.db", *flags, "--proxy", server.url, "--stream-attribute", "gen_ai.request.model"
        ) as one,
    ):
        told = [{"id": "1", "stream": "chat", "response": text}, {"id": "2", "stream": "secret", "response": text}]
        said = one.tell(told).json()
        one.client.post("/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
        asked = {"model": "chat", "messages": [{"role": "user", "content": "Who is ann@example.org?"}]}
        through = httpx.post(f"{one.url}/v1/chat/completions", json=asked).json()
        one.wait_for(3)
        events = one.get("/v1/streams/chat/events")["events"]

    assert through["choices"][0]["message"]["content"] == text
    assert said["rejected"] == [{"index": 1, "error": "redaction leaves it out"}]
    assert {event["response"] for event in events} == {"g1 said [name] ([email]) about [redacted]"}
    files = b"".join(path.read_bytes() for path in tmp_path.glob("serve.*"))
    assert not [secret for secret in (b"Smith", b"ann@example", b"4711") if secret in files]


def _pair(name, value):
    return {"key": name, "value": {"stringValue": value}}
