"""Labelling in a real terminal, with the real command: what is lost at kill -9, what raters see of each other."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ethostat import FIVE_GOALS, read_labels
from ethostat.store import Store
from terminals import Terminal, plain

ROWS = [{"id": f"r{i}", "prompt": f"question {i}", "response": f"answer {i}"} for i in range(6)]
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x1b[?1049l\u202eevil\x9b31m\r.\nRESPONSE\n1 Helpful & Aligned"


@pytest.fixture
def folder(tmp_path):
    """A folder with a file of six responses."""
    write_rows(tmp_path / "log.jsonl", ROWS)
    return tmp_path


def write_rows(path: Path, rows) -> None:
    """Rows as a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def label(folder: Path, *more: str, rater: str = "ann", **size: int) -> Terminal:
    """The command at a terminal; all rows, so that no classifier is needed."""
    return Terminal(
        "label", "log.jsonl", "--db", "runs.db", "--choose", "all", "--rater", rater, *more, folder=folder, **size
    )


def labelled(folder: Path, name: str = "log.labels.jsonl") -> list[tuple[str, str, str]]:
    """Rater, id and goal of each line of the label file."""
    lines = (folder / name).read_text().splitlines()
    return [(row["rater"], row["id"], row["label"]) for row in map(json.loads, lines)]


def stored(folder: Path) -> list[tuple[str, str, str]]:
    """The same of the store."""
    with Store(folder / "runs.db") as store:
        run = store.get_run("latest").id
        return [(label.rater, label.response_id, label.goal) for label in store.labels(run)]


def row_of(picture: str) -> str:
    """The id of the row on the screen."""
    return f"r{picture.partition('answer ')[2][0]}"


def test_kill_9_loses_no_label_and_work_goes_on_where_it_stopped(folder):
    """When a row is shown, the label before it is in the store and in the file; the next start shows that row."""
    with label(folder) as terminal:
        first = row_of(terminal.see("0 of 6 labelled"))
        second = row_of(terminal.press_and_see("2", "1 of 6 labelled"))
        third = terminal.press_and_see("s", "1 of 6 labelled, 1 skipped")
        terminal.press_and_see("n", "note:")
        terminal.press_and_see("\x1b[200~a remark\x1b[201~\r", "YOUR NOTE")
        terminal.kill()
    assert labelled(folder) == stored(folder) == [("ann", first, "g2")]

    with label(folder) as terminal:
        again = terminal.see("1 of 6 labelled, 1 skipped")
        assert row_of(again) == row_of(third)
        assert "a remark" in again
        for done in range(2, 6):
            terminal.press_and_see("3", f"{done} of 6 labelled")
        terminal.press_and_see("s", f"answer {second[1]}")
        terminal.press_and_see("5", "No row is left: 6 of 6")
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.is_given_back()

    assert len(labelled(folder)) == 6
    assert labelled(folder)[-1] == ("ann", second, "g5")
    assert [row.label for row in read_labels(folder / "log.labels.jsonl", taxonomy=FIVE_GOALS).rows].count("g3") == 4


def test_two_raters_at_once_see_nothing_of_each_other(folder):
    """Both label the same rows at the same time; neither screen names the other's labels; the file has both."""
    with label(folder) as ann, label(folder, rater="bo") as bo:
        rows = [row_of(ann.see("0 of 6 labelled")), row_of(bo.see("0 of 6 labelled"))]
        for done in range(1, 7):
            ann.press_and_see("1", f"{done} of 6 labelled")
            bo.press_and_see("4" if done > 4 else "1", f"{done} of 6 labelled")
        for terminal in (ann, bo):
            terminal.press("q")
            assert terminal.end() == 0
        assert "bo" not in ann.sent.replace("log.labels", "").split()
        assert "Refusal Misaligned; u" not in ann.sent

    assert rows[0] == rows[1]
    assert sorted(labelled(folder)) == sorted(stored(folder))
    assert len(labelled(folder)) == 12

    with label(folder, "--adjudicate", rater="cy") as cy:
        shown = cy.see("0 of 2 settled")
        assert "RATERS SAID 1 x Helpful & Aligned, 1 x Refusal Misaligned" in shown
        assert "ann" not in shown
        cy.press_and_see("4", "1 of 2 settled")
        cy.kill()
    settled = [json.loads(line) for line in (folder / "log.labels.jsonl").read_text().splitlines()][-1]
    assert (settled["settles"], settled["label"], settled["rater"]) == (True, "g4", "cy")


def test_undo_goes_back_as_far_as_one_likes(folder):
    """Each u takes one more label back, from the file too, also those of an earlier sitting."""
    with label(folder) as terminal:
        first = row_of(terminal.see("0 of 6 labelled"))
        second = row_of(terminal.press_and_see("1", "1 of 6 labelled"))
        terminal.press_and_see("2", "2 of 6 labelled")
        terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.is_given_back()

    with label(folder) as terminal:
        terminal.see("2 of 6 labelled")
        assert row_of(terminal.press_and_see("u", "taken back: Helpful & Misaligned")) == second
        assert row_of(terminal.press_and_see("u", "taken back: Helpful & Aligned")) == first
        assert labelled(folder) == []
        terminal.press_and_see("u", "nothing to take back")
        terminal.press_and_see("4", "1 of 6 labelled")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 130

    assert labelled(folder) == stored(folder) == [("ann", first, "g4")]


def test_hostile_text_sends_the_terminal_nothing_and_every_size_holds(folder):
    """Escapes, overrides of direction and fake headings stay text behind the bar, from 1 x 1 to a wide window."""
    said = [{"role": "system", "content": HOSTILE}, {"role": "user", "content": "שלום 漢字 👨‍👩‍👧 \x1b[5n" * 30}]
    write_rows(folder / "log.jsonl", [{"messages": said, "response": HOSTILE}])

    with label(folder, columns=60, rows=20) as terminal:
        picture = terminal.see("evil")
        assert "│ RESPONSE" in picture
        assert "│ 1 Helpful & Aligned" in picture
        for columns, rows, text in (
            (1, 1, "t"),
            (16, 5, "0 of 1"),
            (31, 7, "0 of 1"),
            (200, 60, "system:"),
            (60, 20, "more"),
        ):
            start = len(terminal.sent)
            terminal.resize(columns, rows)
            lines = terminal.see(text, start=start).split("\n")
            assert len(lines) <= rows
        terminal.press_and_see("p", "system:")
        terminal.press("q")
        assert terminal.end() == 0

    shown = terminal.sent[: terminal.sent.rindex("\x1b[?1049l")]
    assert not set(plain(shown)) & set("\x1b\x07\x9b\r\u202e")


def test_keys_that_nobody_meant_label_nothing(folder):
    """Typed before the first picture, held down, or pasted: no label comes of it."""
    with label(folder) as terminal:
        terminal.press("111")
        terminal.see("0 of 6 labelled")
        terminal.press_and_see("1111111", "too fast")
        assert len(stored(folder)) == 1
        terminal.press_and_see("\x1b[200~2222\x1b[201~", "pasted text does nothing")
        terminal.press("\x04")
        assert terminal.end() == 0

    assert len(labelled(folder)) == 1


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(folder):
    """While the process sleeps the terminal is the shell's; afterwards the same row is shown."""
    with label(folder) as terminal:
        row = row_of(terminal.see("0 of 6 labelled"))
        terminal.press("\x1a")
        terminal.wait(lambda: terminal.sent.endswith("\x1b[?1049l") and terminal.is_given_back(), what="sleep")
        time.sleep(0.1)
        start = len(terminal.sent)
        terminal.process.send_signal(signal.SIGCONT)

        assert row_of(terminal.see("0 of 6 labelled", start=start)) == row
        terminal.press_and_see("1", "1 of 6 labelled")
