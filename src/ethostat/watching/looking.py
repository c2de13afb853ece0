"""Looking: one look under way. What it asks for follows from the state that the look before it left.

So a look that died asks for what is missing and for nothing else; the state moves on, as a whole, when it is done.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ethostat.alertfile import AlertFile
from ethostat.errors import ClassifierError, ModelError
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.panels import PanelDetector
from ethostat.maths.evidence.promise import Lifetime, Promise, RunLength, log_level
from ethostat.models.base import DeclaringModel, Model
from ethostat.monitor import Alert
from ethostat.monitor.alert import CHANGE, PAGE, RECOVERED
from ethostat.monitor.finding import NOTHING
from ethostat.monitor.standing import Standing
from ethostat.provenance import classifier_identity, installed_versions
from ethostat.response import Verdict
from ethostat.sampling import Plan, sample
from ethostat.store import Run, RunKeeper, RunSetup
from ethostat.watching.kept import Kept
from ethostat.watching.look import NO, UNKNOWN, YES, Look, Unknown
from ethostat.watching.moved import Before, Judged, Moved, what_moved
from ethostat.watching.normal import set_baseline
from ethostat.watching.pace import portion
from ethostat.watching.words import cause, in_responses, new_versions, promise_words
from ethostat.workflow import begin, classify_run

if TYPE_CHECKING:
    from ethostat.watching.watch import Watch

_ENOUGH = 0.9
_FEWEST = 0.5
_RUNS_KEPT = 32


@dataclass(slots=True)
class Looking:
    """One look under way. `kept` is the state as the last look left it; `take` writes the next one."""

    watch: Watch
    kept: Kept
    time: str
    changes: list[str] = field(default_factory=list)
    seen: dict[tuple[str, int], Verdict] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    run: Run | None = None

    def take(self) -> Look:
        """The whole look: what changed, a baseline, responses, evidence, an answer; the state moves on at its end."""
        self.kept.open()
        self.kept.empty_outbox()
        self.kept.finish_last_run()
        try:
            self.changes = self.kept.begin_epoch_if_changed()
            if not self.kept["baseline"]:
                set_baseline(self.kept)
            return self._look()
        except (ModelError, ClassifierError) as error:
            return self._unknown(f"{type(error).__name__}: {error}")
        except Unknown as reason:
            return self._unknown(str(reason))

    # Looking

    def _look(self) -> Look:
        watch, number = self.watch, self.kept["looks"] + 1
        left = None if watch.pace.total is None else watch.pace.total - self.kept["spent"]
        if left is not None and left < 1:
            raise Unknown(f"all {watch.pace.total} responses of the total are spent; give a larger total")
        detector = self.kept.detector()
        standing = self.kept.standing()
        self.before = Counter(self.kept["asked"])
        setup = self._setup(number)
        self.run = begin(watch.store, setup, watch.rules)
        declared_before = Counter(_declared(watch.model))
        first = watch.pace.first(watch.prompts)
        more = first if left is None else min(first, left)
        opens, evidence = True, detector.reading.evidence
        try:
            while more:
                self._ask(more)
                places = self._judge()
                self._check_enough(more, opens=opens)
                if standing is None and places:
                    self._weigh(detector, places, opens=opens)
                elif standing is not None:
                    self._look_for_recovery(standing, detector, places)
                opens, grew, evidence = False, detector.reading.evidence - evidence, detector.reading.evidence
                asked = self.asked.total()
                spare = watch.pace.most(watch.prompts) if left is None else left - asked
                if standing is not None or detector.reading.alarm:
                    break
                above = _above_nothing(watch.promise, detector)
                more = watch.pace.more(watch.prompts, asked=asked, left=spare, evidence=above, grew=grew)
        except BaseException:
            watch.store.fail_run(self.run.id)
            raise
        return self._conclude(number, detector, standing, Counter(_declared(watch.model)) - declared_before)

    def _setup(self, number: int) -> RunSetup:
        watch = self.watch
        return RunSetup(
            model=watch.model.name,
            identity=watch.model.identity,
            prompts=watch.prompts,
            decoding=watch.decoding.to_dict(),
            seed=self.kept.seed(f"look {number}"),
            seed_is_given=True,
            taxonomy=watch.sorter.taxonomy.to_dict(),
            classifier=classifier_identity(watch.sorter).to_dict(),
            versions=installed_versions(),
            settings={"watch": watch.name, "look": number},
        )

    def _ask(self, responses: int) -> None:
        """So many responses more, evenly; those that the store has are not asked for."""
        assert self.run is not None  # noqa: S101
        watch = self.watch
        self.asked += portion(watch.prompts, responses, self.before + self.asked)
        plan = Plan(watch.prompts, watch.decoding, dict(self.asked), self.run.seed or 0)

        async def ask() -> None:
            try:
                keeper = RunKeeper(watch.store, self.run.id)  # type: ignore[union-attr]
                await sample(watch.model, plan, keeper, on_progress=watch.rules.on_progress, price=watch.rules.price)
            finally:
                await watch.model.aclose()

        asyncio.run(ask())

    def _judge(self) -> list[tuple[str, int]]:
        """Verdicts on what came; the places of those that are new, in the order in which they were asked for."""
        assert self.run is not None  # noqa: S101
        watch = self.watch
        watch.rules.on_stage("classifying")
        classify_run(watch.store, self.run, watch.sorter)
        order = {prompt.id: place for place, prompt in enumerate(watch.prompts)}
        new = {
            (response.prompt.id, response.index): verdict
            for response, verdict in watch.store.judged(self.run.id, watch.sorter.hash)
            if verdict is not None and (response.prompt.id, response.index) not in self.seen
        }
        self.seen |= new
        return sorted(new, key=lambda place: (place[1], order[place[0]]))

    def _check_enough(self, responses: int, *, opens: bool) -> None:
        """Raises where a look begins with fewer than half of its responses."""
        assert self.run is not None  # noqa: S101
        if not opens or len(self.seen) >= _FEWEST * responses:
            return
        failures = Counter(one.kind for one in self.watch.store.failures(self.run.id))
        why = ", ".join(f"{count} {kind}" for kind, count in failures.most_common()) or "no readable verdict"
        raise Unknown(
            f"too few responses: {len(self.seen)} of {self.asked.total()} ({why}); they are kept, and the next look "
            "asks for the rest"
        )

    def _weigh(self, detector: PanelDetector, places: list[tuple[str, int]], *, opens: bool) -> None:
        order = {prompt.id: place for place, prompt in enumerate(self.watch.prompts)}
        goals = self.watch.sorter.taxonomy
        labels = [goals.index(self.seen[place].goal) for place in places]
        detector.take([order[id] for id, _ in places], labels, opens=opens)

    def _look_for_recovery(self, standing: Standing, detector: PanelDetector, places: list[tuple[str, int]]) -> None:
        order = {prompt.id: place for place, prompt in enumerate(self.watch.prompts)}
        goals = self.watch.sorter.taxonomy
        rows = np.eye(len(goals.goals))
        for id, index in places:
            row = rows[goals.index(self.seen[id, index].goal)]
            standing.take(row, id, step=self._step(), shares=lambda name: detector.reference(order[name]))

    def _step(self) -> int:
        """Responses judged in this epoch before this look, the baseline left out."""
        return self.kept["ends"][-1] if self.kept["ends"] else 0

    # The answer

    def _conclude(
        self, number: int, detector: PanelDetector, standing: Standing | None, declared: Counter[str]
    ) -> Look:
        assert self.run is not None  # noqa: S101
        watch, reading = self.watch, detector.reading
        versions = dict(self.kept["versions"])
        self.changes += new_versions(versions, declared, number)
        ends = [*self.kept["ends"], self._step() + len(self.seen)][-_RUNS_KEPT:]
        runs = [*self.kept["runs"], self.run.id][-_RUNS_KEPT:]
        alert, moved, who = None, None, None
        if standing is None and reading.alarm:
            since = detector.since()
            first = max(len(runs) - 1 - (detector.looks - 1 - int(since.value)), 0)
            moved = self._moved(detector, runs[first:])
            who = cause(versions, number - (len(runs) - 1 - first))
            starts = [0, *ends] if len(ends) == detector.looks else [ends[0], *ends]
            alert = self._alert(CHANGE, detector, moved, in_responses(since, starts, detector.looks))
            window = self._window(runs[first:])
            standing = Standing(alert.since, window, [reading.evidence, reading.threshold], sent=1)
        elif standing is not None and standing.back >= log_level(watch.promise):
            moved = self._moved(detector, runs[-1:])
            found = replace(moved.finding, action=NOTHING, reason="responses fit the baseline again")
            moved = replace(moved, finding=found)
            alert = self._alert(RECOVERED, detector, moved, None)
            standing = None
            detector.reset()
            ends, runs = [], runs[-1:]
        enough = len(self.seen) >= _ENOUGH * self.asked.total()
        answer = YES if standing is not None else NO if enough else UNKNOWN
        look = Look(
            number=number,
            time=self.time,
            answer=answer,
            reason=self._reason(answer, alert),
            run=self.run.id,
            asked=self.asked.total(),
            judged=len(self.seen),
            spent=self.kept["spent"] + self.asked.total(),
            log_evidence=reading.evidence,
            threshold=reading.threshold,
            promise=self._promise(),
            baseline=self.kept["baseline"],
            epoch=self.kept["epoch"],
            changes=tuple(self.changes),
            declared=tuple(sorted(declared)),
            alert=alert,
            cause=who,
            categories={} if moved is None else moved.categories,
            prompts=() if moved is None else moved.prompts,
            exemplars=() if moved is None else moved.exemplars,
        )
        self.kept.save(
            looks=number,
            spent=look.spent,
            asked=dict(self.before + self.asked),
            detector=detector.to_dict(),
            standing=None if standing is None else standing.to_dict(),
            versions=versions,
            runs=runs,
            ends=ends,
            alerts=self.kept["alerts"] + (alert is not None),
            outbox=[] if alert is None else [look.to_dict()],
            out_size=AlertFile(watch.out).size,
        )
        watch.store.finish_run(self.run.id)
        self.kept.empty_outbox()
        return look

    def _unknown(self, reason: str) -> Look:
        standing = self.kept["standing"] is not None
        return Look(
            number=self.kept["looks"] + 1,
            time=self.time,
            answer=UNKNOWN,
            reason=reason + ("; an alert stands from before" if standing else ""),
            run=None if self.run is None else self.run.id,
            asked=self.asked.total(),
            judged=len(self.seen),
            spent=self.kept["spent"],
            promise=self._promise(),
            baseline=self.kept["baseline"],
            epoch=self.kept["epoch"],
            changes=tuple(self.changes),
        )

    def _reason(self, answer: str, alert: Alert | None) -> str:
        if alert is not None:
            return alert.message
        if answer == YES:
            return f"an alert stands since {self.kept['standing']['since']['value']:.0f} responses into this epoch"
        if answer == UNKNOWN:
            return f"{len(self.seen)} of {self.asked.total()} responses could be used, fewer than {_ENOUGH:.0%}"
        return "no evidence of a change"

    def _window(self, runs: list[str]) -> dict[str, list[float]]:
        goals = self.watch.sorter.taxonomy
        found: dict[str, list[float]] = {}
        for _, response, verdict in self._judged(runs):
            found.setdefault(response.prompt.id, [0.0] * len(goals.goals))[goals.index(verdict.goal)] += 1
        return found

    def _judged(self, runs: list[str]) -> Iterator[Judged]:
        for run in runs:
            for response, verdict in self.watch.store.judged(run, self.watch.sorter.hash):
                if verdict is not None:
                    yield run, response, verdict

    def _moved(self, detector: PanelDetector, runs: list[str]) -> Moved:
        prompts = list(self.watch.prompts)
        before = Before(
            {prompt.id: tuple(row) for prompt, row in zip(prompts, detector.baseline[0].tolist(), strict=True)},
            {prompt.id: detector.reference(place).tolist() for place, prompt in enumerate(prompts)},
        )
        return what_moved(before, list(self._judged(runs)), self.watch.prompts, self.watch.sorter.taxonomy)

    def _alert(self, kind: str, detector: PanelDetector, moved: Moved, since: Estimate | None) -> Alert:
        watch, reading = self.watch, detector.reading
        return Alert(
            id=f"{watch.name}/{self.kept['alerts'] + 1}",
            time=self.time,
            step=self._step() + len(self.seen),
            monitor=watch.name,
            kind=kind,
            tier=PAGE,
            repeat=0,
            detector=detector.name,
            log_evidence=reading.evidence,
            statistic=reading.evidence,
            threshold=reading.threshold,
            run_length=watch.promise.responses if isinstance(watch.promise, RunLength) else None,
            alpha=watch.promise.alpha if isinstance(watch.promise, Lifetime) else None,
            promise=self._promise(),
            since=since,
            baseline=self.kept["baseline"]["name"],
            finding=moved.finding,
            exemplars=tuple(one["id"] for one in moved.exemplars),
            epoch={**self.kept["epoch"], "classifier": watch.sorter.hash},
        )

    def _promise(self) -> str:
        return promise_words(self.watch.promise, self.watch.pace.first(self.watch.prompts))


def _above_nothing(promise: Promise, detector: PanelDetector) -> float:
    """Evidence above what no change brings on average, nats."""
    return detector.log_e_value if isinstance(promise, RunLength) else detector.reading.evidence


def _declared(model: Model) -> Mapping[str, int]:
    return model.declared if isinstance(model, DeclaringModel) else {}
