"""Classifying: what waits in the log goes to worker processes, and their verdicts into the log.

A worker may die of what it is given. Whatever it was working at is then tried again, one event at a time, and after
three deaths an event is a failure: it holds up nobody and is counted as what it is.
"""

from __future__ import annotations

import json
import logging
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

import msgspec

from ethostat.judges.wire import Reply, question
from ethostat.ledger import Event, Judgement, Ledger
from ethostat.response import Verdict
from ethostat.server.following import Following
from ethostat.server.worker import Hello, read_frame, write_frame
from ethostat.taxonomy import Taxonomy

_log = logging.getLogger("ethostat.server.classifying")
PROGRAM = (sys.executable, "-m", "ethostat.server.worker")
"""What is run with the classifier and the taxonomy as arguments; `worker` says what it reads and writes."""
MOST_TRIES = 3
_BATCH = 16
_AHEAD = 2
_PIPE = 30_000
_IDLE = 0.5
_REST = 2.0
_PATIENCE = 120.0
"""Seconds without an answer after which a worker is taken to hang."""
_RESTS = (0.0, 0.5, 2.0, 10.0, 30.0)
"""Seconds before a worker is started again after so many deaths on end."""


Judged = tuple[Event, Judgement]


@dataclass(slots=True, eq=False)
class _Waiting:
    event: Event
    tries: int = 0

    @property
    def weight(self) -> int:
        """At most so many bytes on the way to a worker."""
        turns = () if self.event.prompt is None else self.event.prompt.messages
        return 4 * (len(self.event.response or "") + sum(len(turn.content) for turn in turns)) + 100


@dataclass(slots=True)
class Tally:
    """What came of classification since the process began."""

    verdicts: int = 0
    failures: int = 0
    deaths: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, and the batches that it has, the one it works at first."""

    process: subprocess.Popen[bytes]
    hello: Hello | None = None
    batches: deque[list[_Waiting]] = field(default_factory=deque)
    heard: float = field(default_factory=time.monotonic)

    @property
    def has_room(self) -> bool:
        return self.hello is not None and len(self.batches) < _AHEAD


class Classifying:
    """A thread that keeps worker processes busy with the events of this process's streams that have no verdict.

    Workers are started when there is something to classify. `keeps_text` says of an event whether its text stays once
    it has its verdict. `on_judged` is called when verdicts are on disk, with the events and what was judged of them.
    """

    def __init__(
        self,
        ledger: Ledger,
        following: Following,
        *,
        classifier: str,
        taxonomy: Taxonomy,
        workers: int,
        keeps_text: Callable[[str], bool],
        on_judged: Callable[[Sequence[Judged]], None] = lambda _: None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._ledger, self._following = ledger, following
        self._command = [*program, classifier, json.dumps(taxonomy.to_dict())]
        self._taxonomy, self._most = taxonomy, workers
        self._keeps_text, self._on_judged = keeps_text, on_judged
        self._waiting: deque[_Waiting] = deque()
        self._taken: dict[int, int] = {}
        self._workers: list[_Worker] = []
        self._done: list[Judged] = []
        self._deaths_on_end, self._start_at, self._ask_at = 0, 0.0, 0.0
        self._awake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="classifying", daemon=True)
        self._selector = selectors.DefaultSelector()
        self.tally = Tally()
        self.edition: int | None = None
        """Which edition of the goals verdicts are of."""
        self._trouble: str | None = None
        self._database: str | None = None

    @property
    def error(self) -> str | None:
        """Why nothing is classified now; None where it is."""
        return self._database or self._trouble

    @property
    def workers(self) -> int:
        """Processes that are ready."""
        return sum(worker.hello is not None for worker in self._workers)

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to look for what waits."""
        self._thread.start()

    def stop(self) -> None:
        """End the workers; what they had is classified the next time."""
        self._stopping.set()
        self._awake.set()
        self._thread.join()
        for worker in self._workers:
            _end(worker.process)
        self._selector.close()

    def wake(self) -> None:
        """Something may wait."""
        self._awake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - what is on disk waits; whatever it is, begin again from there
                if self._database is None:
                    fields = {"kind": type(error).__name__, "error": str(error)}
                    _log.error("nothing is classified", extra={"fields": fields})
                self._database = str(error)
                self._stopping.wait(_IDLE)
            else:
                self._database = None

    def _turn(self) -> None:
        self._fetch()
        if self._waiting:
            self._hire()
        self._dispatch()
        busy = any(worker.batches or worker.hello is None for worker in self._workers)
        if busy:
            self._listen()
        elif not self._done:
            self._awake.wait(_IDLE)
            self._awake.clear()
        self._write()

    def _fetch(self) -> None:
        """Take what waits into memory, from every stream alike, as much as keeps the workers busy."""
        room = self._most * _BATCH * _AHEAD * 2 - len(self._waiting)
        mine = self._following.streams
        for key in self._taken.keys() - mine:
            self._drop(key)
        if room < self._most * _BATCH:
            return
        keys = self._ledger.unjudged_streams(mine)
        for place, key in enumerate(keys):
            share = max(1, room // (len(keys) - place))
            for event in self._ledger.unjudged(key, after=self._taken.get(key, 0), most=share):
                self._waiting.append(_Waiting(event))
                self._taken[key] = event.seq
                room -= 1
            if room <= 0:
                return

    def _drop(self, key: int) -> None:
        """Another process has the stream: forget how far this one took it."""
        del self._taken[key]
        self._waiting = deque(one for one in self._waiting if one.event.stream_key != key)

    def _hire(self) -> None:
        if len(self._workers) >= self._most or time.monotonic() < self._start_at:
            return
        process = subprocess.Popen(  # noqa: S603 - this package's own module
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        worker = _Worker(process)
        self._workers.append(worker)
        self._selector.register(_out(worker), selectors.EVENT_READ, worker)

    def _dispatch(self) -> None:
        if time.monotonic() < self._ask_at:
            return
        for worker in sorted(self._workers, key=lambda one: len(one.batches)):
            while worker.has_room and self._waiting:
                batch = self._next_batch(is_busy=bool(worker.batches))
                if not batch:
                    break
                worker.batches.append(batch)
                if len(worker.batches) == 1:
                    worker.heard = time.monotonic()
                try:
                    asked = [question(one.event.prompt, one.event.response or "") for one in batch]
                    write_frame(_in(worker), asked)
                except (BrokenPipeError, OSError):
                    self._bury(worker)
                    break

    def _next_batch(self, *, is_busy: bool) -> list[_Waiting]:
        """An event that a worker died of goes alone; the others by shares, so that no worker has all of little.

        What is more than a pipe holds only goes to a worker that is waiting for it, so that writing never blocks.
        """
        batch: list[_Waiting] = []
        size = min(_BATCH, max(1, len(self._waiting) // max(len(self._workers), 1)))
        weight = 0
        while self._waiting and len(batch) < size:
            one = self._waiting[0]
            weight += one.weight
            if weight > _PIPE and (batch or is_busy):
                break
            if one.tries and batch:
                break
            batch.append(self._waiting.popleft())
            if one.tries:
                break
        return batch

    def _listen(self) -> None:
        for key, _ in self._selector.select(_IDLE):
            worker: _Worker = key.data
            frame = read_frame(_out(worker))
            if frame is None:
                self._bury(worker)
            elif worker.hello is None:
                self._greet(worker, msgspec.msgpack.decode(frame, type=Hello))
            else:
                self._take(worker, msgspec.msgpack.decode(frame, type=Reply))
        now = time.monotonic()
        for worker in list(self._workers):
            if now - worker.heard > _PATIENCE and (worker.batches or worker.hello is None):
                _log.error("a worker hangs")
                self._bury(worker)

    def _greet(self, worker: _Worker, hello: Hello) -> None:
        if hello.error is None and hello.taxonomy != self._taxonomy.hash:
            hello.error = f"classifier {hello.name} sorts into other goals than {self._taxonomy.name!r}"
        if hello.error is not None:
            self._trouble = hello.error
            self._bury(worker)
            return
        worker.hello, worker.heard = hello, time.monotonic()

    def _take(self, worker: _Worker, reply: Reply) -> None:
        assert worker.hello is not None  # noqa: S101 - it greets before it answers
        batch, by = worker.batches.popleft(), worker.hello.hash
        worker.heard = time.monotonic()
        if reply.trouble is not None:
            self._rest(reply.trouble, batch)
            return
        for one, answer in zip(batch, reply.answers, strict=True):
            if answer.goal is None or answer.probabilities is None:
                self._judged(one, None, by, "the classifier finds no verdict")
            else:
                verdict = Verdict("", "", answer.goal, tuple(answer.probabilities), answer.typicality)
                self._judged(one, verdict, by, None)
        self._deaths_on_end, self._trouble = 0, None

    def _rest(self, trouble: str, batch: Sequence[_Waiting]) -> None:
        """The classifier cannot work now, as a judge whose server is gone: the same is asked again, a little later."""
        if self._trouble is None:
            _log.error("the classifier cannot work", extra={"fields": {"error": trouble}})
        self._trouble = trouble
        self._waiting.extendleft(reversed(batch))
        self._ask_at = time.monotonic() + _REST

    def _judged(self, one: _Waiting, verdict: Verdict | None, by: str, failure: str | None) -> None:
        event = one.event
        erase = not self._keeps_text(event.id)
        self._done.append((event, Judgement(event.stream_key, event.seq, verdict, by, failure, erase)))

    def _bury(self, worker: _Worker) -> None:
        """A worker is gone: what it worked at is tried again alone, what it had not begun goes back unsuspected."""
        self._selector.unregister(_out(worker))
        self._workers.remove(worker)
        _end(worker.process)
        self.tally.deaths += 1
        self._deaths_on_end += 1
        rest = _RESTS[min(self._deaths_on_end, len(_RESTS)) - 1]
        self._start_at = time.monotonic() + rest
        suspects, others = (worker.batches[0], list(worker.batches)[1:]) if worker.batches else ([], [])
        fields = {"exit_code": worker.process.returncode, "had": len(suspects), "again_in_seconds": rest}
        _log.error("a worker died", extra={"fields": fields})
        if worker.hello is None:
            self._trouble = self._trouble or f"no worker can be started (exit code {worker.process.returncode})"
        self._waiting.extendleft(one for batch in reversed(others) for one in reversed(batch))
        for one in reversed(suspects):
            one.tries += 1
            if one.tries >= MOST_TRIES:
                self._judged(one, None, "", f"the classifier died {MOST_TRIES} times of it")
            else:
                self._waiting.appendleft(one)

    def _write(self) -> None:
        if not self._done:
            return
        done = self._done
        self._ledger.judge([judgement for _, judgement in done], edition=self.edition)
        failures = sum(judgement.verdict is None for _, judgement in done)
        self.tally.failures += failures
        self.tally.verdicts += len(done) - failures
        self._done = []
        self._on_judged(done)


def _in(worker: _Worker) -> IO[bytes]:
    assert worker.process.stdin is not None  # noqa: S101 - it was opened with pipes
    return worker.process.stdin


def _out(worker: _Worker) -> IO[bytes]:
    assert worker.process.stdout is not None  # noqa: S101 - it was opened with pipes
    return worker.process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with process:
        pass
