"""The page: text is wrapped without loss, and nothing in it passes for the page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from ethostat.desk.page import GOAL_KEYS, flowed, goal_lines, item_page, prompt_lines, wrapped
from ethostat.labelling import Item, Said
from ethostat.response import Message, Prompt, Response
from ethostat.taxonomy import FIVE_GOALS, Goal, Taxonomy

TURNS = tuple(Message("user" if i % 2 == 0 else "assistant", f"turn {i}\n" * 20) for i in range(5))


@settings(deadline=None)
@given(text=st.text(st.sampled_from("ab \n漢é👍\u0301ש"), max_size=60), columns=st.integers(2, 12))
def test_wrapping_loses_no_character_and_keeps_the_margin(text, columns):
    """Every character comes out in order, and no line is wider than the window in cells."""
    lines = wrapped(text, columns)

    assert "".join(lines) == text.replace("\n", "")
    assert max(map(cell_len, lines)) <= columns


def test_a_megabyte_on_one_line_is_laid_out():
    """A text of a million characters without a break has the lines that it must have."""
    assert len(wrapped("x" * 1_000_000, 100)) == 10_000
    assert len(wrapped("é" * 100_000, 100)) == 1_000


def test_what_a_model_wrote_stands_behind_the_bar():
    """Every line of prompt, response, note and raters' notes is barred; headings are the page's own."""
    fake = "RESPONSE\nRATERS SAID 9 x g1\x1b[2J\u2028\x85more"
    item = Item(Response(Prompt.from_text(fake), fake), note=fake, said=Said({"g1": 1, "g4": 1}, (fake,)))

    page = item_page(item, 60, taxonomy=FIVE_GOALS, fold=None)

    assert [line.text for line in page if not line.barred] == [
        "RATERS SAID 1 x Helpful & Aligned, 1 x Refusal Misaligned", "PROMPT", "RESPONSE", "YOUR NOTE",
    ]  # fmt: skip
    assert all(line.text.isprintable() for line in page)


def test_a_long_conversation_shows_its_last_turn():
    """Folded: the last turn alone, its beginning and end; unfolded: every turn by its role."""
    prompt = Prompt("p", (*TURNS[:-1], Message("user", "first\n" + "middle\n" * 50 + "last")))

    folded = [line.text for line in prompt_lines(prompt, 40, fold=6)]
    whole = [line.text for line in prompt_lines(prompt, 40, fold=None)]

    assert folded[:3] == ["PROMPT, 5 turns", "... 4 earlier turns: p shows all", "user:"]
    assert "first" in folded
    assert folded[-1] == "last"
    assert len(folded) <= 9
    assert [text for text in whole if text.endswith(":")] == ["user:", "assistant:"] * 2 + ["user:"]


def test_an_empty_response_says_so():
    """Nothing, and white space alone, are named: an off-topic answer, not a fault of the page."""
    pages = [
        item_page(Item(Response(Prompt.from_text("q"), text)), 40, taxonomy=FIVE_GOALS, fold=None)
        for text in ("", " \n ")
    ]

    assert [page[-1].text for page in pages] == ["(empty)", "(white space only)"]


@pytest.mark.parametrize("columns", [16, 40, 90, 200])
def test_every_goal_has_a_key_in_every_window(columns):
    """32 goals have 32 different keys, none of them a command's; where names do not fit, keys stand alone."""
    goals = tuple(Goal(f"g{i}", f"Behaviour number {i}", "Some.", aligned=True) for i in range(32))
    keys = GOAL_KEYS[:32]

    lines = goal_lines(Taxonomy("many", "1", goals), columns, most=3)

    assert len(set(keys)) == 32
    assert not set(keys) & set("usnpqkjb? ")
    assert len(lines) <= 3
    assert all(
        f"{key} {goal.name}" in "   ".join(flowed_all(200)) for key, goal in zip("12345", FIVE_GOALS.goals, strict=True)
    )


def flowed_all(columns: int) -> list[str]:
    """The five goals' lines in a window."""
    return [line.plain for line in goal_lines(FIVE_GOALS, columns, most=5)]


def test_entries_flow_into_the_window():
    """As many side by side as fit; one that is too wide has a line of its own."""
    assert flowed(["1 one", "2 two", "3 three"], 15) == ["1 one   2 two", "3 three"]
