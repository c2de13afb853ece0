"""Bodies as events: what is read, and what is said of what cannot be."""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ethostat as es
from ethostat.errors import InvalidInput
from ethostat.server.ingest import MOST_EVENTS, Reader, TooLarge, unpacked

READER = Reader(es.FIVE_GOALS, tenant="t")


def read(*events, reader: Reader = READER):
    """The batch of a body of these events."""
    return reader.json(json.dumps({"events": events}).encode())


def test_an_event_is_read_whole():
    """Every field arrives; whole numbers name things as they are written; labels are text."""
    batch = read(
        {
            "id": 7,
            "stream": "chat",
            "time": "2026-01-01T00:00:00Z",
            "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": [{"text": "hi"}]}],
            "response": "hello",
            "session": 9,
            "model": "m",
            "labels": {"lang": "en", "turn": 2, "live": True},
            "unknown": {"is": "left"},
        }
    )

    (event,) = batch.events
    assert (event.id, event.stream, event.tenant, event.session, event.model) == ("7", "chat", "t", "9", "m")
    assert [turn.content for turn in event.prompt.messages] == ["be kind", "hi"]
    assert event.labels == {"lang": "en", "turn": "2", "live": "true"}
    assert (event.response, event.goal, event.time) == ("hello", None, "2026-01-01T00:00:00Z")


def test_verdicts_are_read_by_key_name_or_probabilities():
    """A goal may be named; probabilities say the goal; the two must agree."""
    batch = read(
        {"id": "a", "stream": "s", "goal": "g4"},
        {"id": "b", "stream": "s", "goal": "Off-Topic"},
        {"id": "c", "stream": "s", "probabilities": [0.1, 0.6, 0.1, 0.1, 0.1]},
        {"id": "d", "stream": "s", "probabilities": {"g3": 1.0}, "goal": "g3"},
        {"id": "e", "stream": "s", "probabilities": [0.1, 0.6, 0.1, 0.1, 0.1], "goal": "g1"},
        {"id": "f", "stream": "s", "probabilities": [0.1, 0.6]},
    )

    assert [event.goal for event in batch.events] == ["g4", "g5", "g2", "g3"]
    assert [place for place, _ in batch.rejected] == [4, 5]
    assert "not the most probable" in batch.rejected[0][1]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"stream": "s", "goal": "g1"}, "missing required field `id`"),
        ({"id": "a", "stream": "s", "goal": "g9"}, "not one of taxonomy"),
        ({"id": "a", "stream": "", "goal": "g1"}, "needs a stream"),
        ({"id": "a" * 201, "stream": "s", "goal": "g1"}, "at most 200 characters"),
        ({"id": "a", "stream": "s"}, "a `response` to classify"),
        ({"id": "a", "stream": "s", "goal": "g1", "time": "soon"}, "ISO 8601"),
        ({"id": "a", "stream": "s", "response": 3}, "Expected `str | null`, got `int`"),
        (
            {"id": "a", "stream": "s", "response": "x", "messages": [{"role": "ghost", "content": ""}]},
            "role of message 1",
        ),
        ({"id": "a", "stream": "s", "goal": "g1", "labels": {"a": {}}}, "labels"),
        ("text", "Expected `object`"),
        (None, "Expected `object`"),
    ],
)
def test_what_is_wrong_is_said_of_it_alone(event, why):
    """The others of the body are taken; the wrong one is named by its place."""
    batch = read({"id": "0", "stream": "s", "goal": "g1"}, event, {"id": "2", "stream": "s", "goal": "g2"})

    ((place, said),) = batch.rejected
    assert (place, [one.id for one in batch.events], batch.places) == (1, ["0", "2"], [0, 2])
    assert why in said


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"events": 3}', b'{"events": [', b"\xff\xfe", b"[" * 100_000, b'{"events": [NaN]}']
)
def test_a_body_that_is_none_is_refused(body):
    """A body as a whole is JSON with a list of events, or nothing of it is taken."""
    with pytest.raises(InvalidInput):
        READER.json(body)


def test_lines_are_read_one_by_one():
    """NDJSON: a bad line is named by its place, empty lines do not count."""
    good = json.dumps({"id": "a", "stream": "s", "goal": "g1"})
    batch = READER.lines(f"{good}\r\n\n{{broken\n{good[:-1]}\n[1]\n{good.replace('a', 'b', 1)}".encode())

    assert len(batch.events) == 2
    assert [place for place, _ in batch.rejected] == [1, 2, 3]


def test_a_body_has_so_many_events():
    """More than ten thousand are for several requests."""
    line = b'{"id": "a", "stream": "s", "goal": "g1"}\n'

    with pytest.raises(TooLarge, match="10,001; send several"):
        READER.lines(line * (MOST_EVENTS + 1))


@given(st.binary(max_size=200))
def test_no_body_is_worse_than_refused(body):
    """Whatever comes is read or refused with a sentence; nothing else happens."""
    with suppress(InvalidInput):
        assert READER.json(body).events == []
    READER.lines(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_event_is_worse_than_rejected(value):
    """An event of any JSON value is taken or rejected."""
    batch = (
        READER.json(json.dumps({"events": [value]}, allow_nan=False, default=str).encode()) if _is_json(value) else None
    )

    assert batch is None or len(batch.events) + len(batch.rejected) == 1


def _is_json(value) -> bool:
    try:
        json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def test_compression_is_undone_up_to_a_bound():
    """gzip and deflate are unpacked; a bomb is refused before it is large; what breaks off is named."""
    text = b"x" * 100_000
    bomb = gzip.compress(b"\0" * 50_000_000)

    assert unpacked(gzip.compress(text), "gzip", most=10**6) == text
    assert unpacked(zlib.compress(text), "deflate", most=10**6) == text
    assert unpacked(text, "", most=10) == text
    with pytest.raises(TooLarge, match="at most 1,000,000 bytes"):
        unpacked(bomb, "gzip", most=10**6)
    with pytest.raises(InvalidInput, match="breaks off"):
        unpacked(gzip.compress(text)[:50], "gzip", most=10**6)
    with pytest.raises(InvalidInput, match="not gzip"):
        unpacked(b"plain text", "gzip", most=10**6)
