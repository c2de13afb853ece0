"""EncoderClassifier: a small transformer in a directory, run by onnxruntime.

The directory holds weights.onnx, tokenizer.json and card.json. The graph takes `ids`, and where it wants them
`segments`, int64 of shape (1, tokens), and gives `logits`, shape (1, goals); the card names the goals, the
temperature, the cutting, the layout, and the SHA-256 of the other files. Any number of goals will do. A graph may
also give `features`, shape (1, width); where the card names a reference.npz to compare them with, verdicts say how
typical a response is.

Rows are run one by one, each on one thread, several at a time. Batches would make the verdict of a response
depend on its neighbours: dynamic int8 quantisation scales activations by the largest of the whole batch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy.special import softmax
from tokenizers import Tokenizer

from ethostat.classifiers.cutting import Cutting, Tokens
from ethostat.classifiers.layout import BERT, Layout, layout_from
from ethostat.classifiers.reference import REFERENCE, read_reference
from ethostat.errors import ClassifierError, CorruptWeights, InvalidInput
from ethostat.maths.conformal import Cells, Reference
from ethostat.response import Prompt, Response, Verdict
from ethostat.taxonomy import Taxonomy

CARD, WEIGHTS, TOKENIZER = "card.json", "weights.onnx", "tokenizer.json"
BUILTIN = Path(__file__).parent / "builtin"
# The card names the hashes of the other files: with its own, no file of the package can be another one's unnoticed.
BUILTIN_CARD = "2210d042e8f790df09f53bf20f217739c604f6e26762bf0b1ca9f42f6cd4ecd2"
_MOST_THREADS = 2
_AHEAD = 8
# Goes up when the code changes how a row is read or a verdict is made, so that the hash changes with it.
_READING = 1
_OUTPUTS = (["logits"], ["logits", "features"])
_NOTHING = Prompt.from_text("")


@dataclass(frozen=True, slots=True)
class Card:
    """What decides a verdict, as card.json says it; figures and sources are for people and stay in the file."""

    name: str
    version: str
    taxonomy: Taxonomy
    temperature: float
    cutting: Cutting
    files: Mapping[str, str]
    layout: Layout = BERT

    @classmethod
    def load(cls, directory: Path) -> Card:
        """Read card.json of the directory. Raises ClassifierError where there is none, or it breaks a rule."""
        path = directory / CARD
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ClassifierError(f"{directory} has no {CARD}; name the directory of a trained classifier") from None
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise ClassifierError(f"{path} is not a classifier's card: {_in_words(fault)}; train it anew") from fault

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Card:
        """The card from plain values. Raises ClassifierError for a temperature or a list of files that cannot be."""
        temperature = float(fields["temperature"])
        if not 0 < temperature < float("inf"):
            raise ClassifierError(f"temperature must be a positive number, got {temperature}")
        files = {str(name): str(entry["sha256"]) for name, entry in fields["files"].items()}
        if missing := {WEIGHTS, TOKENIZER} - files.keys():
            raise ClassifierError(f"the card must give the sha256 of {' and '.join(sorted(missing))}")
        taxonomy = Taxonomy.from_dict(fields["taxonomy"])
        cutting = Cutting(**fields["cutting"])
        layout = layout_from(fields.get("layout"))
        return cls(str(fields["name"]), str(fields["version"]), taxonomy, temperature, cutting, files, layout)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of everything that decides a verdict."""
        decisive = {
            "taxonomy": self.taxonomy.to_dict(),
            "temperature": self.temperature,
            "cutting": asdict(self.cutting),
            "files": {name: self.files[name] for name in (WEIGHTS, TOKENIZER, REFERENCE) if name in self.files},
            "reading": _READING,
        }
        if self.layout != BERT:
            decisive["layout"] = self.layout.to_dict()
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


class EncoderClassifier:
    """Sorts responses with the encoder of a directory; loads in well under a second.

    `threads` is how many rows run at a time, by default the processors there are, at most two. Raises
    CorruptWeights where a file is not the one that the card names, ClassifierError where the directory holds
    no classifier. Safe to share between threads.
    """

    def __init__(self, directory: str | Path, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise InvalidInput(f"threads must be at least 1, got {threads}")
        folder = Path(directory)
        self._card = Card.load(folder)
        whole = {name: _read_checked(folder / name, expected) for name, expected in self._card.files.items()}
        try:
            self._tokenizer = Tokenizer.from_buffer(whole[TOKENIZER])
            self._session = _open_session(whole[WEIGHTS], goals=len(self._card.taxonomy.goals))
            self._inputs = [entry.name for entry in self._session.get_inputs()]
            self._reference = self._open_reference(whole.get(REFERENCE))
        except ClassifierError:
            raise
        except Exception as fault:  # onnxruntime's errors share no narrower class; tokenizers raises ValueError
            raise CorruptWeights(
                f"{folder} has the files that its card names, but they cannot be opened: {fault}; train it anew"
            ) from fault
        self._threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)

    @property
    def name(self) -> str:
        """Name and version, as reports print them."""
        return f"{self._card.name}-{self._card.version}"

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of all that decides a verdict; it changes whenever a verdict could."""
        return self._card.hash

    @property
    def taxonomy(self) -> Taxonomy:
        """The goals it was trained on."""
        return self._card.taxonomy

    @property
    def card(self) -> Card:
        """What the directory's card says of it."""
        return self._card

    @property
    def cells(self) -> Cells | None:
        """What typicality is ranked among; None where the directory has no reference."""
        return None if self._reference is None else self._reference.cells

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """One verdict a response, in order; equal pairs get equal verdicts, whatever stands beside them."""
        return list(self.classify_stream(responses))

    def classify_stream(self, responses: Iterable[Response]) -> Iterator[Verdict]:
        """Verdicts in order and in constant memory; it reads at most eight responses a thread ahead.

        For a live source that may pause, classify each response as it comes: reading ahead would wait for more.
        """
        if self._threads == 1:
            yield from map(self._verdict, responses)
            return
        with ThreadPoolExecutor(self._threads, thread_name_prefix="classify") as pool:
            running: deque[Future[Verdict]] = deque()
            for response in responses:
                running.append(pool.submit(self._verdict, response))
                if len(running) >= _AHEAD * self._threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()

    def logits(self, prompt: Prompt, response: str) -> NDArray[np.float64]:
        """What the graph says of one pair before the temperature, shape (goals,): log scale, up to a constant."""
        return self._run(prompt, response)[0]

    def features(self, prompt: Prompt, response: str) -> NDArray[np.float64]:
        """What the graph makes of one pair before it judges, shape (width,).

        Raises ClassifierError where it gives none.
        """
        _, *features = self._run(prompt, response)
        if not features:
            raise ClassifierError(f"the graph of {self.name} gives no features; export it with that second output")
        return features[0]

    def _run(self, prompt: Prompt, response: str) -> list[NDArray[np.float64]]:
        """Every output of the graph for one pair: logits, and features where it gives them."""
        tokens = self._tokens(prompt, response)._asdict()
        feed = {name: np.array([tokens[name]], dtype=np.int64) for name in self._inputs}
        return [np.asarray(output[0], dtype=np.float64) for output in self._session.run(None, feed)]

    def tokens(self, response: Response) -> Tokens:
        """What it sees of a response and its prompt."""
        return self._tokens(response.prompt, response.text)

    def _tokens(self, prompt: Prompt, response: str) -> Tokens:
        return self._card.layout.tokens(self._card.cutting, self._tokenizer, prompt, response)

    def _verdict(self, response: Response) -> Verdict:
        logits, *features = self._run(response.prompt, response.text)
        probabilities = softmax(logits / self._card.temperature)
        verdict = Verdict.from_probabilities(
            self.taxonomy, probabilities.tolist(), prompt_id=response.prompt.id, response_id=response.id
        )
        if self._reference is None:
            return verdict
        return replace(verdict, typicality=self._reference.p_value(features[0], self.taxonomy.index(verdict.goal)))

    def _open_reference(self, content: bytes | None) -> Reference | None:
        """The reference, where there is one. Raises ClassifierError where it is not of this graph's features."""
        if content is None:
            return None
        reference, width = read_reference(content, goals=len(self.taxonomy.goals)), len(self.features(_NOTHING, ""))
        if reference.width != width:
            raise ClassifierError(
                f"{REFERENCE} is of features of width {reference.width}, the graph gives {width}; fit it anew"
            )
        return reference


def load_builtin(*, threads: int | None = None) -> EncoderClassifier:
    """The classifier of the five goals that comes with the package. Raises CorruptWeights where it is another."""
    _read_checked(BUILTIN / CARD, BUILTIN_CARD, named_by="this version of ethostat")
    return EncoderClassifier(BUILTIN, threads=threads)


def _read_checked(path: Path, expected: str, *, named_by: str = "its card") -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CorruptWeights(
            f"{path} is missing, but {named_by} names it; install or train the classifier anew"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise CorruptWeights(
            f"{path} has sha256 {found}, but {named_by} says {expected}: it was changed or cut short; "
            "install or train the classifier anew"
        )
    return content


def _open_session(weights: bytes, *, goals: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        weights,
        options,
        providers=["CPUExecutionProvider"],
        # The fused kernel is slower on one thread than the two it replaces: 14.2 against 11.5 ms at 120 tokens.
        disabled_optimizers=["SkipLayerNormFusion"],
    )
    inputs, outputs = {entry.name for entry in session.get_inputs()}, session.get_outputs()
    if "ids" not in inputs or not inputs <= set(Tokens._fields) or [each.name for each in outputs] not in _OUTPUTS:
        raise ClassifierError(f"the graph must take ids and segments and give logits; it takes {sorted(inputs)}")
    if outputs[0].shape[-1] != goals:
        raise ClassifierError(
            f"the graph gives {outputs[0].shape[-1]} logits for {goals} goals; card and graph must agree"
        )
    return session


def _in_words(fault: Exception) -> str:
    return f"{fault} is missing" if isinstance(fault, KeyError) else str(fault)
