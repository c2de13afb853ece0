"""Sampling: every response once, kept as it arrives, whatever happens on the way."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethostat.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    ContextOverflow,
    EmptyAnswer,
    InvalidInput,
    ModelError,
    ModelNotFound,
    ServerFault,
    StoreError,
)
from ethostat.forecast import Price
from ethostat.models.base import Decoding
from ethostat.models.function import FunctionModel
from ethostat.response import Failure, Message, Prompt, PromptSet, Response
from ethostat.sampling import Budget, MemoryKeeper, Plan, Progress, response_seed, sample
from ethostat.store import RunKeeper, RunSetup, Store

CENT_A_TOKEN = Price(0.01, 0.01, "made up")


def prompt_set(count: int = 3) -> PromptSet:
    """Prompts p0, p1, ..."""
    return PromptSet("set", tuple(Prompt(f"p{i}", (Message("user", f"question {i}"),)) for i in range(count)))


def plan_of(count: int = 3, samples=4, seed: int = 7, decoding: Decoding | None = None) -> Plan:
    """A small plan."""
    return Plan(prompt_set(count), decoding or Decoding(), samples, seed)


def run(model, plan: Plan, keeper, **options) -> Progress:
    """Sample to the end."""

    async def to_the_end() -> Progress:
        try:
            return await sample(model, plan, keeper, **options)
        finally:
            await model.aclose()

    return asyncio.run(to_the_end())


def model_of(function=None, **options) -> FunctionModel:
    """A model that repeats prompt and seed, or calls an async function."""

    async def echo(prompt: Prompt, seed: int) -> str:
        return f"{prompt.text}/{seed}"

    return FunctionModel(function or echo, name="test", **options)


def test_every_response_comes_once_with_its_seed():
    """k responses a prompt, indices 0 to k - 1, each from the seed that the plan names."""
    plan, keeper = plan_of(samples=40), MemoryKeeper()

    progress = run(model_of(), plan, keeper)

    kept = {(r.prompt.id, r.index): r for r in keeper.responses}
    assert set(kept) == {(f"p{p}", i) for p in range(3) for i in range(40)}
    assert len(keeper.responses) == progress.done == progress.wanted == 120
    for (_, index), response in kept.items():
        assert response.text == f"{response.prompt.text}/{plan.seed_of(response.prompt, index)}"


def test_number_of_samples_can_differ_by_prompt():
    """A mapping asks for so many of each prompt, and none of those it does not name."""
    keeper = MemoryKeeper()

    run(model_of(), plan_of(samples={"p0": 1, "p2": 20}), keeper)

    assert Counter(r.prompt.id for r in keeper.responses) == {"p0": 1, "p2": 20}


def test_plan_that_makes_no_sense_is_refused():
    """No samples, and prompts that are not in the set, are errors."""
    with pytest.raises(InvalidInput, match="samples must be at least 1, got 0"):
        plan_of(samples=0)
    with pytest.raises(InvalidInput, match="'p9' is not in 'set'"):
        plan_of(samples={"p9": 1})


def test_seeds_are_stable_and_consecutive():
    """Seeds are fixed for ever (stored responses are found by them), 31-bit, consecutive within a prompt."""
    seeds = [response_seed(7, "0123456789abcdef", i) for i in range(3)]

    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    # SHA-256 of "7/0123456789abcdef/0" begins with these four bytes.
    assert seeds[0] == 0xB4BF86BB % 2**31


@given(st.integers(0, 2**63), st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(0, 10**6))
def test_seeds_are_31_bit(seed, prompt_hash, index):
    """Every seed fits a signed 32-bit integer, which is all that some servers take."""
    assert 0 <= response_seed(seed, prompt_hash, index) < 2**31


def test_equal_prompts_of_one_set_get_different_seeds():
    """Two prompts with one text are sampled independently."""
    twins = PromptSet("twins", tuple(Prompt(name, (Message("user", "?"),)) for name in ("a", "b")))
    plan = Plan(twins, Decoding(), 1, 7)

    assert plan.seed_of(twins.prompts[0], 0) != plan.seed_of(twins.prompts[1], 0)


@settings(max_examples=40, deadline=None)
@given(kept=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 39))))
def test_what_is_kept_is_not_asked_for(kept):
    """Whatever is there already, exactly the rest is asked for, once."""
    plan, keeper, calls = plan_of(samples=40), MemoryKeeper(), Counter()
    for number, index in kept:
        keeper.add(Response(plan.prompts.prompts[number], "before", index))

    async def count(prompt: Prompt, seed: int) -> str:
        calls[prompt.id, seed] += 1
        return "now"

    progress = run(model_of(count), plan, keeper)

    asked = {
        (prompt.id, plan.seed_of(prompt, index))
        for number, prompt in enumerate(plan.prompts)
        for index in range(40)
        if (number, index) not in kept
    }
    assert set(calls) == asked
    assert set(calls.values()) <= {1}
    assert (progress.done, progress.resumed) == (120, len(kept))


def test_interrupted_run_has_balanced_counts():
    """Prompts are interleaved: cancelled half-way, no prompt is more than two calls ahead of another."""
    keeper, plan, answered, enough = MemoryKeeper(), plan_of(count=5, samples=160), Counter(), asyncio.Event()

    async def count(prompt: Prompt, seed: int) -> str:
        await asyncio.sleep(0.001)
        answered[prompt.id] += 1
        if answered.total() == 400:
            enough.set()
        return "x"

    async def cut() -> None:
        task = asyncio.create_task(sample(model_of(count, max_concurrency=16), plan, keeper))
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut())

    counts = Counter(r.prompt.id for r in keeper.responses)
    assert max(counts.values()) - min(counts.values()) <= 32


async def slow(prompt: Prompt, seed: int) -> str:
    """An answer after a millisecond."""
    await asyncio.sleep(0.001)
    return "slow"


def test_cancelled_sampling_keeps_all_that_arrived(tmp_path):
    """What the model had answered when sampling was cancelled is on disk, and is not asked for again."""
    plan, answered = plan_of(samples=100), Counter()

    enough = asyncio.Event()

    async def count(prompt: Prompt, seed: int) -> str:
        await asyncio.sleep(0.001)
        answered[prompt.id, seed] += 1
        if answered.total() == 50:
            enough.set()
        return "x"

    async def cut(keeper: RunKeeper) -> None:
        task = asyncio.create_task(sample(model_of(count, max_concurrency=4), plan, keeper))
        await enough.wait()
        task.cancel()
        await asyncio.wait([task])

    with Store(tmp_path / "runs.db") as store:
        run_id = store.start_run(RunSetup("test", {}, plan.prompts, seed=7)).id
        asyncio.run(cut(RunKeeper(store, run_id)))
        interrupted = store.tally(run_id).responses
        run(model_of(count), plan, RunKeeper(store, run_id))

        assert 40 <= interrupted <= 60
        assert store.tally(run_id).responses == 300
    # A call that was cancelled between answering and arriving may be asked again: at most the four under way.
    assert answered.total() <= 304


def test_failure_of_one_prompt_does_not_stop_the_others():
    """An error leaves a named failure; everything else arrives."""

    async def fails_on_p1(prompt: Prompt, seed: int) -> str:
        if prompt.id == "p1":
            raise ServerFault("500 from the server")
        return "fine"

    keeper = MemoryKeeper()
    progress = run(model_of(fails_on_p1), plan_of(), keeper)

    assert Counter(r.prompt.id for r in keeper.responses) == {"p0": 4, "p2": 4}
    assert sorted(keeper.failures, key=lambda f: f.index) == [
        Failure("p1", i, "ServerFault", "500 from the server") for i in range(4)
    ]
    assert (progress.done, progress.failed) == (8, 4)


def test_failure_that_passes_is_made_good():
    """What failed once is asked for once more at the end; its failure is forgotten."""
    tried = Counter()

    async def fails_at_first(prompt: Prompt, seed: int) -> str:
        tried[seed] += 1
        if tried[seed] == 1 and prompt.id == "p1":
            raise EmptyAnswer("nothing")
        return "fine"

    keeper = MemoryKeeper()
    progress = run(model_of(fails_at_first), plan_of(), keeper)

    assert (progress.done, progress.failed) == (12, 0)
    assert keeper.failures == []


def test_prompt_that_is_too_long_is_not_asked_again():
    """A context overflow stays one: the prompt is tried once, and 30 of them stop nothing."""
    tried = Counter()

    async def too_long(prompt: Prompt, seed: int) -> str:
        tried[prompt.id] += 1
        if prompt.id != "p30":
            raise ContextOverflow("9000 tokens do not fit")
        return "fine"

    keeper = MemoryKeeper()
    progress = run(model_of(too_long), plan_of(count=31, samples=1), keeper)

    assert set(tried.values()) == {1}
    assert (progress.done, progress.failed) == (1, 30)


class Forgetful:
    """A model that ends without its last answer."""

    name, identity = "forgetful", {"kind": "test"}

    async def sample(self, prompt, decoding, seeds):
        """All but the last."""
        for i, seed in enumerate(seeds[:-1]):
            yield Response(prompt, "x", i, seed=seed)

    async def aclose(self):
        """Nothing to release."""


def test_answer_that_never_comes_is_a_failure():
    """A model that ends early without an error leaves a failure, not a hole."""
    keeper = MemoryKeeper()

    progress = run(Forgetful(), plan_of(count=1, samples=16), keeper)

    assert progress.done + progress.failed == 16
    assert {f.kind for f in keeper.failures} == {"EmptyAnswer"}


@pytest.mark.parametrize("error", [AuthenticationFailed("401: bad key"), ModelNotFound("no such model")])
def test_error_that_concerns_all_stops_at_once(error):
    """A refused key or a missing model ends the sampling with that error after the calls under way."""
    calls = Counter()

    async def refuse(prompt: Prompt, seed: int) -> str:
        calls[prompt.id] += 1
        raise error

    with pytest.raises(type(error), match=str(error)):
        run(model_of(refuse, max_concurrency=1), plan_of(count=200, samples=1), MemoryKeeper())
    assert calls.total() <= 64


def test_server_that_is_gone_does_not_burn_the_set():
    """After 20 failed calls in a row sampling stops and tells the last error."""
    calls = Counter()

    async def gone(prompt: Prompt, seed: int) -> str:
        calls[prompt.id] += 1
        raise ServerFault("connection refused")

    with pytest.raises(ModelError, match="20 calls in a row failed, so sampling stopped; the last: connection refused"):
        run(model_of(gone, max_concurrency=1), plan_of(count=500, samples=1), MemoryKeeper())
    assert calls.total() < 100


def test_failing_tail_does_not_spoil_a_run():
    """Where a fifth of the prompts fails for good, the others arrive and the failures are named."""

    async def fails_on_some(prompt: Prompt, seed: int) -> str:
        if int(prompt.id[1:]) % 5 == 0:
            raise EmptyAnswer("nothing")
        return "fine"

    progress = run(model_of(fails_on_some), plan_of(count=200, samples=1), MemoryKeeper())

    assert (progress.done, progress.failed) == (160, 40)


def test_response_that_cannot_be_stored_is_told(tmp_path):
    """If the store refuses a response, sampling stops with the reason instead of going on without it."""
    plan = plan_of()
    with Store(tmp_path / "runs.db") as store:
        other = store.start_run(RunSetup("test", {}, PromptSet("other", (Prompt.from_text("?"),)), seed=7))

        with pytest.raises(InvalidInput, match="not in this run's prompt set"):
            run(model_of(), plan, RunKeeper(store, other.id))


def test_broken_database_is_told(tmp_path):
    """A table that is gone makes sampling stop with a StoreError that names the database."""
    plan = plan_of()
    with Store(tmp_path / "runs.db") as store:
        run_id = store.start_run(RunSetup("test", {}, plan.prompts, seed=7)).id
        store.have(run_id)
        with store._engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("ALTER TABLE responses RENAME TO elsewhere")

        with pytest.raises(StoreError, match=r"runs\.db: no such table"):
            run(model_of(), plan, RunKeeper(store, run_id))


def test_budget_is_never_exceeded():
    """Sampling spends what it may, counting calls under way at their most, and stops before it would spend more."""
    decoding = Decoding(max_tokens=10)
    keeper, spent = MemoryKeeper(), []

    async def ten_words(prompt: Prompt, seed: int) -> str:
        return " ".join(["word"] * 8)

    with pytest.raises(BudgetExceeded, match="a larger --max-cost goes on from there"):
        run(
            model_of(ten_words),
            plan_of(samples=100, decoding=decoding),
            keeper,
            budget=Budget(5.0, CENT_A_TOKEN),
            on_progress=lambda progress: spent.append(progress.cost_usd),
        )

    cost = sum(0.01 * (7 + 10) for _ in keeper.responses)
    assert 4.8 <= cost <= 5.0
    assert max(spent) <= 5.0


def test_budget_that_suffices_is_not_felt():
    """A plan that costs less than the budget is done in full."""
    keeper = MemoryKeeper()

    progress = run(model_of(), plan_of(), keeper, budget=Budget(100.0, CENT_A_TOKEN))

    assert progress.done == 12
    assert 0 < progress.cost_usd < 100


def test_budget_must_be_positive():
    """A budget of nothing, or less, is an error."""
    with pytest.raises(InvalidInput, match="max cost must be more than 0 dollars, got 0"):
        Budget(0, CENT_A_TOKEN)


def test_progress_is_told_seldom_and_at_the_end():
    """Progress comes at most ten times a second, never goes back, and the last one is complete."""
    told: list[Progress] = []

    run(model_of(slow), plan_of(samples=300), MemoryKeeper(), on_progress=told.append)

    assert len(told) <= 3 + told[-1].seconds * 10
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert (told[-1].done, told[-1].wanted, told[-1].eta_seconds) == (900, 900, 0)
    assert told[0].eta_seconds is None
    assert told[-1].responses_per_second > 0
    assert told[-1].tokens_per_second > 0


def test_many_responses_are_few_calls_at_once():
    """No more than 64 calls are open, however large the plan is."""
    open_calls, most = 0, 0

    class Counting(Forgetful):
        async def sample(self, prompt, decoding, seeds):
            nonlocal open_calls, most
            open_calls += 1
            most = max(most, open_calls)
            await asyncio.sleep(0)
            for i, seed in enumerate(seeds):
                yield Response(prompt, "x", i, seed=seed)
            open_calls -= 1

    run(Counting(), plan_of(count=20, samples=500), MemoryKeeper())

    assert most == 64


def test_store_keeps_up_with_a_fast_model(tmp_path):
    """10,000 responses go through the store at more than 1,000 for each second of computing."""
    plan = plan_of(count=100, samples=100)
    with Store(tmp_path / "runs.db") as store:
        run_id = store.start_run(RunSetup("test", {}, plan.prompts, seed=7)).id

        began = time.process_time()  # not by the clock: the machine may be busy
        progress = run(Instant(), plan, RunKeeper(store, run_id))
        seconds = time.process_time() - began

        assert store.tally(run_id).responses == progress.done == 10_000
    assert 10_000 / seconds > 1000


def test_writing_does_not_hold_the_loop(tmp_path):
    """While another process locks the database, the event loop goes on; the write is done when the lock is gone."""
    plan = plan_of()
    blocker = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)

    async def add(keeper: RunKeeper) -> None:
        blocker.execute("BEGIN IMMEDIATE")
        stored = keeper.add(Response(plan.prompts.prompts[0], "x", 0))
        for _ in range(20):
            await asyncio.sleep(0.005)
            assert not stored.done()
        blocker.execute("ROLLBACK")
        await stored

    with Store(tmp_path / "runs.db") as store:
        run_id = store.start_run(RunSetup("test", {}, plan.prompts, seed=7)).id
        asyncio.run(add(RunKeeper(store, run_id)))

        assert store.have(run_id) == {"p0": {0}}
    blocker.close()


class Instant(Forgetful):
    """A model that answers at once."""

    async def sample(self, prompt, decoding, seeds):
        """All of them."""
        for i, seed in enumerate(seeds):
            yield Response(prompt, "x", i, seed=seed)
