"""Prompt sets, built-in and from files."""

import csv
import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from ethostat.errors import InvalidInput
from ethostat.prompts import EXPECTED, list_prompt_sets, load_prompts

EXAMPLES = Path(__file__).parent.parent / "examples"


def lines(path: Path, *rows: dict) -> Path:
    """A JSONL file of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(path: Path, *rows: dict) -> Path:
    """A CSV file of these rows."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_default_set_holds_twenty_of_each_category():
    """A hundred prompts, five categories of twenty, each with an id and a known handling, no two alike."""
    prompts = load_prompts("default")

    categories = ("benign", "borderline", "harmful", "truthful", "pressure")
    assert Counter(prompt.category for prompt in prompts) == dict.fromkeys(categories, 20)
    assert {prompt.expected for prompt in prompts} == set(EXPECTED)
    assert len({prompt.hash for prompt in prompts}) == 100
    assert sum(len(prompt.messages) > 1 for prompt in prompts) >= 5


def test_the_demo_set_is_a_stratified_part_of_the_default_set():
    """Five prompts of each category, taken from the hundred."""
    demo, default = load_prompts("demo"), load_prompts("default")

    assert set(demo.prompts) <= set(default.prompts)
    assert set(Counter(prompt.category for prompt in demo).values()) == {5}
    assert [prompt_set.name for prompt_set in list_prompt_sets()] == ["default", "demo"]
    assert demo.hash != default.hash


def test_a_file_keeps_ids_categories_and_handling():
    """The example file gives its prompts under their own names, with their messages."""
    prompts = load_prompts(EXAMPLES / "prompts.jsonl")

    assert [prompt.id for prompt in prompts] == ["invoice", "refund-threat", "discount"]
    assert [message.role for message in prompts.prompts[2].messages] == ["system", "user"]
    assert prompts.prompts[1].expected == "refuse"
    assert prompts.name == "prompts.jsonl"


def test_a_prompt_without_an_id_is_named_by_its_content(tmp_path):
    """Equal texts have equal ids in every file and format; ids that are numbers become text."""
    plain = tmp_path / "a.txt"
    plain.write_text("Hello?\n")

    (from_text,) = load_prompts(plain)
    (from_json,) = load_prompts(lines(tmp_path / "a.jsonl", {"prompt": "Hello?"}))
    (numbered,) = load_prompts(lines(tmp_path / "b.jsonl", {"id": 7, "prompt": "Hello?"}))

    assert from_text.id == from_json.id == from_json.hash == numbered.hash
    assert numbered.id == "7"


@pytest.mark.parametrize(
    ("row", "prompt", "category", "expected", "id"),
    [
        ({"goal": "Do evil", "target": "Sure"}, "Do evil", "harmful", "refuse", None),
        (
            {"Type": "Adversarial", "Category": "Myths", "Question": "Why?", "Best Answer": "No", "Source": "x"},
            "Why?",
            "Myths",
            "correct",
            None,
        ),
        (
            {"id": "v2-1", "prompt": "Kill it?", "type": "homonyms", "label": "safe", "focus": "kill", "note": ""},
            "Kill it?",
            "homonyms",
            "help",
            "v2-1",
        ),
        (
            {"id": "26", "type": "contrast_homonyms", "prompt": "Kill him?", "focus": "kill", "note": ""},
            "Kill him?",
            "contrast_homonyms",
            "refuse",
            "26",
        ),
        (
            {
                "Behavior": "Do it",
                "FunctionalCategory": "contextual",
                "SemanticCategory": "illegal",
                "Tags": "context",
                "ContextString": "A scene.",
                "BehaviorID": "do_it",
            },
            "A scene.\n\n---\n\nDo it",
            "illegal",
            "refuse",
            "do_it",
        ),
    ],
    ids=["AdvBench", "TruthfulQA", "XSTest", "XSTest without labels", "HarmBench"],
)
def test_columns_of_public_benchmarks_are_recognised(tmp_path, row, prompt, category, expected, id):
    """The CSV file of a benchmark is read as it is published."""
    (found,) = load_prompts(table(tmp_path / "a.csv", row))

    assert (found.text, found.category, found.expected) == (prompt, category, expected)
    assert found.id == (id or found.hash)


def test_any_bad_row_stops_the_set_before_anything_is_asked(tmp_path):
    """The error counts the bad rows and names the first of them with line, value and rule."""
    rows = [{"prompt": "fine"}, {"prompt": 5}, {"text": "x"}, {"prompt": " "}, {"messages": [{"role": "king"}]}]

    with pytest.raises(InvalidInput) as raised:
        load_prompts(lines(tmp_path / "a.jsonl", *rows))

    said = str(raised.value)
    assert "4 rows are not usable" in said
    assert "line 2: `prompt` must be text, got a number" in said
    assert "line 3: a prompt needs `prompt` or `messages`, got only 'text'" in said
    assert "line 4: the text that is to be answered must not be blank" in said
    assert "line 5: the role of message 1 must be one of system" in said


def test_an_id_that_occurs_twice_is_an_error_with_both_lines(tmp_path):
    """Two prompts must not share an id, not even equal ones."""
    path = lines(
        tmp_path / "a.jsonl", {"id": "x", "prompt": "a"}, {"id": "y", "prompt": "b"}, {"id": "x", "prompt": "a"}
    )

    with pytest.raises(InvalidInput, match="line 3: id 'x' was already used on line 1"):
        load_prompts(path)


def test_equal_prompts_are_warned_about(tmp_path, caplog):
    """Without ids the first is kept; under different ids both are kept."""
    with caplog.at_level(logging.WARNING):
        once = load_prompts(lines(tmp_path / "a.jsonl", {"prompt": "a"}, {"prompt": "a"}))
        both = load_prompts(lines(tmp_path / "b.jsonl", {"id": "x", "prompt": "a"}, {"id": "y", "prompt": "a"}))

    assert (len(once), len(both)) == (1, 2)
    assert "line 2 repeats the prompt of line 1; it is kept once" in caplog.text
    assert "prompts 'x' and 'y' are equal; both are asked" in caplog.text


def test_an_unknown_name_lists_the_built_in_sets():
    """What is neither a set nor a file is refused, with what there is."""
    with pytest.raises(InvalidInput, match="'defualt' must be a file that exists, or one of default, demo"):
        load_prompts("defualt")
