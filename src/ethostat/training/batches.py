"""Rows as tokens, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ethostat.classifiers.cutting import Cutting, Tokens
from ethostat.classifiers.layout import Layout
from ethostat.labelled import LabelledRow
from ethostat.maths.agreement import group_places
from ethostat.taxonomy import Taxonomy

_SORTED_TOGETHER = 16
"""Batches among which rows are sorted by length: enough to save most padding, few enough to stay mixed."""


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows as tokens with the place of each row's goal (N,) and of its group (N,)."""

    tokens: tuple[Tokens, ...]
    truth: NDArray[np.int64]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row."""
        return np.array([len(row.ids) for row in self.tokens], dtype=np.int64)

    def goal_weights(self, goals: int) -> NDArray[np.float64]:
        """A weight a goal with which all goals count alike and the mean row counts 1."""
        counts = np.bincount(self.truth, minlength=goals)
        return np.asarray(len(self) / (goals * counts))


def cutting_of(tokens: int) -> Cutting:
    """How a row of so many tokens is shared out: as the built-in classifier does it.

    >>> whole = Cutting()
    >>> cutting_of(whole.prompt + whole.response_head + whole.response_tail) == whole
    True
    """
    whole = Cutting()
    share = tokens / (whole.prompt + whole.response_head + whole.response_tail)
    parts = (whole.prompt, whole.context, whole.response_head, whole.response_tail)
    return Cutting(*(int(part * share) for part in parts))


def token_rows(
    rows: Sequence[LabelledRow], *, taxonomy: Taxonomy, tokenizer: Tokenizer, cutting: Cutting, layout: Layout
) -> TokenRows:
    """The rows as the trained classifier will read them: the same code cuts and lays them out."""
    return TokenRows(
        tuple(layout.tokens(cutting, tokenizer, row.response.prompt, row.response.text) for row in rows),
        np.array([taxonomy.index(row.label) for row in rows], dtype=np.int64),
        group_places(len(rows), [row.group for row in rows]),
    )


def epoch_batches(lengths: NDArray[np.int64], *, batch: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Places of rows, each once, `batch` at a time; decided by seed and epoch alone, so that a run can be resumed."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    wide = batch * _SORTED_TOGETHER
    blocks = [order[start : start + wide] for start in range(0, len(order), wide)]
    by_length = [block[np.argsort(lengths[block], kind="stable")] for block in blocks]
    batches = [block[start : start + batch] for block in by_length for start in range(0, len(block), batch)]
    return [batches[at] for at in rng.permutation(len(batches))]


def in_order(lengths: NDArray[np.int64], *, batch: int) -> list[NDArray[np.int64]]:
    """Places of rows, the shortest first: for rows that are only looked at."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]
