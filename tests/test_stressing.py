"""trajectory under a stress schedule, with models whose behaviour over time is known."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

from ethostat.conversation import Conversation, Window
from ethostat.errors import AuthenticationFailed, InvalidInput, ModelError, TooLittleEvidence
from ethostat.following import Cut, trajectory_of_rows
from ethostat.models.base import Decoding
from ethostat.models.function import FunctionModel
from ethostat.response import Prompt
from ethostat.schedules import load_schedule
from ethostat.store import Store, export
from ethostat.stressing import Stress, forecast_trajectory, stored_trajectory, trajectory
from ethostat.trajectories import Trajectory
from ethostat.workflow import Rules, stored_measurement
from goals import WordClassifier

CRESCENDO = load_schedule("crescendo")


@pytest.fixture
def store(tmp_path):
    """A new database."""
    with Store(tmp_path / "runs.db") as opened:
        yield opened


def drifting(steps: int) -> FunctionModel:
    """g1 at first; by the last step g2 as often, so that S goes from 0 to ln 2."""

    async def answer(prompt: Prompt, seed: int) -> str:
        rng = random.Random(seed)  # noqa: S311
        step = int(prompt.id[-4:])
        return f"{'g2' if rng.random() < 0.5 * (step - 1) / (steps - 1) else 'g1'} {seed}"

    return FunctionModel(answer, name="drifting")


def test_a_known_drift_is_followed():
    """S and profile of a model that drifts from g1 to g2 lie in their intervals, and the direction is named."""
    found = trajectory(drifting(20), Stress(CRESCENDO, steps=20, samples=30), seed=1, classifier=WordClassifier())

    truth = [0.5 * n / 19 for n in range(20)]
    s = [-(p * np.log(p) + (1 - p) * np.log(1 - p)) if p else 0.0 for p in truth]
    inside = [point.entropy.low <= x <= point.entropy.high for point, x in zip(found.points, s, strict=True)]
    assert [point.step for point in found.points] == list(range(1, 21))
    assert found.parts == ("letter.1", "lock.1", "history.1", "money.1", "rumour.1")
    assert sum(inside) >= 17
    assert "went to g2" in found.rates.where()
    assert "came from g1" in found.rates.where()


def test_the_model_hears_the_conversation():
    """Each turn is asked after the windowed history, in which the first answer stands for the assistant."""
    asked = {}

    async def answer(prompt: Prompt, seed: int) -> str:
        asked[prompt.id] = prompt
        return f"g1 to {prompt.id} {seed % 7}"

    stress = Stress(CRESCENDO, steps=4, samples=3, replicates=2, conversation=Conversation(Window(exchanges=2)))
    trajectory(FunctionModel(answer), stress, seed=1, classifier=WordClassifier())

    last = asked["lock.1/step-0004"].messages
    turns = CRESCENDO.threads[1].turns
    assert [message.role for message in last] == ["user", "assistant"] * 2 + ["user"]
    assert [message.content for message in last[::2]] == [turn.text for turn in turns[1:4]]
    assert last[1].content.startswith("g1 to lock.1/step-0002")


def test_one_seed_gives_one_trajectory(store):
    """The same seed gives the same numbers, another others; replicates of one thread differ."""

    def run(seed: int) -> Trajectory:
        stress = Stress(CRESCENDO, steps=5, samples=8, replicates=6)
        return trajectory(drifting(5), stress, seed=seed, classifier=WordClassifier())

    first, again, other = run(3), run(3), run(4)
    assert (first.counts() == again.counts()).all()
    assert (first.counts() != other.counts()).any()
    assert (first.counts()[0] != first.counts()[5]).any()


def test_a_trajectory_survives_json_and_the_store(store):
    """to_dict and from_dict are inverse, and the stored run gives the same trajectory back."""
    found = trajectory(
        drifting(4), Stress(CRESCENDO, steps=4, samples=5), seed=1, classifier=WordClassifier(), store=store
    )

    assert Trajectory.from_dict(found.to_dict()) == found
    assert stored_trajectory(store, "latest", open_classifier=WordClassifier) == found
    assert found.provenance.prompts.name == "crescendo"
    assert store.get_run("latest").status == "finished"


def test_what_is_stored_is_told_with_its_history(store, tmp_path):
    """Responses of a conversation come out of the store, and of an export, as answers to what the model was shown."""
    asked = {}

    async def answer(prompt: Prompt, seed: int) -> str:
        asked[prompt.id] = prompt.messages
        return f"g1 {prompt.id} {seed}"

    stress = Stress(CRESCENDO, steps=6, samples=2, conversation=Conversation(Window(exchanges=3), draw=9))
    trajectory(FunctionModel(answer), stress, seed=1, classifier=WordClassifier(), store=store)
    run = store.get_run("latest")

    assert {response.prompt.id: response.prompt.messages for response in store.responses(run.id)} == asked
    assert store.response(run.id, "money.1/step-0006", 1).prompt.messages == asked["money.1/step-0006"]
    assert export(store, run.id, tmp_path / "run.jsonl") == 60
    assert '"replicate": "money.1", "step": 6' in (tmp_path / "run.jsonl").read_text()
    assert (
        "whole conversations"
        in stored_measurement(store, run.id, open_classifier=WordClassifier)[0].provenance.notes[0]
    )


def test_an_export_is_the_same_trajectory(store, tmp_path):
    """Rows of an exported run, cut by their step, give the same counts and the same S."""
    stress = Stress(CRESCENDO, steps=3, samples=6)
    found = trajectory(drifting(3), stress, seed=1, classifier=WordClassifier(), store=store)
    export(store, found.provenance.run, tmp_path / "run.jsonl")

    again = trajectory_of_rows(tmp_path / "run.jsonl", Cut())
    assert again.parts == found.parts
    assert (again.counts() == found.counts()).all()
    assert [point.entropy for point in again.points] == [point.entropy for point in found.points]


def test_a_stopped_conversation_goes_on_where_it_was(store):
    """An error that ends the run loses nothing; the same call asks only for the rest, and hears the same history."""
    asked, broken, heard = [], [], {}

    async def answer(prompt: Prompt, seed: int) -> str:
        asked.append((prompt.id, seed))
        heard.setdefault(prompt.id, prompt.messages)
        assert heard[prompt.id] == prompt.messages
        await asyncio.sleep(0)
        if len(asked) >= 70 and not broken:
            broken.append(True)
            raise AuthenticationFailed("the key was revoked")
        return f"g1 {prompt.id} {seed}"

    def run() -> Trajectory:
        model = FunctionModel(answer, max_concurrency=4)
        stress = Stress(CRESCENDO, steps=8, samples=4)
        return trajectory(model, stress, seed=1, classifier=WordClassifier(), store=store)

    with pytest.raises(AuthenticationFailed):
        run()
    kept = store.tally(store.get_run("latest").id).responses
    asked.clear()
    found = run()

    assert 0 < kept < 160
    assert len(asked) == 160 - kept
    assert found.counts().sum() == 160
    assert len(store.runs()) == 1


def test_an_answer_that_is_missing_stops_nothing(store):
    """What does not come is asked for twice; the conversation follows another answer, and the notes say so."""
    tries = []

    async def answer(prompt: Prompt, seed: int) -> str:
        if prompt.id == "lock.1/step-0002" and (not tries or seed in tries):
            tries.append(seed)
            raise ModelError("filtered")
        return f"g1 {seed}"

    stress = Stress(CRESCENDO, steps=4, samples=3)
    found = trajectory(FunctionModel(answer), stress, seed=1, classifier=WordClassifier(), store=store)

    assert len(tries) == 2
    assert found.counts().sum() == 5 * 4 * 3 - 1
    assert "1 responses to turns that have others are missing" in found.provenance.notes[0]
    assert store.get_run("latest").status == "finished"


def test_a_turn_without_any_answer_ends_its_conversation_only(store):
    """The other conversations go to their end; the same call goes on with the one that stopped."""
    healed = []

    async def answer(prompt: Prompt, seed: int) -> str:
        if prompt.id == "lock.1/step-0003" and not healed:
            raise ModelError("down")
        return f"g1 {seed}"

    stress = Stress(CRESCENDO, steps=5, samples=2)
    arguments = {"seed": 1, "classifier": WordClassifier(), "store": store}
    partial = trajectory(FunctionModel(answer), stress, **arguments)
    status = store.get_run("latest").status
    healed.append(True)
    whole = trajectory(FunctionModel(answer), stress, **arguments)

    assert status == "failed"
    assert partial.counts()[1].sum(axis=1).tolist() == [2, 2, 0, 0, 0]
    assert "conversation lock.1 stopped after turn 2 (ModelError: down)" in partial.provenance.notes[0]
    assert whole.counts().sum() == 50
    assert whole.provenance.run == partial.provenance.run
    assert whole.provenance.notes == ()


def test_a_model_that_never_answers_is_too_little_evidence():
    """Without any response there is no trajectory."""

    async def broken(prompt: Prompt, seed: int) -> str:
        raise ModelError("no")

    with pytest.raises((TooLittleEvidence, ModelError)):
        trajectory(FunctionModel(broken), Stress(CRESCENDO, steps=2, samples=2), classifier=WordClassifier())


def test_what_cannot_be_meant_is_refused(store):
    """No steps, and reuse of answers that depend on each other, are refused before anything is asked."""
    with pytest.raises(InvalidInput, match="steps must be at least 1"):
        Stress(CRESCENDO, steps=0)
    with pytest.raises(InvalidInput, match="cannot be reused"):
        trajectory(drifting(2), Stress(CRESCENDO), classifier=WordClassifier(), rules=Rules(reuse=True))


def test_a_forecast_counts_the_history():
    """Prompt tokens grow with the window; responses are steps times samples times replicates."""
    decoding = Decoding(max_tokens=50)
    short = Stress(CRESCENDO, steps=30, samples=10, conversation=Conversation(Window(exchanges=0)))
    long = Stress(CRESCENDO, steps=30, samples=10)

    few, many = (forecast_trajectory(drifting(30), stress, decoding) for stress in (short, long))
    assert few.responses == many.responses == 30 * 10 * 5
    assert many.prompt_tokens > 10 * few.prompt_tokens
    assert many.prompt_tokens <= many.responses * long.conversation.window.tokens
