"""Files in pieces: however a file is cut, its rows are the same."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.rows import read_rows
from ethostat.scaling.fragments import cut
from ethostat.scaling.sources import list_files

AWKWARD = b'\xef\xbb\xbf{"a": 1}\n\n  \n{"a": "two\\nlines"}\r\nnot JSON\n{"a": "' + b"x" * 300 + b'"}\n[1]\n{"a": 7}'


def _told(rows):
    return [row.reason if isinstance(row, InvalidRow) else dict(row.fields) for row in rows]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 10, 25, 100, 10_000])
def test_lines_belong_to_the_fragment_in_which_they_begin(tmp_path, size):
    """Cut anywhere, within lines and at their ends, a file gives the rows of the whole, each once and in order."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(AWKWARD)

    pieces = [row for fragment in cut([str(path)], size=size) for row in fragment.rows()]

    assert _told(pieces) == _told(read_rows(path))


def test_parquet_is_cut_by_row_groups(tmp_path):
    """Fragments of Parquet are whole row groups, side by side."""
    path = tmp_path / "log.parquet"
    parquet.write_table(pa.table({"a": list(range(100))}), path, row_group_size=9)

    fragments = cut([str(path)], size=200)

    assert len(fragments) > 3
    assert [row.fields["a"] for one in fragments for row in one.rows()] == list(range(100))


@pytest.mark.parametrize("name", ["log.csv", "log.json", "log.jsonl.gz"])
def test_what_cannot_be_entered_in_the_middle_stays_whole(tmp_path, name):
    """A quoted line end of CSV, a list, a compressed stream: one fragment."""
    import gzip

    path, rows = tmp_path / name, [{"a": "1\n2"}, {"a": "3"}]
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    else:
        path.write_text('a\n"1\n2"\n3\n' if name.endswith("csv") else json.dumps(rows))

    (fragment,) = cut([str(path)], size=1)

    assert [row.fields["a"] for row in fragment.rows()] == ["1\n2", "3"]


def test_an_id_is_of_the_content_that_was_there(tmp_path):
    """The same file is cut into the same ids again; a file that was changed into others."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(AWKWARD)
    first = [one.id for one in cut([str(path)], size=100)]
    again = [one.id for one in cut([str(path)], size=100)]
    path.write_bytes(AWKWARD + b"\n")
    changed = [one.id for one in cut([str(path)], size=100)]

    assert first == again
    assert not set(first) & set(changed)


def test_a_folder_a_pattern_and_a_url_name_files(tmp_path):
    """Files of folders in a folder count, hidden ones and other kinds do not; order is by name."""
    (tmp_path / "sub").mkdir()
    for name in ("b.jsonl", "a.parquet", "sub/c.csv", ".hidden.jsonl", "notes.doc"):
        (tmp_path / name).write_text("x")

    folder = [one.path for one in list_files(str(tmp_path))]

    assert [path.removeprefix(str(tmp_path)) for path in folder] == ["/a.parquet", "/b.jsonl", "/sub/c.csv"]
    assert [one.path for one in list_files(f"{tmp_path}/*.jsonl")] == [f"{tmp_path}/b.jsonl"]
    assert [one.path for one in list_files(f"file://{tmp_path}/*.jsonl")] == [f"file://{tmp_path}/b.jsonl"]
    assert [one.path for one in list_files(f"file://{tmp_path}")] == [f"file://{path}" for path in folder]


@pytest.mark.parametrize("name", ["nowhere", "*.jsonl", "nowhere://bucket/log.jsonl", "file:///nowhere/x.jsonl"])
def test_what_names_no_file_is_refused(tmp_path, monkeypatch, name):
    """The message says what was named."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput, match=r"no file|cannot be reached"):
        list_files(name)
