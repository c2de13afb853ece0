"""The encoder door: checked weights, order, independence, hostile texts."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ethostat.classifiers import Classifier, EncoderClassifier, encoder, load_builtin, open_encoder
from ethostat.classifiers.encoder import BUILTIN, CARD, TOKENIZER, WEIGHTS
from ethostat.errors import ClassifierError, CorruptWeights, InvalidInput
from ethostat.response import Message, Prompt, Response
from ethostat.taxonomy import FIVE_GOALS

HOSTILE = {
    "empty": "",
    "blank": " \n\t ",
    "megabyte": "no " * 350_000,
    "megabyte without a space": "x" * 1_000_000,
    "megabyte of blanks": " " * 1_000_000,
    "NUL": "before\x00after\x00",
    "lone surrogate": "half \ud83d of a pair \udc00",
    "right to left": "\u202eمرحبا بالعالم שלום\u202c",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 300,
    "combining marks": "e" + "\u0301" * 5_000,
    "control": "\x1b[2J\x1b[31m\x07",
    "special tokens": "[CLS] [SEP] [PAD] [MASK] [UNK]",
}


@pytest.fixture(scope="module")
def classifier() -> EncoderClassifier:
    """The built-in encoder, loaded once."""
    return load_builtin()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A directory with a copy of the built-in encoder, free to be damaged."""
    return Path(shutil.copytree(BUILTIN, tmp_path / "copy"))


def pair(prompt: str, text: str, id: str = "r") -> Response:
    """A response to a prompt, both as plain text."""
    return Response(Prompt.from_text(prompt), text, id=id)


def rows(n: int) -> list[Response]:
    """Responses of many lengths, the same ones each time."""
    rng = np.random.default_rng(11)
    texts = ["Yes.", "I am sorry, but I cannot help with that.", "Mix flour and water, then bake. " * 9, "", "?" * 40]
    return [
        pair(f"Question {i}: how do I bake bread?", str(rng.choice(texts)) * int(rng.integers(1, 7)), f"r{i}")
        for i in range(n)
    ]


def test_builtin_is_a_classifier_of_the_five_goals(classifier: EncoderClassifier) -> None:
    """The built-in encoder meets the protocol, and its goals are the five goals."""
    assert isinstance(classifier, Classifier)
    assert classifier.taxonomy == FIVE_GOALS
    assert classifier.name == f"ethostat-encoder-{classifier.card.version}"


def test_verdicts_are_distributions_in_order(classifier: EncoderClassifier) -> None:
    """Each response gets a verdict under its own ids, in order, with probabilities that sum to 1."""
    responses = rows(40)
    verdicts = classifier.classify(responses)

    assert [verdict.response_id for verdict in verdicts] == [response.id for response in responses]
    assert [verdict.prompt_id for verdict in verdicts] == [response.prompt.id for response in responses]
    assert [sum(verdict.probabilities) for verdict in verdicts] == pytest.approx([1.0] * 40, abs=1e-9)
    assert all(verdict.goal == FIVE_GOALS.keys[int(np.argmax(verdict.probabilities))] for verdict in verdicts)


def test_verdict_does_not_depend_on_neighbours(classifier: EncoderClassifier) -> None:
    """A response gets the same probabilities, to the last bit, alone, shuffled, and on one thread."""
    responses = rows(60)
    together = {verdict.response_id: verdict.probabilities for verdict in classifier.classify(responses)}
    shuffled = [responses[at] for at in np.random.default_rng(3).permutation(60)]
    one_thread = EncoderClassifier(BUILTIN, threads=1)

    assert {v.response_id: v.probabilities for v in classifier.classify(shuffled)} == together
    assert {v.response_id: v.probabilities for v in one_thread.classify(responses)} == together
    assert all(classifier.classify([r])[0].probabilities == together[r.id] for r in responses[:10])


def test_stream_reads_only_a_little_ahead(classifier: EncoderClassifier) -> None:
    """A stream without end gives verdicts in order while only a few responses are taken from it."""
    taken: list[int] = []

    def endless() -> Iterator[Response]:
        for number in itertools.count():
            taken.append(number)
            yield pair("Hi", "Hello", str(number))

    verdicts = list(itertools.islice(classifier.classify_stream(endless()), 50))

    assert [verdict.response_id for verdict in verdicts] == [str(number) for number in range(50)]
    assert len(taken) < 100


def test_nothing_to_classify_gives_nothing(classifier: EncoderClassifier) -> None:
    """No responses give no verdicts."""
    assert classifier.classify([]) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_gets_a_verdict(classifier: EncoderClassifier, text: str) -> None:
    """Any text at all, as prompt, as response or as both, gets a verdict."""
    verdicts = classifier.classify([pair("Hello?", text), pair(text, "Hello."), pair(text, text)])

    assert [sum(verdict.probabilities) for verdict in verdicts] == pytest.approx([1.0] * 3)


def test_last_user_turn_decides(classifier: EncoderClassifier) -> None:
    """The same words are help beside the last question and off-topic beside another, whatever came before."""
    bread, capital = "How do I bake bread at home?", "What is the capital of France?"
    answer = "Mix flour, water, salt and yeast, let the dough rise for two hours, and bake it at 230 degrees."
    last_bread = Prompt("a", (Message("user", capital), Message("assistant", "Paris."), Message("user", bread)))
    last_capital = Prompt("b", (Message("user", bread), Message("assistant", "Gladly."), Message("user", capital)))

    asked, unasked = classifier.classify([Response(last_bread, answer), Response(last_capital, answer)])
    assert asked.goal == "g1"
    assert unasked.probabilities[4] > asked.probabilities[4]


@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER])
@pytest.mark.parametrize("harm", ["flip", "truncate", "append"])
def test_changed_file_is_refused(copy: Path, name: str, harm: str) -> None:
    """One flipped bit, a missing end or an added byte is refused, naming the file, both hashes and what to do."""
    content = bytearray((copy / name).read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
    (copy / name).write_bytes({"truncate": content[:-100], "append": content + b"\0"}.get(harm, content))
    expected = json.loads((copy / CARD).read_text())["files"][name]["sha256"]

    with pytest.raises(CorruptWeights, match=f"{name} has sha256 [0-9a-f]{{64}}, but its card says {expected}.*anew"):
        EncoderClassifier(copy)


@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER])
@pytest.mark.parametrize("most", [0, 7, 100_000])
def test_file_that_was_cut_short_before_its_card_was_written_is_refused(copy: Path, name: str, most: int) -> None:
    """A hash that agrees does not make a graph or a tokenizer of the beginning of one."""
    start = (copy / name).read_bytes()[:most]
    (copy / name).write_bytes(start)
    card = json.loads((copy / CARD).read_text())
    card["files"][name]["sha256"] = hashlib.sha256(start).hexdigest()
    (copy / CARD).write_text(json.dumps(card))

    with pytest.raises(CorruptWeights, match="they cannot be opened"):
        EncoderClassifier(copy)


def test_missing_file_is_refused(copy: Path) -> None:
    """A file that the card names and the directory lacks is refused by name."""
    (copy / WEIGHTS).unlink()

    with pytest.raises(CorruptWeights, match=f"{WEIGHTS} is missing"):
        EncoderClassifier(copy)


def test_hash_covers_what_decides_a_verdict(copy: Path, classifier: EncoderClassifier) -> None:
    """An equal copy has the same hash; another temperature, cutting or taxonomy has another; figures do not count."""
    card = json.loads((copy / CARD).read_text())

    def hash_with(**changes: object) -> str:
        (copy / CARD).write_text(json.dumps(card | changes))
        return EncoderClassifier(copy).hash

    assert hash_with() == classifier.hash
    assert hash_with(evaluation={}) == classifier.hash
    assert hash_with(temperature=card["temperature"] + 0.1) != classifier.hash
    assert hash_with(cutting=card["cutting"] | {"response_tail": 7}) != classifier.hash
    assert hash_with(taxonomy=card["taxonomy"] | {"version": "other"}) != classifier.hash


def test_temperature_softens_without_changing_the_goal(copy: Path, classifier: EncoderClassifier) -> None:
    """A higher temperature lowers the largest probability and leaves the goal."""
    card = json.loads((copy / CARD).read_text())
    (copy / CARD).write_text(json.dumps(card | {"temperature": card["temperature"] * 3}))
    sharp, soft = classifier.classify(rows(5)), EncoderClassifier(copy).classify(rows(5))

    assert [verdict.goal for verdict in soft] == [verdict.goal for verdict in sharp]
    assert all(max(b.probabilities) < max(a.probabilities) for a, b in zip(sharp, soft, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0}, "temperature must be a positive number, got 0"),
        ({"temperature": "warm"}, "could not convert"),
        ({"files": {}}, "must give the sha256 of tokenizer.json and weights.onnx"),
        ({"taxonomy": {"name": "x", "goals": []}}, "2 to 32 goals, got 0"),
        ({"cutting": {"prompt": 3, "colour": 1}}, "colour"),
        ({"cutting": None}, "is not a classifier's card"),
    ],
)
def test_broken_card_is_refused(copy: Path, changes: dict[str, object], message: str) -> None:
    """A card that breaks a rule is refused with the rule."""
    card = json.loads((copy / CARD).read_text())
    (copy / CARD).write_text(json.dumps(card | changes))

    with pytest.raises(ClassifierError, match=message):
        EncoderClassifier(copy)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}"])
def test_card_that_is_no_card_is_refused(copy: Path, text: str) -> None:
    """A card.json that holds anything but a card is refused by path."""
    (copy / CARD).write_text(text)

    with pytest.raises(ClassifierError, match="is not a classifier's card"):
        EncoderClassifier(copy)


def test_card_and_graph_must_agree_on_the_goals(copy: Path) -> None:
    """A taxonomy of another size than the graph's output is refused with both numbers."""
    card = json.loads((copy / CARD).read_text())
    card["taxonomy"]["goals"].pop()
    (copy / CARD).write_text(json.dumps(card))

    with pytest.raises(ClassifierError, match="5 logits for 4 goals"):
        EncoderClassifier(copy)


def test_the_package_knows_its_own_card(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A built-in whose card was changed together with its files, so that they agree, is refused all the same."""
    card = json.loads((copy / CARD).read_text())
    card["temperature"] *= 2
    (copy / CARD).write_text(json.dumps(card))
    assert EncoderClassifier(copy).card.temperature == card["temperature"]

    monkeypatch.setattr(encoder, "BUILTIN", copy)
    with pytest.raises(CorruptWeights, match="this version of ethostat says"):
        load_builtin()


def test_threads_must_be_positive() -> None:
    """No threads at all is refused."""
    with pytest.raises(InvalidInput, match="threads must be at least 1, got 0"):
        EncoderClassifier(BUILTIN, threads=0)


def test_setting_opens_builtin_or_directory(copy: Path, classifier: EncoderClassifier) -> None:
    """A setting names the built-in classifier or a directory; anything else is refused."""
    assert open_encoder("builtin").hash == classifier.hash
    assert open_encoder(str(copy)).hash == classifier.hash
    with pytest.raises(
        ClassifierError, match="'nowhere' is neither 'builtin', judge:MODEL, guard:NAME:MODEL nor a directory"
    ):
        open_encoder("nowhere")
    with pytest.raises(ClassifierError, match=r"has no card\.json"):
        open_encoder(str(copy.parent))


def test_package_carries_at_most_forty_megabytes() -> None:
    """Weights, tokenizer and card together stay within 40 MB."""
    assert sum(path.stat().st_size for path in BUILTIN.iterdir()) <= 40e6
