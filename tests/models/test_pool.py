"""One model on several servers: none of them is needed, and every answer comes once."""

from __future__ import annotations

import asyncio

import pytest

import ethostat as es
from asking import PROMPT, ask
from ethostat.errors import AuthenticationFailed, InvalidInput, ServerFault
from servers import FaultyServer, llama_server, refusal, well_behaved

NAME = "smollm2"


def _pool(*urls: str, **more) -> es.PoolModel:
    return es.PoolModel([es.HTTPModel(url, NAME, max_retries=0, retry_wait=0.01, **more) for url in urls])


def test_what_one_server_does_not_give_comes_from_another():
    """Half of the requests to one server fail: every answer comes once, under its own seed and the pool's name."""
    with FaultyServer(lambda asked, n: refusal(503, "busy") if n % 2 else well_behaved(asked, n)) as bad:
        with FaultyServer(well_behaved) as good:
            model = _pool(bad.url, good.url, answers_per_request=2)

            responses = [one for start in (0, 1000, 2000) for one in ask(model, range(start, start + 8))]

    assert [one.index for one in responses] == list(range(8)) * 3
    assert [one.text for one in responses] == [f"seed {start + n}" for start in (0, 1000, 2000) for n in range(8)]
    assert {one.model for one in responses} == {model.name}
    assert bad.asked
    assert good.asked


def test_calls_go_where_least_is_on_its_way():
    """Calls made together are shared by servers that are as fast as each other."""
    with FaultyServer(well_behaved) as one, FaultyServer(well_behaved) as two:
        model = _pool(one.url, two.url)

        async def together() -> None:
            calls = [_drain(model.sample(PROMPT, es.Decoding(), range(n * 1000, n * 1000 + 8))) for n in range(8)]
            await asyncio.gather(*calls)
            await model.aclose()

        asyncio.run(together())

    assert len(one.asked) == len(two.asked) == 4


def _refusing(status: int):
    return lambda asked, n: refusal(status, "no")


async def _drain(stream) -> None:
    async for _ in stream:
        pass


def test_a_server_that_refuses_the_key_is_no_reason_to_ask_another():
    """What is wrong for all is raised at once."""
    with (
        FaultyServer(lambda asked, n: refusal(401, "no")) as one,
        FaultyServer(lambda asked, n: refusal(401, "no")) as two,
    ):
        with pytest.raises(AuthenticationFailed):
            ask(_pool(one.url, two.url), range(2))

    assert len(one.asked) + len(two.asked) == 1


def test_where_all_fail_the_last_failure_is_raised(monkeypatch):
    """Every server had its three turns."""
    monkeypatch.setattr("ethostat.models.pool._FIRST_REST", 0.01)
    with (
        FaultyServer(lambda asked, n: refusal(500, "x")) as one,
        FaultyServer(lambda asked, n: refusal(500, "x")) as two,
    ):
        with pytest.raises(ServerFault):
            ask(_pool(one.url, two.url), range(1))

    assert (len(one.asked), len(two.asked)) == (3, 3)


def test_a_pool_is_one_model_on_several_servers():
    """A comma between URLs; the order does not matter; other models, and a server twice, are refused."""
    one, two = "http://127.0.0.1:1/v1#m", "http://127.0.0.1:2/v1#m"

    pool = es.open_model(f"{two},{one}")

    assert isinstance(pool, es.PoolModel)
    assert pool.name == f"{one},{two}"
    assert pool.identity == es.open_model(f"{one},{two}").identity
    assert pool.identity["urls"] == ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
    for wrong in (f"{one},{one}", f"{one},http://127.0.0.1:2/v1#other", f"{one},base:{two}"):
        with pytest.raises(InvalidInput, match="a pool"):
            es.open_model(wrong)


def test_a_server_is_killed_while_a_run_asks_two(tmp_path):
    """Two llama.cpp servers, one gone in the middle: the run has every response, and none twice."""
    prompts = es.PromptSet("six", tuple(es.Prompt.from_text(f"Say something about the number {n}.") for n in range(6)))
    with llama_server(slots=2, context=256) as alive, llama_server(slots=2, context=256) as url:
        model = es.open_model(f"{url}#{NAME},{alive}#{NAME}", timeout=60)
        killed: list[int] = []

        def kill(progress) -> None:
            if progress.done >= 6 and not killed:
                killed.append(progress.done)
                _stop(url)

        with es.Store(tmp_path / "runs.db", create=True) as store:
            measured = es.measure(
                model,
                prompts,
                samples=4,
                decoding=es.Decoding(max_tokens=6),
                seed=1,
                classifier=_Anything(),
                store=store,
                rules=es.Rules(on_progress=kill),
            )
            run = measured.provenance.run
            kept = [(one.prompt.id, one.index) for one in store.responses(run)]

    assert killed
    assert measured.provenance.missing == 0
    assert len(kept) == len(set(kept)) == 24


class _Anything:
    """A classifier for which every answer is help: the answers of a tiny model are not the matter here."""

    name, hash, taxonomy = "anything", "0" * 16, es.FIVE_GOALS

    def classify(self, responses):
        return [
            es.Verdict.from_goal(self.taxonomy, "g1", prompt_id=one.prompt.id, response_id=one.id) for one in responses
        ]


def _stop(url: str) -> None:
    """SIGKILL to the process that listens at this port of loopback."""
    import psutil

    port = int(url.split(":")[2].split("/", maxsplit=1)[0])
    for one in psutil.Process().children(recursive=True):
        if any(place.laddr.port == port and place.status == "LISTEN" for place in one.net_connections()):
            one.kill()
