"""Examples to learn from: labelled rows, thinned, and pairs composed across sources.

Most sources are all-benign or all-harmful, so a network that sees only their rows learns to recognise the
source. Composed pairs break the link: any refusal beside any benign prompt is g4, any open prompt teaches
whether a request is harmful, and a stranger's answer misses the question whoever asked it.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from encoder_pleas import compose_plea
from encoder_short import PLAIN_HELP, SHORT, SHORT_MISSES, SHORT_REFUSALS
from ethostat.response import Message, Prompt

GOALS = ("g1", "g2", "g3", "g4", "g5")
COMPLY, REFUSE, MISS = range(3)
HELD_FOLD = 0
# At most so many rows of a source and label in an epoch: truthfulqa and gptfuzz have few prompts and many rows.
MOST = {"truthfulqa": 130, "gptfuzz": 350, "adaptive_attacks": 200}
TWICE = {"xstest", "coconot_pref", "dolly", "self_instruct_seed"}
SHORT_TIMES, PLAIN_TIMES = 5, 10
PLEADING = 0.24
"""Share of responses with a plea to their judge; half as many prompts have one."""
# Every second written fact has a false twin; traffic has far fewer, and a plain fact must not be a toss-up.
FALSE_OF_WRITTEN = 0.6
# Misses and refusals are composed beside every prompt; without a second turn help is too rare, harmful help too.
# Rows whose g1 and g2 differ in facts alone teach nothing of what help looks like.
OF_FACTS = {"truthfulqa", "safetext"}
WRITTEN = Path(__file__).parent / "written"
# Of the exchanges written for training, one prompt in so many is held out and judged on its own.
HELD_OF_WRITTEN = 12
PROMPT_FILES = {"harmful": 1, "borderline": 0, "benign": 0, "truthful": 0}

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "Sorry, I won't do that.",
    "I'm not able to provide that. If there is something else I can do, please let me know.",
    "I must decline. This goes against the rules I follow.",
    "No. I don't think it would be right to help with this.",
    "As an AI language model, I am not able to give advice on this topic.",
    "I apologize, but I am not comfortable answering that question.",
    "That isn't something I can help you with. Please talk to a professional.",
    "I would rather not answer this, because it could cause harm.",
    "Unfortunately I can't discuss this subject.",
    "It would be inappropriate for me to respond to that.",
    "I understand why you ask, but I have to say no to this one.",
    "My guidelines do not allow me to give you this information.",
    "I'm unable to continue with this conversation.",
    "Let's talk about something else. This is not a topic I can go into.",
    "I can't support this. If you are struggling, please reach out to someone you trust.",
    "This request involves violence, and I do not provide assistance with violence.",
    "I do not have the ability to answer questions of this kind.",
    "Thanks for asking, but I won't be able to help here.",
)
_WORD = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True)
class Example:
    """One pair and what it teaches; None where it says nothing about a factor.

    `harm` 1: the request is harmful; `behaviour`: COMPLY, REFUSE or MISS; `bad` 1: the help itself is harmful or
    false; `goals`: the goals that its label allows; `turns`: (role, text) of the conversation before the prompt.
    """

    id: str
    source: str
    prompt: str
    response: str
    harm: int | None
    behaviour: int | None
    bad: int | None
    goals: tuple[str, ...]
    turns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Corpus:
    """Everything that one training run may see."""

    rows: list[Example]
    partial: list[Example]
    prompts: list[Example]
    held: list[Example]
    written: list[Example]
    written_held: list[Example]
    left_out: dict[str, int]


def read_corpus(folder: Path, *, without: Sequence[str] = ()) -> Corpus:
    """Labelled rows and prompts of the folder, without rows of non-commercial origin.

    The groups of HELD_FOLD, and the sources named in `without`, are held out; nothing that shares a group
    with a held row is learned from.
    """
    labelled = [row for name in ("human", "judge", "constructed") for row in _read(folder / f"{name}.jsonl")]
    partial = _read(folder / "aux.jsonl")
    free = [row for row in labelled if not row["upstream_nc"]]
    free_partial = [row for row in partial if not row["upstream_nc"]]
    held_groups = {row["split_group"] for row in labelled if row["fold"] == HELD_FOLD or row["source"] in without}
    prompts = [row for name in PROMPT_FILES for row in _open_prompts(folder / "prompts", name)]
    prompts += [row for row in _open_prompts(folder / "prompts", "jailbreak") if row["kind"] == "ready prompt"]

    def learned(row: dict[str, Any]) -> bool:
        groups = {row["split_group"], row.get("donor_split_group")}
        return row["source"] not in without and not groups & held_groups

    written = [_written_example(row) for row in read_written()]
    return Corpus(
        written=[row for row in written if not _held_of_written(row)],
        written_held=held_of_written(),
        rows=[_example(row) for row in free if learned(row)],
        partial=[_example(row) for row in free_partial if learned(row)],
        prompts=[_example(row) for row in prompts if learned(row)],
        held=[_example(row) for row in free if row["fold"] == HELD_FOLD or row["source"] in without],
        left_out={"labelled": len(labelled) - len(free), "partial": len(partial) - len(free_partial)},
    )


def prompt_of(example: Example) -> Prompt:
    """The example's prompt, after the turns before it where it has any."""
    if not example.turns:
        return Prompt.from_text(example.prompt)
    before = tuple(Message(role, text) for role, text in example.turns)
    return Prompt(example.id, (*before, Message("user", example.prompt)))


def compose_epoch(corpus: Corpus, rng: random.Random) -> list[Example]:
    """The examples of one epoch, shuffled; each epoch composes other pairs."""
    rows = _thin(corpus.rows, rng)
    refusals = [row.response for row in rows if row.behaviour == REFUSE]
    answers = [row for row in rows if row.behaviour == COMPLY]
    examples = rows + [row for row in rows if row.source in TWICE] + _thin(corpus.partial, rng)
    for prompt in _thin(corpus.prompts, rng, most=900):
        if rng.random() < 0.75:
            examples.append(_refused(prompt, rng, refusals))
        else:
            examples.append(_missed(prompt, rng, answers))
    benign = [row for row in rows if row.harm == 0]
    examples += [_refused(row, rng, refusals) for row in rng.sample(benign, len(benign) // 3)]
    examples += [_missed(row, rng, answers) for row in rng.sample(benign, len(benign) // 6)]
    examples += [_degenerate(row, rng) for row in rng.sample(rows, len(rows) // 8)]
    examples += [row for row in corpus.written if row.response and (not row.bad or rng.random() < FALSE_OF_WRITTEN)]
    examples += [row for row in corpus.written if row.response and not row.bad]
    help = [row for row in rows if row.goals in (("g1",), ("g2",)) and row.source not in OF_FACTS]
    examples += help + [row for row in corpus.written if row.goals == ("g1",)]
    for row in (row for row in corpus.written if not row.response):
        examples.append(_refused(row, rng, refusals) if rng.random() < 0.7 else _missed(row, rng, answers))
    settled = [row for row in corpus.written if row.harm is not None and not row.turns and row.response]
    examples += [_refused(row, rng, refusals) for row in rng.sample(settled, len(settled) // 3)]
    examples += [_missed(row, rng, answers) for row in rng.sample(settled, len(settled) // 4)]
    examples += [example for at in range(len(SHORT)) for _ in range(SHORT_TIMES) for example in _short(at, rng)]
    examples += [_plain(at) for at in range(len(PLAIN_HELP)) for _ in range(PLAIN_TIMES)]
    rng.shuffle(examples)
    return [_vary(example, rng, answers) for example in examples]


def read_written() -> list[dict[str, Any]]:
    """The exchanges and prompts of `written/`, each with an id; synthetic, written with a large language model."""
    files = sorted(WRITTEN.glob("*.jsonl"))
    return [row | {"id": f"{path.stem}-{at}"} for path in files for at, row in enumerate(_read(path))]


def _written_example(row: dict[str, Any]) -> Example:
    messages = row.get("messages") or [{"role": "user", "content": row["prompt"]}]
    goal = row.get("label")
    plain = row | {"source": "written", "prompt": messages[-1]["content"], "prompt_harm": row["harm"]}
    plain |= {"response": row.get("response", ""), "label_set": [goal] if goal else list(GOALS)}
    turns = tuple((message["role"], message["content"]) for message in messages[:-1])
    return replace(_example(plain), turns=turns)


def held_of_written() -> list[Example]:
    """The written exchanges that training never sees, by prompt."""
    written = [_written_example(row) for row in read_written()]
    return [row for row in written if _held_of_written(row) and row.response]


def _held_of_written(row: Example) -> bool:
    return hashlib.sha256(row.prompt.encode()).digest()[0] % HELD_OF_WRITTEN == 0


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _open_prompts(folder: Path, name: str) -> list[dict[str, Any]]:
    rows = [row for row in _read(folder / f"{name}.jsonl") if "NC" not in row["licence"]]
    harm = "harmful" if PROMPT_FILES.get(name, 1) else "benign"
    return [row | {"prompt_harm": harm, "response": "", "label_set": list(GOALS)} for row in rows]


def _example(row: dict[str, Any]) -> Example:
    goals = (row["label"],) if row.get("label") else tuple(row["label_set"])
    harm = {"harmful": 1, "benign": 0}.get(row["prompt_harm"])
    behaviour = bad = None
    if len(goals) == 1:
        behaviour = {"g1": COMPLY, "g2": COMPLY, "g3": REFUSE, "g4": REFUSE, "g5": MISS}[goals[0]]
        bad = int(goals[0] == "g2") if behaviour == COMPLY and harm == 0 else None
    return Example(row["id"], row["source"], row["prompt"], row["response"], harm, behaviour, bad, goals)


def _thin(rows: Sequence[Example], rng: random.Random, most: int = 10_000) -> list[Example]:
    kinds: dict[tuple[str, tuple[str, ...]], list[Example]] = {}
    for row in rows:
        kinds.setdefault((row.source, row.goals), []).append(row)
    kept = []
    for (source, _), members in kinds.items():
        cap = min(MOST.get(source, most), most)
        kept += members if len(members) <= cap else rng.sample(members, cap)
    return kept


def _refused(row: Example, rng: random.Random, refusals: Sequence[str]) -> Example:
    text = rng.choice(REFUSALS) if rng.random() < 0.3 else rng.choice(refusals)
    goal = {1: "g3", 0: "g4"}[row.harm or 0]
    return replace(row, response=text, behaviour=REFUSE, bad=None, goals=(goal,))


def _missed(row: Example, rng: random.Random, answers: Sequence[Example]) -> Example:
    """The row with the answer to another prompt that shares no content word with this one, of ten tried."""
    words = set(_WORD.findall(row.prompt.lower()))
    tried = [rng.choice(answers) for _ in range(10)]
    stranger = min(tried, key=lambda other: len(words.intersection(_WORD.findall(other.prompt.lower()))))
    return replace(row, response=stranger.response, behaviour=MISS, bad=None, goals=("g5",))


def _degenerate(row: Example, rng: random.Random) -> Example:
    spoil = rng.choice(SPOILERS)
    return replace(row, response=spoil(row, rng), behaviour=MISS, bad=None, goals=("g5",))


def _short(at: int, rng: random.Random) -> list[Example]:
    """A short exchange answered right, and, where it can be, wrong; refused; echoed; missed."""
    prompt, right, wrong = SHORT[at]
    other = SHORT[(at + rng.randrange(1, len(SHORT))) % len(SHORT)]

    def example(response: str, behaviour: int, goal: str, bad: int | None = None) -> Example:
        return Example(f"short-{at}", "short", prompt, response, 0, behaviour, bad, (goal,))

    told = [example(right, COMPLY, "g1", 0), example(rng.choice(SHORT_REFUSALS + REFUSALS), REFUSE, "g4")]
    if wrong is not None and rng.random() < FALSE_OF_WRITTEN:
        told.append(example(wrong, COMPLY, "g2", 1))
    missed = rng.choice([other[0], *SHORT_MISSES])
    return [*told, example(prompt, MISS, "g5"), example(missed, MISS, "g5")]


def _plain(at: int) -> Example:
    prompt, right = PLAIN_HELP[at]
    return Example(f"plain-{at}", "short", prompt, right, 0, COMPLY, 0, ("g1",))


def _vary(example: Example, rng: random.Random, answers: Sequence[Example]) -> Example:
    """Some examples are cut short, as a token limit cuts them; some come after an unrelated exchange."""
    words = example.response.split(" ")
    if example.behaviour in (COMPLY, REFUSE) and len(words) > 30 and rng.random() < 0.25:
        example = replace(example, response=" ".join(words[: rng.randint(20, min(80, len(words)))]))
    if not example.turns and rng.random() < (0.3 if example.goals == ("g1",) else 0.12):
        other = rng.choice(answers)
        example = replace(example, turns=(("user", other.prompt), ("assistant", other.response)))
    if rng.random() < 0.15:
        example = replace(example, prompt=_typed(example.prompt, rng))
    if example.response and rng.random() < PLEADING:
        example = replace(example, response=_injected(example.response, rng))
    if rng.random() < PLEADING / 2:
        example = replace(example, prompt=_injected(example.prompt, rng))
    return example


def _typed(text: str, rng: random.Random) -> str:
    """The text as somebody in a hurry types it: small letters, a stop or an apostrophe left out, letters swapped."""
    style = rng.randrange(4)
    if style == 0:
        return text.lower()
    if style == 1:
        return text.lower().rstrip(".?! ").replace("'", "")
    if style == 2:
        return text.replace(",", "").rstrip(".?! ")
    letters = list(text)
    for _ in range(max(1, len(letters) // 60)):
        at = rng.randrange(max(1, len(letters) - 1))
        letters[at : at + 2] = reversed(letters[at : at + 2])
    return "".join(letters)


def _injected(text: str, rng: random.Random) -> str:
    """The text with a plea to its judge before, inside or after it, which must not move the verdict."""
    plea = compose_plea(rng)
    sep = rng.choice([" ", "\n", "\n\n"])
    words = text.split(" ")
    at = rng.choice([0, len(words), len(words), rng.randint(0, len(words))])
    return sep.join(part for part in (" ".join(words[:at]), plea, " ".join(words[at:])) if part)


def _empty(_: Example, rng: random.Random) -> str:
    return rng.choice(["", " ", "\n", "...", ".", "-", "N/A"])


def _loop(row: Example, rng: random.Random) -> str:
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n", row.response) if part] or ["and"]
    unit = rng.choice(sentences)[:120] if rng.random() < 0.6 else " ".join(rng.choice(sentences).split()[:3])
    return rng.choice([" ", "\n", "\n\n"]).join([unit] * rng.randint(5, 30))


def _salad(row: Example, rng: random.Random) -> str:
    words = (row.response + " " + row.prompt).split()
    rng.shuffle(words)
    return " ".join(words[: rng.randint(10, 80)])


def _noise(_: Example, rng: random.Random) -> str:
    signs = "#*-_=<>/\\|~^{}[]()0123456789.,;:?!@ \n"
    return "".join(rng.choice(signs) for _ in range(rng.randint(5, 200)))


def _echo(row: Example, rng: random.Random) -> str:
    asked = row.prompt[-400:]
    return rng.choice([asked, f"{asked}\n{asked}\n{asked}", f'"{asked}"', f"{asked} {asked}"])


def _fragment(row: Example, rng: random.Random) -> str:
    words = row.response.split()
    # A short answer may be whole in three words; a long one is not.
    return " ".join(words[: rng.randint(1, 3)]) if len(words) > 15 else _noise(row, rng)


def _more_questions(row: Example, rng: random.Random) -> str:
    """What a base model does that takes the prompt for the first line of a list."""
    asked = row.prompt[-200:].strip()
    stems = ("What is", "How do you", "Why does", "Who is", "Where can I find", "What are the types of")
    tail = " ".join(asked.split()[-4:])
    return "\n".join(f"{rng.choice(stems)} {tail}" for _ in range(rng.randint(4, 15)))


SPOILERS: tuple[Callable[[Example, random.Random], str], ...] = (
    _empty,
    _empty,
    _loop,
    _loop,
    _salad,
    _noise,
    _echo,
    _echo,
    _fragment,
    _more_questions,
)


def sources(examples: Iterable[Example]) -> dict[str, int]:
    """Number of examples by source."""
    counts: dict[str, int] = {}
    for example in examples:
        counts[example.source] = counts.get(example.source, 0) + 1
    return dict(sorted(counts.items()))
