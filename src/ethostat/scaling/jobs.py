"""Jobs: many files classified or measured, by whoever is at hand, stopped at any time and gone on with.

plan -> Fragments -> Crew: a part for each (judging) -> Crew: a Measurement for each group (grouping) -> Grouped
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.grouped import Group, Grouped
from ethostat.maths.entropy import Estimator
from ethostat.response import TRANSCRIPTS
from ethostat.scaling.crews import Alone, Crew
from ethostat.scaling.folder import PLAN, RESULT, Folder
from ethostat.scaling.fragments import FRAGMENT_BYTES, Fragment, cut, fragment_to_dict
from ethostat.scaling.grouping import WHOLE_ROWS, Summing, lots
from ethostat.scaling.judging import MOST_GROUPS, Classifying, Measuring, Opener
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

_READ_AT_ONCE = 16
OnProgress = Callable[["Stand"], None]


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a job is: fragments done of all, rows in them, rows that could not be used; seconds of this run.

    `begun_with` fragments were done before this run began.
    """

    done: int
    fragments: int
    rows: int
    rejected: int
    begun_with: int
    seconds: float

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until all is done at the pace of this run; None before its first fragment."""
        mine = self.done - self.begun_with
        return None if not mine else (self.fragments - self.done) * self.seconds / mine

    def __str__(self) -> str:
        left = self.eta_seconds
        return f"{self.done:,} of {self.fragments:,} fragments, {self.rows:,} rows, {self.rejected:,} not used" + (
            f", {left / 60:,.0f} minutes left" if left else ""
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """How a job is done.

    `crew` does it; its parts are kept in the folder `into`, else in one that is gone afterwards; `fragment_bytes` is
    the size of a fragment, where the folder knows none yet; of a group up to `whole_rows` responses are held in memory.
    """

    crew: Crew = field(default_factory=Alone)
    into: str | None = None
    fragment_bytes: int = FRAGMENT_BYTES
    whole_rows: int = WHOLE_ROWS
    on_progress: OnProgress = lambda _stand: None


def measure_groups(
    sources: Sequence[str],
    *,
    by: Sequence[str] = (),
    taxonomy: Taxonomy = FIVE_GOALS,
    classifier: Opener,
    estimator: Estimator | None = None,
    rules: Spread | None = None,
) -> Grouped:
    """What the recorded responses of many files show, in nats, with intervals, for each group of them.

    Rows with equal values of the fields `by` are a group; `month`, `day` and `hour` are told from `time` where rows
    have no such field. Within a group it is what `measure_transcripts` makes of its rows alone. The same call goes on
    where one into the same folder was stopped, and files that came since are added. Raises InvalidInput for sources
    without a file and for more than 10,000 groups, TooLittleEvidence where no row is usable.
    """
    rules, chosen, name = rules or Spread(), tuple(by), ", ".join(sources)
    with folder_of(rules.into) as folder:
        settings = {"job": "measure", "by": list(chosen), **who(classifier, taxonomy)}
        fragments = planned(folder, sources, settings, rules)
        about = parts_of(folder, fragments, Measuring(folder, taxonomy, classifier, chosen), rules)
        counts = {part_of(one): about[one.id]["keys"] for one in fragments if about[one.id]["rows"]}
        _check_groups(counts, chosen)
        if not counts:
            raise TooLittleEvidence(f"{name} has no usable row; {_said(about)}")
        work = Summing(folder, f"{TRANSCRIPTS}{name}", chosen, taxonomy, classifier, estimator, rules.whole_rows)
        found = [group for _, lot in rules.crew.run(work, lots(counts, most=rules.whole_rows)) for group in lot]
        groups = sorted(map(Group.from_dict, found), key=lambda group: tuple(group.key.values()))
        rejected, first = said_of(about)
        grouped = Grouped(name, chosen, taxonomy, tuple(groups), rejected, first)
        folder.write_json(RESULT, grouped.to_dict())
    return grouped


def classify_files(
    sources: Sequence[str],
    *,
    taxonomy: Taxonomy = FIVE_GOALS,
    classifier: Opener,
    again: bool = False,
    rules: Spread,
) -> Stand:
    """The rows of many files with `goal`, `probabilities` and `typicality`, as Parquet files in the folder `into`.

    A file a fragment, the rows in their order; `measure_groups` and every command that reads rows takes them. The same
    call goes on where one was stopped. Raises InvalidInput without a folder, and for sources without a file.
    """
    if rules.into is None:
        raise InvalidInput("classified rows of many files need a folder to be written to; pass into, or --into FOLDER")
    with folder_of(rules.into) as folder:
        settings = {"job": "classify", "again": again, **who(classifier, taxonomy)}
        fragments = planned(folder, sources, settings, rules)
        about = parts_of(folder, fragments, Classifying(folder, taxonomy, classifier, again), rules)
        rows, (rejected, _) = sum(one["rows"] for one in about.values()), said_of(about)
        return Stand(len(fragments), len(fragments), rows, rejected, 0, 0.0)


def read_grouped(folder: str) -> Grouped:
    """What `measure_groups` left in a folder. Raises InvalidInput where it is not finished, or none."""
    kept = Folder(folder).read_json(RESULT)
    if kept is None:
        raise InvalidInput(f"{folder} holds no measurements by group; measure into it first, or go on with that")
    return Grouped.from_dict(kept)


@contextmanager
def folder_of(into: str | None) -> Iterator[Folder]:
    """The folder of a job; where none is named, one that is gone afterwards."""
    if into is not None:
        yield Folder(into)
        return
    with tempfile.TemporaryDirectory(prefix="ethostat-") as path:
        yield Folder(path)


def who(classifier: Opener, taxonomy: Taxonomy) -> dict[str, Any]:
    """What verdicts depend on."""
    return {"classifier": classifier().hash, "taxonomy": taxonomy.hash}


def planned(folder: Folder, sources: Sequence[str], settings: Mapping[str, Any], rules: Spread) -> list[Fragment]:
    """The fragments of a job, which its folder keeps; it takes no other job. Raises InvalidInput where it has one."""
    kept = folder.read_json(PLAN)
    if kept is not None and (other := [name for name, value in settings.items() if kept.get(name) != value]):
        raise InvalidInput(f"{folder.url} was begun with another {', '.join(other)}; use the same, or another folder")
    size = rules.fragment_bytes if kept is None else int(kept["fragment_bytes"])
    fragments = cut(sources, size=size)
    if not fragments:
        raise InvalidInput(f"{', '.join(sources)}: empty; there must be at least one row")
    plan = {
        **settings,
        "fragment_bytes": size,
        "sources": list(sources),
        "fragments": [{"id": one.id, **fragment_to_dict(one)} for one in fragments],
    }
    folder.write_json(PLAN, plan)
    return fragments


def parts_of(folder: Folder, fragments: Sequence[Fragment], work: Any, rules: Spread) -> dict[str, dict[str, Any]]:
    """What is known about the part of each fragment; those that have none are worked at."""
    there, began = folder.names("parts"), time.monotonic()
    before_now = [one for one in fragments if f"{one.id}.parquet" in there]
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:  # from an object store one answer takes as long as many
        known = dict(zip((one.id for one in before_now), pool.map(folder.about, map(part_of, before_now)), strict=True))
    before = len(known)
    rows, rejected = sum(one["rows"] for one in known.values()), sum(one["rejected"] for one in known.values())
    for fragment, about in rules.crew.run(work, [one for one in fragments if one.id not in known]):
        known[fragment.id] = about
        rows, rejected = rows + about["rows"], rejected + about["rejected"]
        spent = time.monotonic() - began
        rules.on_progress(Stand(len(known), len(fragments), rows, rejected, before, spent))
    folder.sweep("parts")
    return {one.id: known[one.id] for one in fragments}


def part_of(fragment: Fragment) -> str:
    """The name of its part in the folder."""
    return f"parts/{fragment.id}.parquet"


def _check_groups(counts: Mapping[str, Mapping[str, int]], by: Sequence[str]) -> None:
    """Raises InvalidInput where there are more groups than may be."""
    found: set[str] = set()
    for keys in counts.values():
        found |= keys.keys()
        if len(found) > MOST_GROUPS:
            raise InvalidInput(f"{', '.join(by)} make more than {MOST_GROUPS:,} groups; choose fields with few values")


def said_of(about: Mapping[str, Mapping[str, Any]]) -> tuple[int, tuple[str, ...]]:
    """How many rows could not be used, and of the first why."""
    first = [said for one in about.values() for said in one["first"]]
    return sum(one["rejected"] for one in about.values()), tuple(first[:3])


def _said(about: Mapping[str, Mapping[str, Any]]) -> str:
    count, first = said_of(about)
    return f"{count:,} rows were not used: {'; '.join(first)}"
