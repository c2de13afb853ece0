"""Split: labelled rows in three parts, 80 % to learn from, 10 % to stop and calibrate by, 10 % to test.

Rows of one group (a prompt, or what `split_group` says) stay together: a classifier that has seen a prompt answered
once would be flattered by its other answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethostat.errors import TooLittleEvidence
from ethostat.labelled import LabelledRow
from ethostat.taxonomy import Taxonomy

HELD = 0.1
"""Share of the groups in each of the two parts that are held back."""
LEAST_GROUPS = 20
"""Groups that there must be, so that each part that is held back has two and its figures an interval."""
_LEAST_OF_GOAL = 3


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts, each in the order of the file."""

    training: tuple[LabelledRow, ...]
    validation: tuple[LabelledRow, ...]
    test: tuple[LabelledRow, ...]

    def parts(self) -> dict[str, tuple[LabelledRow, ...]]:
        """The parts by name."""
        return {"training": self.training, "validation": self.validation, "test": self.test}

    def sizes(self) -> dict[str, Any]:
        """Rows, groups, and rows of each goal in each part."""
        return {
            name: {
                "rows": len(rows),
                "groups": len({row.group for row in rows}),
                "goals": dict(sorted(Counter(row.label for row in rows).items())),
            }
            for name, rows in self.parts().items()
        }


def split_rows(rows: Sequence[LabelledRow], *, taxonomy: Taxonomy, seed: int) -> Split:
    """The rows in three parts by group; equal rows and seeds give equal parts.

    Groups are drawn within strata, each group in that of the rarest goal it has, so that rare goals reach all parts.
    Raises TooLittleEvidence for fewer than 20 groups, or where a goal has rows in fewer than three of them or in only
    some of the parts.
    """
    goals = _goals_of_groups(rows)
    _check_enough(goals, Counter(row.label for row in rows), taxonomy)
    strata: dict[str, list[str]] = defaultdict(list)
    frequency = Counter(goal for each in goals.values() for goal in each)
    for group, each in goals.items():
        strata[min(each, key=lambda goal: (frequency[goal], goal))].append(group)
    rng = np.random.default_rng(seed)
    part_of: dict[str, int] = {}
    for _, groups in sorted(strata.items()):
        part_of |= _drawn(groups, rng)
    split = Split(*(tuple(row for row in rows if part_of[row.group] == part) for part in range(3)))
    _check_parts(split, taxonomy)
    return split


def _goals_of_groups(rows: Sequence[LabelledRow]) -> dict[str, set[str]]:
    goals: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        goals[row.group].add(row.label)
    return goals


def _drawn(groups: list[str], rng: np.random.Generator) -> dict[str, int]:
    """0 (training), 1 or 2 for each group; of three groups or more one at least goes to each part."""
    held = max(round(HELD * len(groups)), 1) if len(groups) >= _LEAST_OF_GOAL else 0
    order = rng.permutation(len(groups))
    return {groups[at]: 1 if place < held else 2 if place < 2 * held else 0 for place, at in enumerate(order)}


def _check_enough(goals: dict[str, set[str]], rows: Counter[str], taxonomy: Taxonomy) -> None:
    if len(goals) < LEAST_GROUPS:
        raise TooLittleEvidence(
            f"the rows form {len(goals)} group{'' if len(goals) == 1 else 's'} (prompts, or `split_group`); training, "
            f"validation and test need at least {LEAST_GROUPS} between them: add rows of other prompts"
        )
    for key in taxonomy.keys:
        found = sum(key in each for each in goals.values())
        if found < _LEAST_OF_GOAL:
            raise TooLittleEvidence(
                f"goal {key} has {rows[key]} row{'' if rows[key] == 1 else 's'} in {found} "
                f"group{'' if found == 1 else 's'} (prompts, or `split_group`); each goal needs {_LEAST_OF_GOAL}, one "
                "each to learn from, to validate and to test by: add rows, or name a taxonomy without it"
            )


def _check_parts(split: Split, taxonomy: Taxonomy) -> None:
    for name, rows in split.parts().items():
        if missing := set(taxonomy.keys) - {row.label for row in rows}:
            raise TooLittleEvidence(
                f"the {name} part has no row of goal {min(missing)}: it occurs in too few groups; "
                "add rows of it, or try another seed"
            )
