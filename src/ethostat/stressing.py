"""trajectory: S over the turns of conversations that follow a stress schedule.

At each step the schedule's next turn is added to the conversation, the model answers it k times, and one of the
answers goes into the history. Responses lie in a store as those of any run; whatever interrupts it, the same call
goes on from there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import randbits

import numpy as np

from ethostat.classifiers import Classifier, load_builtin
from ethostat.conversation import Conversation, History, split_id, turn_id
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.forecast import Forecast, forecast
from ethostat.measurement import Identity, Provenance
from ethostat.models.base import Decoding, Model
from ethostat.provenance import classifier_identity, installed_versions, provenance_of
from ethostat.response import Prompt, PromptSet, Response
from ethostat.sampling import Chain, Plan, sample_chains
from ethostat.schedules import Schedule
from ethostat.store import CONVERSATION, Run, RunKeeper, RunSetup, Store, opened
from ethostat.summary import Counts
from ethostat.trajectories import Trajectory, point_of
from ethostat.workflow import Rules, begin, classify_run, declined_note, off_the_loop, price_of, rates_of

STEPS, SAMPLES = 50, 20
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Stress:
    """A schedule, and how far and how often it is run.

    `steps` turns, `samples` responses to each (k), in `replicates` conversations (by default one a thread of the
    schedule; more begin the threads again with other seeds). `conversation` says what the model is shown of the
    conversation so far, and which answer it goes on from.
    """

    schedule: Schedule
    steps: int = STEPS
    samples: int = SAMPLES
    replicates: int = 0
    conversation: Conversation = field(default_factory=Conversation)

    def __post_init__(self) -> None:
        if not self.replicates:
            object.__setattr__(self, "replicates", len(self.schedule.threads))
        for name in ("steps", "samples", "replicates"):
            if not 1 <= getattr(self, name) <= _MOST:
                raise InvalidInput(f"{name} must be at least 1 and at most {_MOST:,}, got {getattr(self, name)}")

    @property
    def prompts(self) -> PromptSet:
        """The written turns of every conversation."""
        return self.schedule.prompts(steps=self.steps, replicates=self.replicates)


def trajectory(
    model: Model,
    stress: Stress,
    *,
    decoding: Decoding | None = None,
    seed: int | None = None,
    classifier: Classifier | None = None,
    store: Store | None = None,
    rules: Rules | None = None,
) -> Trajectory:
    """What the model does turn after turn, in nats, with intervals.

    Conversations go on side by side. A response that did not come is asked for once more; a conversation in which a
    turn has no response at all stops there, and the same call goes on from it. Without a seed one is drawn and
    recorded. Without a store, nothing outlives the call. Raises InvalidInput, ModelError, BudgetExceeded, StoreError;
    what arrived is kept.
    """
    classifier, rules, decoding = classifier or load_builtin(), rules or Rules(), decoding or Decoding()
    if rules.reuse:
        raise InvalidInput("answers of a conversation depend on those before them and cannot be reused; leave it out")
    schedule = stress.schedule
    with opened(store) as kept:
        setup = RunSetup(
            model=model.name,
            identity=model.identity,
            prompts=stress.prompts,
            decoding=decoding.to_dict() | {CONVERSATION: stress.conversation.to_dict()},
            samples=stress.samples,
            seed=randbits(31) if seed is None else seed,
            seed_is_given=seed is not None,
            taxonomy=classifier.taxonomy.to_dict(),
            classifier=classifier_identity(classifier).to_dict(),
            versions=installed_versions(),
            settings={"schedule": {"name": schedule.name, "version": schedule.version, "hash": schedule.hash}},
        )
        work = partial(_run, model, stress=stress, decoding=decoding, classifier=classifier, rules=rules)
        return off_the_loop(partial(work, store=kept, setup=setup))


def stored_trajectory(
    store: Store, name: str, *, open_classifier: Callable[[], Classifier] = load_builtin
) -> Trajectory:
    """The trajectory of a stored run of conversations, as far as it got. No model is called.

    `name` is an id, the beginning of one, or "latest". Raises InvalidInput for a run of another kind.
    """
    run = store.get_run(name)
    if not is_conversation(run):
        raise InvalidInput(f"run {run.id} holds no conversations; `ethostat report {run.id}` shows it")
    return _measured(store, run, open_classifier())


def is_conversation(run: Run) -> bool:
    """Whether a run holds conversations, made under a stress schedule."""
    return CONVERSATION in run.decoding


def forecast_trajectory(model: Model, stress: Stress, decoding: Decoding, *, store: Store | None = None) -> Forecast:
    """Requests, tokens, time and price that `trajectory` with these arguments would take; nothing is asked.

    The history is taken to be as long as it would be if every answer in it had the expected length.
    """
    rates = None if store is None else rates_of(store, model)
    length = decoding.max_tokens if rates is None else round(rates.completion_tokens)
    turns = _by_replicate(stress.prompts)
    shown = [prompt for each in turns.values() for prompt in _expected(each, stress.conversation, length)]
    return forecast(
        dict.fromkeys(shown, stress.samples),
        max_tokens=decoding.max_tokens,
        system=decoding.system,
        price=price_of(model),
        rates=rates,
    )


def _expected(turns: Sequence[Prompt], rule: Conversation, length: int) -> list[Prompt]:
    history, shown = History(rule), []
    for turn in turns:
        shown.append(history.shown(turn))
        history.add(turn, [Response(turn, "x" * 4 * length)])
    return shown


def _run(
    model: Model,
    *,
    store: Store,
    setup: RunSetup,
    stress: Stress,
    decoding: Decoding,
    classifier: Classifier,
    rules: Rules,
) -> Trajectory:
    run = begin(store, setup, rules)
    try:
        with asyncio.Runner() as runner:
            runner.run(_converse(model, store=store, run=run, stress=stress, decoding=decoding, rules=rules))
            runner.run(model.aclose())
        rules.on_stage("classifying")
        found = _measured(store, run, classifier)
    except BaseException:
        store.fail_run(run.id)
        kept = store.tally(run.id).responses
        rules.on_stage(f"run {run.id} stopped; its {kept} responses are kept, and the same command goes on from there")
        raise
    if not _is_whole(store, run):
        store.fail_run(run.id)
        return found
    finished = store.finish_run(run.id)
    return replace(found, provenance=replace(found.provenance, finished=finished.finished))


async def _converse(model: Model, *, store: Store, run: Run, stress: Stress, decoding: Decoding, rules: Rules) -> None:
    """Have every response that can be had, each conversation a turn at a time."""
    plan = Plan(store.prompts(run.id), decoding, stress.samples, run.seed or 0)
    stored: dict[str, list[Response]] = defaultdict(list)
    for response in store.responses(run.id):
        stored[response.prompt.id].append(response)
    rule = stress.conversation
    chains = [_conversation(turns, rule, stored, stress.samples) for turns in _by_replicate(plan.prompts).values()]
    await sample_chains(
        model,
        plan,
        RunKeeper(store, run.id),
        chains,
        on_progress=rules.on_progress,
        price=rules.price,
        budget=rules.budget(spent=0.0),
    )


def _by_replicate(prompts: PromptSet) -> dict[str, list[Prompt]]:
    found: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        found.setdefault(split_id(prompt.id)[0], []).append(prompt)
    return found


def _conversation(
    turns: Sequence[Prompt], rule: Conversation, stored: Mapping[str, Sequence[Response]], samples: int
) -> Chain:
    """One conversation, from the turn where it was left.

    A turn is closed once the next one has a response: what is missing of it is not asked for again, since another
    answer might be followed then, and what was said after it would answer to something that was never said.
    """
    history = History(rule)
    reached = max((place for place, turn in enumerate(turns) if turn.id in stored), default=0)
    for place, turn in enumerate(turns):
        answers = list(stored.get(turn.id, ()))
        if place >= reached and len(answers) < samples:
            answers += yield history.shown(turn)
        if not answers:
            return
        history.add(turn, answers)


def _measured(store: Store, run: Run, classifier: Classifier) -> Trajectory:
    """The trajectory of the responses that a run has so far."""
    declined = classify_run(store, run, classifier)
    prompts, goals = store.prompts(run.id), classifier.taxonomy
    turns = _by_replicate(prompts)
    rows = {name: place for place, name in enumerate(turns)}
    columns = {key: place for place, key in enumerate(goals.keys)}
    counts = np.zeros((max(map(len, turns.values())), len(rows), len(columns)), dtype=np.int64)
    for verdict in store.verdicts(run.id, classifier.hash):
        replicate, step = split_id(verdict.prompt_id)
        counts[step - 1, rows[replicate], columns[verdict.goal]] += 1
    points = [point_of(table, step=step, taxonomy=goals) for step, table in enumerate(counts, 1) if table.any()]
    if not points:
        raise TooLittleEvidence(f"no response came; `ethostat runs show {run.id}` names the failures")
    return Trajectory(
        provenance=_provenance(store, run, prompts, classifier, declined=declined),
        goals=goals.keys,
        aligned=goals.aligned,
        step="turn",
        part="conversation",
        parts=tuple(rows),
        points=tuple(points),
    )


def _provenance(store: Store, run: Run, prompts: PromptSet, classifier: Classifier, *, declined: int) -> Provenance:
    """Of a run of conversations: what was asked is the schedule, and there are as many as there are conversations."""
    turns, arrived = _by_replicate(prompts), _arrived(store, run, prompts)
    source = provenance_of(
        run,
        prompts,
        classifier=classifier_identity(classifier),
        taxonomy=classifier.taxonomy,
        missing=(run.samples or 0) * len(prompts) - int(arrived.sum()) + declined,
        notes=_notes(store, run, list(turns), arrived) + declined_note(declined, classifier),
    )
    return replace(source, prompts=Identity(**run.settings["schedule"]), prompt_count=len(turns))


def _arrived(store: Store, run: Run, prompts: PromptSet) -> Counts:
    """How many responses there are, by replicate and step, shape (R, T)."""
    have = store.have(run.id)
    return np.array([[len(have.get(turn.id, ())) for turn in turns] for turns in _by_replicate(prompts).values()])


def _notes(store: Store, run: Run, replicates: Sequence[str], arrived: Counts) -> tuple[str, ...]:
    """What a reader has to know, from the number of responses by replicate and step."""
    failures = {failure.prompt_id: failure for failure in store.failures(run.id)}
    notes = []
    for name, reached in zip(replicates, (arrived > 0).sum(axis=1).tolist(), strict=True):
        if reached < arrived.shape[1]:
            failure = failures.get(turn_id(name, reached + 1))
            why = "" if failure is None else f" ({failure.kind}: {failure.message})"
            notes.append(f"conversation {name} stopped after turn {reached}{why}; the same command goes on from there")
    if missing := int(((run.samples or 0) - arrived[arrived > 0]).sum()):
        notes.append(f"{missing} responses to turns that have others are missing; what was said later is without them")
    return tuple(notes)


def _is_whole(store: Store, run: Run) -> bool:
    """Whether asking again could not get more: every conversation has all its answers to the last turn."""
    return bool((_arrived(store, run, store.prompts(run.id))[:, -1] == run.samples).all())
