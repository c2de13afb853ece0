"""measure: sample a model, classify what it said, estimate, as the method section of a paper would say it.

A run lives in a store from its first response on; whatever interrupts it, the same call resumes it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from secrets import randbits
from typing import Any, TypeVar

import numpy as np

from ethostat.classifiers import Classifier, attempt, cells_of, load_builtin
from ethostat.errors import InvalidInput, TooLittleEvidence, UnreadableAnswer
from ethostat.forecast import Forecast, Price, Rates, find_price, forecast
from ethostat.maths.allocation import FIRST_ROUND, next_round, planned_responses, time_uniform_within
from ethostat.maths.entropy import Estimator
from ethostat.measurement import Measurement
from ethostat.models.base import Decoding, Model
from ethostat.provenance import classifier_identity, installed_versions, provenance_of
from ethostat.response import PromptSet, Response, Verdict
from ethostat.sampling import Budget, Plan, Progress, sample
from ethostat.store import CONVERSATION, Run, RunKeeper, RunSetup, Store, opened, transcript_row
from ethostat.summary import Counts, count_goals, summarise
from ethostat.taxonomy import Taxonomy

SAMPLES = 100
"""Responses a prompt (arXiv 2512.03047)."""
MOST_SAMPLES = 2000
"""Responses a prompt, on average, at which `precision` gives up unless told otherwise."""
_AT_ONCE = 256
_LARGEST = 1_000_000
_FINEST = 0.0001
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rules:
    """How a run is kept and paid for.

    `reuse` takes stored responses of the same model, prompt, decoding and seed, whichever run gathered them;
    `fresh` starts anew even where an unfinished run could be resumed; `max_cost` (US dollars, counted by `price`)
    stops the run before it would be exceeded. `on_progress` is told how far sampling is, at most ten times a
    second, and `on_stage` what is done next.
    """

    reuse: bool = False
    fresh: bool = False
    price: Price | None = None
    max_cost: float | None = None
    on_progress: Callable[[Progress], None] | None = None
    on_stage: Callable[[str], None] = lambda _stage: None

    def budget(self, *, spent: float) -> Budget | None:
        """What is left to spend; None where nothing bounds it. Raises InvalidInput for a bound without a price."""
        if self.max_cost is None:
            return None
        if self.price is None:
            raise InvalidInput("max cost needs a price, and none is known for this model; leave max cost out")
        return Budget(self.max_cost - spent, self.price)


def measure(
    model: Model,
    prompts: PromptSet,
    *,
    samples: int | None = None,
    precision: float | None = None,
    decoding: Decoding | None = None,
    seed: int | None = None,
    classifier: Classifier | None = None,
    estimator: Estimator | None = None,
    store: Store | None = None,
    rules: Rules | None = None,
) -> Measurement:
    """What the model does with these prompts, in nats, with intervals.

    `samples` responses a prompt (default 100). With `precision` (nats), instead, rounds of responses until the
    time-uniform 95 % interval of the mean within-prompt S is at most that half-width wide, or `samples` (default
    2,000) a prompt are spent. Without a seed one is drawn and recorded. Without a store, nothing outlives the call.
    Responses that did not come are named in the measurement's notes; the run stays unfinished and the same call
    asks for them again. Raises InvalidInput, ModelError, BudgetExceeded, StoreError; what arrived is kept.
    """
    each = _samples(samples, precision)
    classifier = classifier or load_builtin()
    work = partial(
        _measure,
        model,
        samples=each,
        precision=precision,
        classifier=classifier,
        estimator=estimator,
        rules=rules or Rules(),
    )
    decoding = decoding or Decoding()
    with opened(store) as kept:
        setup = RunSetup(
            model=model.name,
            identity=model.identity,
            prompts=prompts,
            decoding=decoding.to_dict(),
            samples=None if precision else each,
            precision=precision,
            seed=randbits(31) if seed is None else seed,
            seed_is_given=seed is not None,
            taxonomy=classifier.taxonomy.to_dict(),
            classifier=classifier_identity(classifier).to_dict(),
            versions=installed_versions(),
        )
        return off_the_loop(partial(work, kept, setup, decoding))


def classify_run(store: Store, run: Run, classifier: Classifier) -> int:
    """Give a verdict to every response of the run that this classifier has not seen; gives how many it declined.

    Those stay without a verdict, and the next call asks again. Raises UnreadableAnswer where it declined the first 256,
    and the run has no verdict of it.
    """
    waiting, declined = store.unclassified(run.id, classifier.hash), 0
    while batch := list(islice(waiting, _AT_ONCE)):
        said = attempt(classifier, batch)
        errors = [each for each in said if isinstance(each, UnreadableAnswer)]
        if len(errors) == len(batch) and next(store.verdicts(run.id, classifier.hash), None) is None:
            raise errors[0]
        declined += len(errors)
        judged = [(response, each) for response, each in zip(batch, said, strict=True) if isinstance(each, Verdict)]
        responses, verdicts = [response for response, _ in judged], [verdict for _, verdict in judged]
        store.add_verdicts(run.id, classifier.hash, responses, verdicts)
    return declined


def measure_run(store: Store, run: Run, classifier: Classifier, *, estimator: Estimator | None = None) -> Measurement:
    """The measurement of the responses that a run has so far; no model is called."""
    declined = classify_run(store, run, classifier)
    prompts = store.prompts(run.id)
    verdicts = list(store.verdicts(run.id, classifier.hash))
    within = None
    if run.precision is not None:
        counts = count_goals(verdicts, prompts=prompts.prompts, taxonomy=classifier.taxonomy)
        within = time_uniform_within(counts, precision=run.precision)
    return summarise(
        verdicts,
        prompts=prompts,
        taxonomy=classifier.taxonomy,
        provenance=provenance_of(
            run,
            prompts,
            classifier=classifier_identity(classifier),
            taxonomy=classifier.taxonomy,
            missing=_missing(store, run) + declined,
            notes=(*_notes(store, run), *declined_note(declined, classifier)),
        ),
        estimator=estimator,
        within=within,
        cells=cells_of(classifier),
    )


def stored_measurement(
    store: Store, name: str, *, open_classifier: Callable[[], Classifier] = load_builtin
) -> tuple[Measurement, Taxonomy]:
    """The measurement of a run and its taxonomy; a run that did not end is measured as far as it got.

    `name` is an id, the beginning of one, or "latest". The classifier is opened only for a run that did not end.
    """
    run = store.get_run(name)
    if run.measurement is None or run.taxonomy is None:
        classifier = open_classifier()
        return measure_run(store, run, classifier), classifier.taxonomy
    measured = Measurement.from_dict(run.measurement)
    provenance = replace(measured.provenance, finished=run.finished)
    return replace(measured, provenance=provenance), Taxonomy.from_dict(run.taxonomy)


def evidence_of(store: Store, measurement: Measurement) -> Iterator[tuple[Response, Verdict]]:
    """The responses behind a stored measurement, with their verdicts."""
    source = measurement.provenance
    if source.run is not None:
        for response, verdict in store.judged(source.run, source.classifier.hash):
            if verdict is not None:
                yield response, verdict


def review_rows(store: Store, measurement: Measurement) -> list[dict[str, Any]]:
    """The responses that perhaps fit no goal, with their texts, the least typical first: transcript rows.

    Raises TooLittleEvidence where the classifier did not say how typical they are.
    """
    found, source = measurement.outside, measurement.provenance
    if found is None or source.run is None:
        raise TooLittleEvidence(
            f"classifier {source.classifier.name} does not say how typical a response is; measure with one whose card "
            "names a reference"
        )
    wanted = {row.response_id: row for row in found.review}
    rows = {
        response.id: transcript_row(store.get_run(source.run), response, verdict)
        for response, verdict in evidence_of(store, measurement)
        if response.id in wanted
    }
    return [rows[id] | {"flagged": row.flagged} for id, row in wanted.items() if id in rows]


def price_of(model: Model) -> Price | str:
    """What a model costs a token, or the sentence why that is not known."""
    identity = model.identity
    return find_price(str(identity.get("model", model.name)), url=identity.get("url"))


def forecast_run(
    model: Model,
    prompts: PromptSet,
    decoding: Decoding,
    *,
    samples: int | None = None,
    precision: float | None = None,
    store: Store | None = None,
) -> Forecast:
    """Requests, tokens, time and price that `measure` with these arguments would take; nothing is asked.

    Time and length are those of the model's last finished run in the store. With `precision`, the number of
    responses is what a panel of usual varentropy needs.
    """
    each = _samples(samples, precision)
    if precision is not None:
        usual = -(-planned_responses(precision) // len(prompts))
        each = int(min(max(FIRST_ROUND, usual), each))
    return forecast(
        dict.fromkeys(prompts, each),
        max_tokens=decoding.max_tokens,
        system=decoding.system,
        price=price_of(model),
        rates=None if store is None else rates_of(store, model),
    )


def rates_of(store: Store, model: Model) -> Rates | None:
    """How fast and how long this model answered last time."""
    for run in store.runs(limit=200):
        if run.finished is None or run.identity != model.identity:
            continue
        seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
        lengths = [response.completion_tokens for response in islice(store.responses(run.id), 500)]
        known = [length for length in lengths if length is not None]
        if known and seconds > 0:
            return Rates(store.tally(run.id).responses / seconds, sum(known) / len(known))
    return None


def _measure(
    model: Model,
    store: Store,
    setup: RunSetup,
    decoding: Decoding,
    *,
    samples: int,
    precision: float | None,
    classifier: Classifier,
    estimator: Estimator | None,
    rules: Rules,
) -> Measurement:
    run = begin(store, setup, rules)
    plan = Plan(setup.prompts, decoding, samples, run.seed or 0)
    try:
        with asyncio.Runner() as runner:
            gathering = _Gathering(runner, model, store, run, rules)
            if precision is None:
                gathering.all_of(plan)
            else:
                gathering.until(precision, plan, classifier)
            runner.run(model.aclose())  # its connections belong to this loop; it opens again when it is used again
        rules.on_stage("classifying")
        measurement = measure_run(store, run, classifier, estimator=estimator)
    except BaseException:
        store.fail_run(run.id)
        kept = store.tally(run.id).responses
        rules.on_stage(f"run {run.id} stopped; its {kept} responses are kept, and the same command goes on from there")
        raise
    return _conclude(store, run, measurement)


def begin(store: Store, setup: RunSetup, rules: Rules) -> Run:
    """The unfinished run that this call would repeat, held by this process; else a new one."""
    found = None if rules.fresh else store.unfinished_run(setup.fingerprint)
    if found is None:
        return store.start_run(setup)
    rules.on_stage(f"resuming run {found.id}: {store.tally(found.id).responses} responses are kept")
    return store.resume_run(found.id)


@dataclass
class _Gathering:
    """Gets a run its responses, in one go or in rounds."""

    runner: asyncio.Runner
    model: Model
    store: Store
    run: Run
    rules: Rules
    spent: float = 0.0

    def all_of(self, plan: Plan) -> None:
        """Have every response of the plan that can be had."""
        if self.rules.reuse:
            self.store.reuse(self.run.id, plan.samples)
        rules, keeper = self.rules, RunKeeper(self.store, self.run.id)
        budget = rules.budget(spent=self.spent)
        asking = sample(self.model, plan, keeper, on_progress=rules.on_progress, price=rules.price, budget=budget)
        self.spent += self.runner.run(asking).cost_usd or 0.0

    def until(self, precision: float, plan: Plan, classifier: Classifier) -> None:
        """Sample in rounds until the mean within-prompt S is known to this precision, or the plan is spent.

        A prompt that gives nothing in a round is not asked again: its failures are named in the notes.
        """
        counts = self._counts(classifier)
        answers = np.ones(len(counts), dtype=bool)
        while answers.any():
            more = np.zeros(len(counts), dtype=np.int64)
            more[answers] = next_round(counts[answers], precision=precision)
            if not more.any() or counts.sum() + more.sum() > plan.total:
                return
            wanted = {prompt.id: int(n) for prompt, n in zip(plan.prompts, counts.sum(axis=1) + more, strict=True)}
            self.all_of(replace(plan, samples=wanted))
            before, counts = counts, self._counts(classifier)
            answers &= (more == 0) | (counts.sum(axis=1) > before.sum(axis=1))

    def _counts(self, classifier: Classifier) -> Counts:
        classify_run(self.store, self.run, classifier)
        verdicts = self.store.verdicts(self.run.id, classifier.hash)
        return count_goals(verdicts, prompts=self.store.prompts(self.run.id).prompts, taxonomy=classifier.taxonomy)


def _conclude(store: Store, run: Run, measurement: Measurement) -> Measurement:
    """Store the measurement; where anything is missing, the run stays unfinished and can be resumed."""
    if measurement.provenance.missing:
        store.fail_run(run.id)
        return measurement
    finished = store.finish_run(run.id, measurement.to_dict())
    return replace(measurement, provenance=replace(measurement.provenance, finished=finished.finished))


def _missing(store: Store, run: Run) -> int:
    """How many responses the run should have and has not."""
    tally = store.tally(run.id)
    wanted = (run.samples or 0) * len(store.prompts(run.id))
    return max(tally.failures, wanted - tally.responses)


def _notes(store: Store, run: Run) -> tuple[str, ...]:
    """What a reader of the numbers has to know."""
    tally, notes = store.tally(run.id), []
    if CONVERSATION in run.decoding:
        notes.append(
            "these are turns of conversations, which do not vary independently: intervals for prompts like these are "
            "too narrow; `ethostat trajectory` takes whole conversations as the unit"
        )
    if tally.reused:
        notes.append(f"{tally.reused} of {tally.responses} responses were taken from earlier runs")
    if tally.failures:
        kinds = Counter(failure.kind for failure in store.failures(run.id))
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        notes.append(f"{tally.failures} responses are missing ({named}); the same command asks for them again")
    elif missing := _missing(store, run):
        notes.append(f"the run is unfinished: {tally.responses} of {tally.responses + missing} responses")
    return tuple(notes)


def declined_note(count: int, classifier: Classifier) -> tuple[str, ...]:
    """What a reader has to know where a classifier declined so many responses; nothing where it declined none."""
    if not count:
        return ()
    return (f"{count} responses are in no figure, since {classifier.name} gave no readable verdict on them",)


def off_the_loop(work: Callable[[], _T]) -> _T:
    """Do it here, or on a thread of its own where this thread already runs an event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _samples(samples: int | None, precision: float | None) -> int:
    """Responses a prompt: as asked for, else the default. Raises InvalidInput for what cannot be meant."""
    if precision is not None and not _FINEST <= precision < math.inf:
        raise InvalidInput(f"precision must be at least {_FINEST} nats and finite, got {precision}")
    if samples is None:
        return SAMPLES if precision is None else MOST_SAMPLES
    if not 1 <= samples <= _LARGEST:
        raise InvalidInput(f"samples must be at least 1 and at most {_LARGEST:,}, got {samples}")
    return samples
