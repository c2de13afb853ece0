"""A classifier that runs elsewhere, as a replica of a deployment answers: away, changed, or of other goals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

import ethostat as es
from ethostat.errors import ClassifierError, InvalidInput, UnreadableAnswer
from ethostat.judges.served import ServedClassifier
from ethostat.judges.wire import Reply, question
from ethostat.scaling.deployment import Replica
from ethostat.server import worker

PROMPT = es.Prompt.from_text("q")


@pytest.fixture
def asking() -> Iterator[Callable[[int], ServedClassifier]]:
    """What asks the replica at a port; its connections are closed in the end."""
    made: list[ServedClassifier] = []

    def at(port: int) -> ServedClassifier:
        found = es.open_classifier(f"ray://127.0.0.1:{port}/")
        assert isinstance(found, ServedClassifier)
        made.append(found)
        return found

    yield at
    for one in made:
        one.close()


@contextmanager
def replica(taxonomy: es.Taxonomy = es.FIVE_GOALS, *, port: int = 0) -> Iterator[int]:
    """One replica behind a server of its own, without Ray."""
    one = Replica("goals-in-text", taxonomy.to_dict())

    async def answer(request: Request):
        return await one(request)

    routes = [Route("/", answer, methods=["GET", "POST"])]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def test_verdicts_are_those_of_the_classifier_that_runs_there(asking):
    """In order and in batches, ids and all; a response without a goal is an error in its place."""
    responses = [es.Response(PROMPT, f"g{1 + n % 5} x" if n != 70 else "?", id=str(n)) for n in range(100)]
    local = es.open_classifier("goals-in-text")
    with replica() as port:
        served = asking(port)

        found = served.attempt(responses)

        assert (served.name, served.hash, served.taxonomy) == (local.name, local.hash, local.taxonomy)
    assert [n for n, one in enumerate(found) if isinstance(one, UnreadableAnswer)] == [70]
    assert found[:70] + found[71:] == local.classify(responses[:70] + responses[71:])


def test_while_it_is_away_a_worker_of_the_service_says_so_and_is_asked_again(asking):
    """What a worker answers is trouble, which keeps the batch in the queue; when it is back, the same is classified."""
    responses = [es.Response(PROMPT, "g2 x", id="1")]
    with replica() as port:
        served = asking(port)
        assert worker._reply(served, responses).answers[0].goal == "g2"

    away = worker._reply(served, responses)
    with replica(port=port):
        back = worker._reply(served, responses)

    assert (away.answers, "does not answer" in str(away.trouble)) == ([], True)
    assert isinstance(back, Reply)
    assert back.answers[0].goal == "g2"


def test_another_classifier_than_before_is_not_taken_for_it(asking):
    """A deployment that was changed answers nothing under the old hash, and is asked who it is again."""
    other = es.Taxonomy("other", "1", es.FIVE_GOALS.goals)
    with replica() as port:
        served = asking(port)
        served.classify([es.Response(PROMPT, "g1")])
    with replica(other, port=port):
        with pytest.raises(ClassifierError, match="another classifier runs here now"):
            served.classify([es.Response(PROMPT, "g1")])
        with pytest.raises(ClassifierError, match="sorts into other goals"):
            served.classify([es.Response(PROMPT, "g1")])


@pytest.mark.parametrize("spec", ["ray://", "ray:///x", "ray://user@host:1/", "ray://host:1/?x"])
def test_what_is_no_address_is_refused(spec):
    """The message shows the form."""
    with pytest.raises(InvalidInput, match="ray://HOST:PORT/NAME"):
        ServedClassifier(spec)


def test_a_question_keeps_what_has_no_utf8():
    """A lone surrogate travels as it is."""
    from ethostat.judges.wire import response_from

    prompt = es.Prompt.from_text("a \ud800")
    assert response_from(question(prompt, "b \udfff")) == es.Response(es.Prompt("", prompt.messages), "b \udfff")
