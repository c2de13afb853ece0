"""measure, end to end, with a model and a classifier whose truth is known."""

import asyncio
import math

import pytest

from ethostat.errors import AuthenticationFailed, InvalidInput, ModelError, TooLittleEvidence
from ethostat.maths.entropy import plug_in
from ethostat.measurement import Measurement
from ethostat.models.base import Decoding
from ethostat.models.function import FunctionModel
from ethostat.response import Prompt
from ethostat.store import Store
from ethostat.workflow import Rules, evidence_of, forecast_run, measure, stored_measurement
from goals import PROMPTS, WordClassifier, speaking

SHARES = (0.6, 0.2, 0.1, 0.05, 0.05)
TRUTH = -sum(p * math.log(p) for p in SHARES)


@pytest.fixture
def store(tmp_path):
    """A new database."""
    with Store(tmp_path / "runs.db") as opened:
        yield opened


def test_the_interval_holds_the_truth_of_a_known_model():
    """S within, pooled S and the shares of a model with known probabilities lie in their intervals."""
    m = measure(speaking(SHARES), PROMPTS, samples=80, seed=1, classifier=WordClassifier())

    assert m.profile.n == 12 * 80
    assert m.entropy.low <= TRUTH <= m.entropy.high
    assert m.pooled_entropy.low <= TRUTH <= m.pooled_entropy.high
    assert all(share.low <= p <= share.high for share, p in zip(m.shares, SHARES, strict=True))
    assert m.between_prompts.low < 0.02


def test_one_seed_gives_one_measurement():
    """The same seed gives the same numbers; another seed gives others."""
    first, again, other = (
        measure(speaking(SHARES), PROMPTS, samples=10, seed=seed, classifier=WordClassifier()) for seed in (5, 5, 6)
    )

    assert first.profile == again.profile
    assert first.entropy == again.entropy
    assert first.profile != other.profile


def test_pooled_is_within_plus_between():
    """The three entropies add up, as they must where every prompt has the same number of responses."""

    async def stubborn(prompt: Prompt, seed: int) -> str:
        return f"g{1 + int(prompt.id[1:]) % 3} {seed}"

    m = measure(FunctionModel(stubborn), PROMPTS, samples=30, seed=1, classifier=WordClassifier())

    assert m.pooled_entropy.value == pytest.approx(math.log(3), abs=0.1)
    assert m.entropy.value + m.between_prompts.value == pytest.approx(m.pooled_entropy.value, abs=0.02)
    assert m.entropy.value < 0.1


def test_the_estimator_can_be_chosen():
    """With the plug-in estimator the headline is the mean of the prompts' plug-in entropies."""
    m = measure(speaking(SHARES), PROMPTS, samples=9, seed=1, classifier=WordClassifier(), estimator=plug_in)

    by_hand = sum(float(plug_in(row.profile.array())) for row in m.per_prompt) / len(m.per_prompt)
    assert m.entropy.value == pytest.approx(by_hand)
    assert "plug-in" in m.entropy.method


def test_a_single_sample_leaves_within_undefined_and_pooled_in_the_lead():
    """With one response a prompt, only the pooled entropy is known, and the measurement says so."""
    m = measure(speaking(SHARES), PROMPTS, samples=1, seed=1, classifier=WordClassifier())

    assert not m.entropy.is_defined
    assert "not identifiable" in m.entropy.method
    assert m.headline == m.pooled_entropy


def test_a_measurement_survives_json(store):
    """to_dict and from_dict are inverse, and the stored run gives the same measurement back."""
    m = measure(speaking(SHARES), PROMPTS, samples=5, seed=1, classifier=WordClassifier(), store=store)

    stored, taxonomy = stored_measurement(store, "latest")
    assert Measurement.from_dict(m.to_dict()) == m
    assert stored == m
    assert taxonomy.keys == m.goals


def test_what_is_no_measurement_is_refused():
    """A JSON object of another kind names what is missing."""
    with pytest.raises(InvalidInput, match="not a Measurement"):
        Measurement.from_dict({"model": "m"})


def test_every_response_behind_the_numbers_can_be_read(store):
    """The evidence of a measurement is as many responses as it counts, each with its verdict."""
    m = measure(speaking(SHARES), PROMPTS, samples=4, seed=1, classifier=WordClassifier(), store=store)

    pairs = list(evidence_of(store, m))
    assert len(pairs) == m.profile.n == 48
    assert all(response.text.startswith(verdict.goal) for response, verdict in pairs)


def test_precision_stops_when_the_interval_is_narrow(store):
    """Sampling ends near the precision that was asked for, with an interval that was promised for all rounds."""
    m = measure(speaking(SHARES), PROMPTS, precision=0.15, seed=3, classifier=WordClassifier(), store=store)

    assert m.entropy.half_width <= 0.15
    assert "time-uniform" in m.entropy.method
    assert m.profile.n < 12 * 100
    assert store.get_run("latest").status == "finished"


def test_precision_gives_up_at_the_most_samples():
    """A precision that cannot be had ends at the bound, and the interval says how far it got."""
    m = measure(speaking(SHARES), PROMPTS, precision=0.001, samples=12, seed=3, classifier=WordClassifier())

    assert m.profile.n <= 12 * 12
    assert m.entropy.half_width > 0.001


def test_failures_are_named_and_asked_for_again(store):
    """What did not come is in the notes; the same call asks for just that and completes the run."""
    healed, calls = [], []

    async def flaky(prompt: Prompt, seed: int) -> str:
        calls.append(prompt.id)
        if prompt.id == "p3" and not healed:
            raise ModelError("the server is on fire")
        return f"g1 {seed}"

    arguments = {"samples": 6, "seed": 1, "classifier": WordClassifier(), "store": store}
    partial = measure(FunctionModel(flaky), PROMPTS, **arguments)
    healed.append(True)
    calls.clear()
    whole = measure(FunctionModel(flaky), PROMPTS, **arguments)

    assert partial.profile.n == 11 * 6
    assert "6 responses are missing (6 ModelError)" in partial.provenance.notes[0]
    assert calls == ["p3"] * 6
    assert whole.profile.n == 12 * 6
    assert whole.provenance.run == partial.provenance.run
    assert whole.provenance.notes == ()


def test_a_finished_run_is_not_taken_for_the_next_one(store):
    """The same call after a finished run measures anew; with `reuse` and the seed it takes what is stored."""
    asked = []

    async def counting(prompt: Prompt, seed: int) -> str:
        asked.append(seed)
        return f"g1 {seed}"

    arguments = {"samples": 3, "seed": 1, "classifier": WordClassifier(), "store": store}
    first = measure(FunctionModel(counting), PROMPTS, **arguments)
    second = measure(FunctionModel(counting), PROMPTS, **arguments)
    before = len(asked)
    reused = measure(FunctionModel(counting), PROMPTS, **arguments, rules=Rules(reuse=True))

    assert first.provenance.run != second.provenance.run
    assert before == 2 * 36
    assert len(asked) == before
    assert reused.profile == first.profile
    assert reused.provenance.notes == ("36 of 36 responses were taken from earlier runs",)


def test_more_samples_reuse_the_fewer(store):
    """Going from k = 2 to k = 5 with the same seed asks for three more a prompt."""
    asked = []

    async def counting(prompt: Prompt, seed: int) -> str:
        asked.append(seed)
        return f"g1 {seed}"

    arguments = {"seed": 1, "classifier": WordClassifier(), "store": store}
    measure(FunctionModel(counting), PROMPTS, samples=2, **arguments)
    measure(FunctionModel(counting), PROMPTS, samples=5, **arguments, rules=Rules(reuse=True))

    assert len(asked) == 12 * 5


def test_a_run_that_was_stopped_is_resumed(store):
    """An error that ends the run loses nothing that arrived; the same call asks only for the rest."""
    asked, first = [], []

    async def interrupted(prompt: Prompt, seed: int) -> str:
        asked.append((prompt.id, seed))
        await asyncio.sleep(0.001)
        if len(asked) >= 30 and not first:
            first.append(True)
            raise AuthenticationFailed("the key was revoked")
        return f"g2 {seed}"

    arguments = {"samples": 8, "seed": 1, "classifier": WordClassifier(), "store": store}
    model = FunctionModel(interrupted, max_concurrency=4)
    with pytest.raises(AuthenticationFailed):
        measure(model, PROMPTS, **arguments)
    kept = store.tally(store.get_run("latest").id).responses
    asked.clear()
    m = measure(model, PROMPTS, **arguments)

    assert kept > 0
    assert len(asked) == 96 - kept
    assert m.profile.n == 96
    assert len(store.runs()) == 1


def test_an_unfinished_run_can_be_reported(store):
    """A run that was stopped on the way is measured as far as it got, and says so."""

    async def dying(prompt: Prompt, seed: int) -> str:
        if prompt.id == "p11":
            raise AuthenticationFailed("the key was revoked")
        return f"g1 {seed}"

    with pytest.raises(AuthenticationFailed):
        measure(
            FunctionModel(dying, max_concurrency=1),
            PROMPTS,
            samples=2,
            seed=1,
            classifier=WordClassifier(),
            store=store,
        )
    m, _ = stored_measurement(store, "latest", open_classifier=WordClassifier)

    assert 0 < m.profile.n < 24
    assert "responses are missing" in m.provenance.notes[0]


def test_nothing_at_all_is_too_little_evidence(store):
    """A model that never answers gives an error, not a number."""

    async def broken(prompt: Prompt, seed: int) -> str:
        raise ModelError("no")

    with pytest.raises((ModelError, TooLittleEvidence)):
        measure(FunctionModel(broken), PROMPTS, samples=1, seed=1, classifier=WordClassifier(), store=store)


@pytest.mark.parametrize("samples", [0, -3])
def test_samples_must_be_positive(samples):
    """k = 0 is refused before anything is asked."""
    with pytest.raises(InvalidInput, match="samples must be at least 1"):
        measure(speaking(SHARES), PROMPTS, samples=samples, classifier=WordClassifier())


@pytest.mark.parametrize("precision", [0.0, -1.0, float("nan"), 2e-311, float("inf")])
def test_precision_must_be_positive(precision):
    """A precision of 0 or less is refused before anything is asked."""
    with pytest.raises(InvalidInput, match="precision must be"):
        measure(speaking(SHARES), PROMPTS, precision=precision, classifier=WordClassifier())


def test_measure_works_inside_a_running_loop():
    """A notebook already runs an event loop; measure works there too."""

    async def notebook():
        return measure(speaking(SHARES), PROMPTS, samples=2, seed=1, classifier=WordClassifier())

    assert asyncio.run(notebook()).profile.n == 24


def test_the_forecast_counts_what_would_be_asked(store):
    """Requests and tokens are counted before the run, time is known after the model was measured once."""
    model, decoding = speaking(SHARES), Decoding(max_tokens=10)

    expected = forecast_run(model, PROMPTS, decoding, samples=7, store=store)

    assert expected.responses == 84
    assert expected.most_completion_tokens == 840
    assert expected.price_usd is None
    assert expected.seconds is None
