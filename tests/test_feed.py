"""feed: rows of a growing file as they come, and the place to go on from."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.feed import Place, feed
from ethostat.statefile import StateFile


def rows_of(batches):
    """Fields, or the reason why there are none."""
    return [row.reason if isinstance(row, InvalidRow) else dict(row.fields) for batch in batches for row, _ in batch]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".jsonl.gz"])
def test_reading_goes_on_behind_any_row(tmp_path, suffix):
    """From the place behind each row exactly the rows behind it come, in every format."""
    path = tmp_path / f"log{suffix}"
    text = (
        "n\n" + "".join(f"{n}\n" for n in range(5))
        if suffix == ".csv"
        else "".join(json.dumps({"n": str(n)}) + "\n" for n in range(5))
    )
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    places = [place for batch in feed(str(path)) for _, place in batch]

    for number, place in enumerate(places, 1):
        again = Place(**json.loads(json.dumps(place.to_dict())))
        assert rows_of(feed(str(path), again)) == [{"n": str(n)} for n in range(number, 5)]


def test_an_unfinished_last_line_waits(tmp_path):
    """A line that is being written is not taken until it is whole; one that lacks only its end is."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\n{"n": ')
    *_, (row, place) = [one for batch in feed(str(path)) for one in batch]
    assert isinstance(row, InvalidRow)
    with path.open("a") as file:
        file.write('2}\n{"n": 3}')

    assert rows_of(feed(str(path), place)) == [{"n": 2}, {"n": 3}]


def test_another_file_under_the_name_is_read_from_its_beginning(tmp_path):
    """A place of a log that was replaced, or cut, is not used."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    *_, (_, place) = [one for batch in feed(str(path)) for one in batch]
    path.write_text('{"m": 1}\n{"m": 2}\n{"m": 3}\n')

    assert rows_of(feed(str(path), place)) == [{"m": 1}, {"m": 2}, {"m": 3}]


def test_following_sees_what_is_added_and_what_takes_its_place(tmp_path):
    """With `follow` rows come as they are written, over a rotation too; an empty list says that nothing came."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\n')
    batches = feed(str(path), follow=True)
    seen = rows_of([next(batches)])
    with path.open("a") as file:
        file.write('{"n": 2}\n')
    seen += rows_of([next(batches)])
    assert next(batches) == []
    path.rename(tmp_path / "log.1.jsonl")
    assert next(batches) == []
    path.write_text('{"n": 3}\n')
    while len(seen) < 3:
        seen += rows_of([next(batches)])

    assert seen == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_hostile_lines_are_named_and_left_out(tmp_path, monkeypatch):
    """Broken, empty, overlong and undecodable lines do not stop the rows behind them."""
    monkeypatch.setattr("ethostat.feed.LONGEST_LINE", 1000)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"n": 1}\n\n{"n": \n[1]\n"' + b"x" * 200_000 + b'"\n{"n": "\xff"}\n{"n": 2}\n')
    found = rows_of(feed(str(path)))

    assert [row for row in found if isinstance(row, dict)] == [{"n": 1}, {"n": 2}]
    assert len(found) == 6


def test_a_pipe_is_read_as_it_comes(monkeypatch):
    """Standard input gives its rows, the last without a line end too."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"n": 1}\n{"n": 2}')))

    assert rows_of(feed("-")) == [{"n": 1}, {"n": 2}]


def test_what_cannot_be_read_or_followed_is_refused(tmp_path):
    """A missing file, and a format that does not grow by lines."""
    with pytest.raises(InvalidInput, match="cannot be read"):
        next(feed(str(tmp_path / "none.jsonl")))
    with pytest.raises(InvalidInput, match="cannot be followed"):
        feed(str(tmp_path / "log.csv"), follow=True)


def test_a_state_is_replaced_whole_and_has_one_writer(tmp_path):
    """What was written is read again; a second writer, a foreign file and a missing folder are refused."""
    path = tmp_path / "state.json"
    with StateFile(path) as file:
        assert file.read() is None
        file.write({"n": 1})
        file.write({"n": 2})
        assert file.read() == {"format": 1, "n": 2}
        with pytest.raises(InvalidInput, match="in use"), StateFile(path):
            pass
    for text in ("{", "[]", '{"format": 9}'):
        path.write_text(text)
        with StateFile(path) as file, pytest.raises(InvalidInput, match="remove it"):
            file.read()
    with pytest.raises(InvalidInput, match="cannot be written"), StateFile(Path(tmp_path / "no" / "state")):
        pass
