"""The parts of a training that need no torch: split, batches, temperature, parity, words of goals."""

from __future__ import annotations

from pathlib import Path

import making
import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from ethostat.errors import ClassifierError
from ethostat.labelled import LabelledRow
from ethostat.training.backbone import goal_words
from ethostat.training.batches import epoch_batches
from ethostat.training.calibrated import fit_temperature
from ethostat.training.parity import Parity, check_parity
from ethostat.training.run import _read
from ethostat.training.split import split_rows


@pytest.fixture(scope="module")
def labelled(rows: Path) -> list[LabelledRow]:
    """The rows, read."""
    return _read(rows, making.KITCHEN)


def words(*known: str) -> Tokenizer:
    """A tokenizer whose tokens are these words."""
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["<unk>", "</s>", *known])}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def test_no_group_is_in_two_parts(labelled: list[LabelledRow]) -> None:
    """Every row is in one part, every group in one part, every goal in all parts, about a tenth held back twice."""
    parts = split_rows(labelled, taxonomy=making.KITCHEN, seed=0).parts()
    groups = [{row.group for row in rows} for rows in parts.values()]

    assert sum(map(len, parts.values())) == len(labelled)
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert all({row.label for row in rows} == set(making.KITCHEN.keys) for rows in parts.values())
    assert [len(each) for each in groups] == [47, 6, 6]


def test_the_split_is_the_seeds(labelled: list[LabelledRow]) -> None:
    """Equal seeds give equal parts, other seeds other ones."""
    first, again, other = (split_rows(labelled, taxonomy=making.KITCHEN, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_rare_goal_reaches_every_part(labelled: list[LabelledRow]) -> None:
    """A goal in three groups of sixty has one in each part, whatever the seed."""
    groups = sorted({row.group for row in labelled})[:3]
    kept = [row for row in labelled if row.label != "stray" or row.group in groups]
    for seed in range(20):
        parts = split_rows(kept, taxonomy=making.KITCHEN, seed=seed).parts()

        assert all("stray" in {row.label for row in rows} for rows in parts.values())


def test_an_epoch_has_every_row_once_and_another_order_than_the_next() -> None:
    """Batches of 16 over 100 rows: each place once, decided by seed and epoch."""
    lengths = np.random.default_rng(0).integers(5, 200, 100)
    first, again, second = (epoch_batches(lengths, batch=16, seed=3, epoch=epoch) for epoch in (0, 0, 1))

    assert sorted(np.concatenate(first)) == list(range(100))
    assert [list(each) for each in first] == [list(each) for each in again]
    assert [list(each) for each in first] != [list(each) for each in second]


def test_rows_that_are_all_right_do_not_make_certain() -> None:
    """30 right rows of two goals: the confidence fitted is Platt's 31/32, not 1."""
    truth = np.arange(30) % 2
    logits = np.where(np.eye(2)[truth] == 1, 9.0, 0.0)
    scaled = np.exp(logits / fit_temperature(logits, truth))

    assert (scaled.max(axis=1) / scaled.sum(axis=1))[0] == pytest.approx(31 / 32, abs=1e-3)


@pytest.mark.parametrize(
    ("fp32", "kept", "message"),
    [
        (0.5, 0.0, "differs from the network by 0.5"),
        (float("nan"), 0.0, "differs"),
        (0.0, -20.0, "to 90.0% of 10 rows"),
    ],
)
def test_parity_refuses(fp32: float, kept: float, message: str) -> None:
    """A logit of the fp32 graph that is off, or is no number, and goals that change, are each refused."""
    network = np.tile(np.array([5.0, 0.0], dtype=np.float32), (10, 1))
    first, second = network.copy(), network.copy()
    first[3, 0] += fp32
    second[4, 0] += kept
    with pytest.raises(ClassifierError, match=message):
        check_parity(Parity.of(network, first, second, int8=True, megabytes=1.0))


def test_goals_are_written_in_words_the_tokenizer_knows() -> None:
    """Keys where each is one token, else names, numbers, letters or T5's blanks; none of them is an error."""
    assert goal_words(words("cook", "refuse", "stray"), making.KITCHEN) == ("cook", "refuse", "stray")
    assert goal_words(words("cook", "1", "2", "3"), making.KITCHEN) == ("1", "2", "3")
    assert goal_words(words(*(f"<extra_id_{n}>" for n in range(3))), making.KITCHEN)[2] == "<extra_id_2>"
    with pytest.raises(ClassifierError, match="--head encoder"):
        goal_words(words("cook"), making.KITCHEN)
