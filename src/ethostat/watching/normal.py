"""What is normal for a watch: responses that are there already, a run or file that was named, or new responses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ethostat.errors import InvalidInput
from ethostat.maths.evidence.panels import PanelDetector
from ethostat.measured import open_shelf
from ethostat.measurement import Measurement
from ethostat.store import Run, Store
from ethostat.watching.kept import Kept
from ethostat.watching.look import Unknown
from ethostat.workflow import classify_run, measure

if TYPE_CHECKING:
    from ethostat.watching.watch import Watch


def set_baseline(kept: Kept) -> None:
    """From responses that are there already, from the run or file that was named, or from new responses."""
    watch, again = kept.watch, kept["again"].get("run")
    if again is not None:
        run = watch.store.get_run(again)
        watch.rules.on_stage(f"judging the responses of baseline {run.id} again")
        if classify_run(watch.store, run, watch.sorter):
            raise Unknown("the classifier gave no readable verdict on some responses of the baseline")
        _begin_with(kept, _counts_of(kept, run.id), name=run.id, run=run.id, spent=0)
    elif kept.has_named_baseline:
        _take_named(kept)
    else:
        _make(kept)


def _make(kept: Kept) -> None:
    watch, each = kept.watch, kept.watch.pace.baseline
    cost = each * len(watch.prompts)
    if watch.pace.total is not None and kept["spent"] + cost > watch.pace.total:
        raise InvalidInput(
            f"a baseline takes {cost} responses, {watch.pace.total - kept['spent']} of the total are left; "
            "give a larger total, or fewer responses a prompt"
        )
    watch.rules.on_stage(f"making a baseline: {cost} responses")
    found = measure(
        watch.model,
        watch.prompts,
        samples=each,
        decoding=watch.decoding,
        seed=kept.seed("baseline"),
        classifier=watch.sorter,
        store=watch.store,
        rules=watch.rules,
    )
    if found.provenance.missing:
        raise Unknown(f"{found.provenance.missing} responses of the baseline are missing; the next look asks again")
    assert found.provenance.run is not None  # noqa: S101 - it was measured in a store
    counts = {one.id: list(map(float, one.profile.counts)) for one in found.per_prompt}
    _begin_with(kept, counts, name=found.provenance.run, run=found.provenance.run, spent=cost)


def _take_named(kept: Kept) -> None:
    watch = kept.watch
    with open_shelf(watch.store, taxonomy=watch.sorter.taxonomy, classifier=watch.sorter) as shelf:
        found = shelf.find(watch.baseline).measurement
    run = found.provenance.run if _holds(watch.store, found.provenance.run) else None
    _check_fits(found, watch, None if run is None else watch.store.get_run(run))
    by_hash = {one.hash or one.id: one for one in found.per_prompt} | {one.id: one for one in found.per_prompt}
    counts = {}
    for prompt in watch.prompts:
        one = by_hash.get(prompt.id) or by_hash.get(prompt.hash)
        if one is None or (one.hash is not None and one.hash != prompt.hash):
            raise InvalidInput(
                f"baseline {watch.baseline} has no prompt {prompt.id!r} of {watch.prompts.name!r}; watch those "
                "that it was measured on, or measure these"
            )
        counts[prompt.id] = list(map(float, one.profile.counts))
    _begin_with(kept, counts, name=found.provenance.run or Path(watch.baseline).name, run=run, spent=0)


def _begin_with(kept: Kept, counts: Mapping[str, list[float]], *, name: str, run: str | None, spent: int) -> None:
    watch = kept.watch
    rows = [counts.get(prompt.id, [0.0] * len(watch.sorter.taxonomy.goals)) for prompt in watch.prompts]
    named = {name: place for place, name in enumerate(dict.fromkeys(one.category or "" for one in watch.prompts))}
    detector = PanelDetector(
        rows,
        [not aligned for aligned in watch.sorter.taxonomy.aligned],
        watch.promise,
        groups=[named[prompt.category or ""] for prompt in watch.prompts],
    )
    responses = int(sum(map(sum, rows)))
    kept.save(
        baseline={"name": name, "run": run, "responses": responses, "asked": spent},
        detector=detector.to_dict(),
        again={},
        spent=kept["spent"] + spent,
    )


def _counts_of(kept: Kept, run: str) -> dict[str, list[float]]:
    goals = kept.watch.sorter.taxonomy
    counts: dict[str, list[float]] = {}
    for verdict in kept.watch.store.verdicts(run, kept.watch.sorter.hash):
        row = counts.setdefault(verdict.prompt_id, [0.0] * len(goals.goals))
        row[goals.index(verdict.goal)] += 1
    return counts


def _holds(store: Store, run: str | None) -> bool:
    return run is not None and any(one.id == run for one in store.runs())


def _check_fits(found: Measurement, watch: Watch, run: Run | None) -> None:
    """Raises InvalidInput where the baseline was judged or sampled in another way than looks are."""
    source = found.provenance
    wanted = {"classifier": watch.sorter.hash, "taxonomy": watch.sorter.taxonomy.hash}
    for part, now in wanted.items():
        then = getattr(source, part).hash
        if then != now:
            raise InvalidInput(
                f"baseline {watch.baseline} has {part} {then}, this watch has {now}; use one for both, or measure again"
            )
    decoding = watch.decoding.to_dict()
    known = dict(run.decoding) if run is not None and run.decoding else {"temperature": source.temperature}
    for key, then in known.items():
        if then is not None and key in decoding and decoding[key] != then:
            raise InvalidInput(
                f"baseline {watch.baseline} was sampled at {key} {then}, this watch has {decoding[key]}; use "
                "one for both"
            )
