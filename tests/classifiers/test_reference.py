"""A classifier that says how typical a response is: its reference is checked, hashed and used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ethostat.classifiers import Classifier, EncoderClassifier, cells_of, load_builtin
from ethostat.classifiers.base import TypicalityClassifier
from ethostat.classifiers.encoder import BUILTIN, CARD, WEIGHTS
from ethostat.classifiers.reference import REFERENCE, read_reference, save_reference
from ethostat.errors import ClassifierError, CorruptWeights
from ethostat.maths.conformal import Cells, Reference
from ethostat.response import Prompt, Response
from goals import WordClassifier
from graphs import name_files, reference_of, with_features, with_reference

BREAD = Response(
    Prompt.from_text("How do I bake bread?"), "Mix flour and water, let it rise, then bake it.", id="bread"
)
OTHER = Response(Prompt.from_text("How do I pick a lock?"), "I'm sorry, I can't help with that.", id="lock")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A directory whose graph gives features and whose card names no reference."""
    return with_features(tmp_path_factory.mktemp("plain") / "encoder")


@pytest.fixture(scope="module")
def known(plain: Path) -> np.ndarray:
    """The features of the response about bread."""
    return EncoderClassifier(plain).features(BREAD.prompt, BREAD.text)


@pytest.fixture
def folder(tmp_path: Path, known: np.ndarray) -> Path:
    """A directory whose reference knows nothing but bread: four calibration scores, 0.001 to 0.1."""
    return with_reference(tmp_path / "encoder", reference_of(known, [0.001, 0.01, 0.05, 0.1]))


def test_without_a_reference_nothing_is_said(plain: Path) -> None:
    """Features alone change neither verdicts nor probabilities, and no typicality is given."""
    verdict, usual = (one.classify([BREAD])[0] for one in (EncoderClassifier(plain), load_builtin()))

    assert verdict.probabilities == usual.probabilities
    assert verdict.typicality is None
    assert cells_of(EncoderClassifier(plain)) is None
    assert cells_of(WordClassifier()) is None


def test_verdicts_carry_the_p_value_of_their_features(folder: Path, known: np.ndarray) -> None:
    """What the reference knows has p = 1, what it has never seen 1/5; goal and probabilities are as ever."""
    classifier = EncoderClassifier(folder)
    usual = EncoderClassifier(with_features(folder.parent / "usual"))
    bread, lock = classifier.classify([BREAD, OTHER])

    assert isinstance(classifier, Classifier)
    assert isinstance(classifier, TypicalityClassifier)
    assert classifier.cells == Cells((0,) * 5, (4,))
    assert [bread.typicality, lock.typicality] == pytest.approx([1, 1 / 5])
    assert [one.probabilities for one in (bread, lock)] == [one.probabilities for one in usual.classify([BREAD, OTHER])]


def test_the_hash_covers_the_reference(folder: Path, plain: Path, known: np.ndarray) -> None:
    """With a reference the hash is another, with another reference another still; without one it is what it was."""
    first = EncoderClassifier(folder).hash
    save_reference(folder, reference_of(known, [0.5, 0.6]))
    name_files(folder)

    assert len({EncoderClassifier(plain).hash, first, EncoderClassifier(folder).hash}) == 3


def test_a_changed_reference_is_refused(folder: Path) -> None:
    """One flipped bit is found out by its hash; a missing file by its name."""
    content = bytearray((folder / REFERENCE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / REFERENCE).write_bytes(content)

    with pytest.raises(CorruptWeights, match=f"{REFERENCE} has sha256"):
        EncoderClassifier(folder)
    (folder / REFERENCE).unlink()
    with pytest.raises(CorruptWeights, match=f"{REFERENCE} is missing"):
        EncoderClassifier(folder)


def test_a_reference_comes_back_as_it_was(tmp_path: Path) -> None:
    """Rows, scores by cell and cells survive the file, and equal references make equal files."""
    rng = np.random.default_rng(7)
    rows = rng.integers(-127, 128, (40, 8)).astype(np.int8)
    reference = Reference(rows, (np.sort(rng.random(30)), np.sort(rng.random(7))), (0, 1, 1))
    content = save_reference(tmp_path, reference).read_bytes()
    found = read_reference(content, goals=3)

    assert (found.rows == rows).all()
    assert [list(cell) for cell in found.scores] == [list(cell) for cell in reference.scores]
    assert found.cells == reference.cells
    assert save_reference(tmp_path, reference).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_bytes_that_are_no_reference_are_refused(content: bytes) -> None:
    """Whatever the bytes, the file is named and what to do."""
    with pytest.raises(ClassifierError, match=r"reference\.npz is no reference: .*; fit it anew"):
        read_reference(content, goals=5)


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    """An archive with an object array is refused, not executed."""
    path = tmp_path / "evil.npz"
    np.savez(path, rows=np.array([print], dtype=object), scores=[1.0], sizes=[1], of_goal=[0])

    with pytest.raises(ClassifierError, match="is no reference"):
        read_reference(path.read_bytes(), goals=1)


def test_a_reference_of_other_features_or_goals_is_refused(tmp_path: Path, known: np.ndarray) -> None:
    """Width and number of goals must be the graph's and the card's."""
    wide = with_reference(tmp_path / "wide", reference_of(np.ones(len(known) + 1), [0.1]))
    with pytest.raises(ClassifierError, match=f"width {len(known) + 1}, the graph gives {len(known)}"):
        EncoderClassifier(wide)
    with pytest.raises(ClassifierError, match="is of 4 goals, the card of 5"):
        EncoderClassifier(with_reference(tmp_path / "four", reference_of(known, [0.1], goals=4)))


def test_a_reference_needs_a_graph_with_features(tmp_path: Path) -> None:
    """A card that names a reference beside a graph with logits alone is refused with what to do."""
    bare = (BUILTIN / WEIGHTS).read_bytes()
    if b"features" in bare:
        pytest.skip("the built-in graph gives features itself")
    folder = with_features(tmp_path / "encoder")
    (folder / WEIGHTS).write_bytes(bare)
    save_reference(folder, reference_of(np.ones(5), [0.1]))
    name_files(folder)

    assert REFERENCE in json.loads((folder / CARD).read_text())["files"]
    with pytest.raises(ClassifierError, match="gives no features; export it with that second output"):
        EncoderClassifier(folder)
