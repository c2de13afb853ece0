"""A process that classifies: batches in on standard input, verdicts out on standard output, until the input ends.

    python -m ethostat.server.worker CLASSIFIER TAXONOMY

Its parent may die in any way: the input ends, and so does this. A frame is four bytes of length, most significant
first, and MessagePack. The first frame out says who classifies, or why nobody can. Texts travel as bytes, since a lone
surrogate has no UTF-8 form.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from ethostat.classifiers import Classifier, attempt
from ethostat.errors import EthostatError
from ethostat.judges import open_classifier
from ethostat.judges.wire import Question, Reply, answer_of, response_from
from ethostat.response import Response
from ethostat.taxonomy import Taxonomy

_LENGTH = struct.Struct(">I")
_NICER = 5
_FAULT = 70


class Hello(msgspec.Struct):
    """Who classifies: the classifier's name and hash, and its taxonomy's hash; or why nobody can."""

    name: str = ""
    hash: str = ""
    taxonomy: str = ""
    error: str | None = None


def write_frame(stream: IO[bytes], value: Any) -> None:
    """Send a value."""
    content = msgspec.msgpack.encode(value)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next value as it was sent; None where the other side is gone."""
    head = _exactly(stream, _LENGTH.size)
    return None if head is None else _exactly(stream, _LENGTH.unpack(head)[0])


def main(spec: str, taxonomy: str) -> None:
    """Classify until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not be taken for a verdict
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    os.nice(_NICER)  # acknowledging what comes in goes before classifying it
    goals = Taxonomy.from_dict(json.loads(taxonomy))
    try:
        classifier = _opened(spec, goals)
        hello = Hello(classifier.name, classifier.hash, classifier.taxonomy.hash)
    except EthostatError as error:
        write_frame(answers, Hello(error=str(error)))
        return
    write_frame(answers, hello)
    decoder = msgspec.msgpack.Decoder(list[Question])
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        write_frame(answers, _reply(classifier, [response_from(one) for one in decoder.decode(frame)]))


def _reply(classifier: Classifier, responses: Sequence[Response]) -> Reply:
    """A fault of the code ends the process, without a word: its message may hold what was said."""
    try:
        return Reply([answer_of(one) for one in attempt(classifier, responses)])
    except EthostatError as error:
        return Reply([], f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(
            json.dumps({"level": "error", "message": "classifying failed", "kind": type(error).__name__}) + "\n"
        )
        sys.stderr.flush()
        os._exit(_FAULT)


def _exactly(stream: IO[bytes], size: int) -> bytes | None:
    parts: list[bytes] = []
    while size > 0:
        part = stream.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _opened(spec: str, taxonomy: Taxonomy) -> Classifier:
    """An encoder runs on one thread: there are as many processes as there is room for."""
    return open_classifier(spec, taxonomy=taxonomy, threads=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
