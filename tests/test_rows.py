"""Rows come as a stream with their place, and the bad ones do not stop the good ones."""

import csv
import gzip
import json
import os
import threading
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.rows import LONGEST_LINE, Rejected, Row, read_rows

GOOD = [{"prompt": "a", "n": 1}, {"prompt": "ä\n\U0001f600", "n": None}]


def write(path: Path, content: bytes | str) -> Path:
    """The path, once the content is in it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def outcome(path: Path) -> list[object]:
    """Fields of the good rows, (line, reason) of the bad ones."""
    return [dict(row.fields) if isinstance(row, Row) else (row.line, row.reason) for row in read_rows(path)]


def test_every_text_format_gives_the_same_rows(tmp_path):
    """The suffix decides the format, and .gz behind it is unpacked."""
    lines = "\n".join(map(json.dumps, GOOD))
    for name, content in [("a.jsonl", lines), ("a.ndjson", lines), ("a.json", json.dumps(GOOD, indent=2))]:
        assert outcome(write(tmp_path / name, content)) == GOOD
        assert outcome(write(tmp_path / f"{name}.gz", gzip.compress(content.encode()))) == GOOD


def test_parquet_gives_typed_rows_numbered_from_one(tmp_path):
    """Parquet rows keep their types; their line is the number of the row."""
    parquet.write_table(pa.Table.from_pylist(GOOD * 300), tmp_path / "a.parquet")

    rows = list(read_rows(tmp_path / "a.parquet"))

    assert [row.fields for row in rows] == GOOD * 300
    assert [row.line for row in rows] == list(range(1, 601))


def test_csv_cells_are_text_and_lines_count_quoted_breaks(tmp_path):
    """A row of a CSV file starts where its first cell starts, whatever line breaks are quoted before it."""
    path = write(tmp_path / "a.csv", '\ufeffprompt,response\r\n"two\r\nlines",x\r\nplain,"a ""quoted"" word"\r\n')

    first, second = read_rows(path)

    assert (first.line, first.fields, first.textual) == (2, {"prompt": "two\r\nlines", "response": "x"}, True)
    assert (second.line, second.fields["response"]) == (4, 'a "quoted" word')


def test_tab_separated_and_plain_text(tmp_path):
    """.tsv splits at tabs; each line of .txt that is not blank is a prompt."""
    assert outcome(write(tmp_path / "a.tsv", "prompt\tn\na, b\t1\n")) == [{"prompt": "a, b", "n": "1"}]
    assert outcome(write(tmp_path / "a.txt", "first \n\n  second\r\n")) == [{"prompt": "first"}, {"prompt": "second"}]


def test_bad_lines_are_named_and_the_good_ones_kept(tmp_path):
    """Each bad line of JSONL comes as an InvalidRow in its place, with the reason."""
    bad = {
        b'{"a": 1': "not JSON",
        b"[1]": "a row must be a JSON object, got list",
        b'{"a": NaN}': "not JSON",
        b'{"a": "\\ud800"}': "lone surrogate",
        b'{"a": "\xff"}': "not UTF-8 (byte 7)",
        b"\0\0\0": "NUL bytes",
        b'{"a":' + b"[" * 100_000: "nested too deeply",
        b'{"a": ' + b"1" * 5000 + b"}": "not JSON",
    }
    good = b'{"a": "ok"}\n'
    path = write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + good + b"".join(line + b"\r\n" + good for line in bad))

    found = outcome(path)

    assert found[0::2] == [{"a": "ok"}] * (len(bad) + 1)
    for place, (said, reason) in enumerate(zip(found[1::2], bad.values(), strict=True)):
        assert said[0] == 2 + 2 * place
        assert reason in said[1]


def test_a_line_that_is_too_long_is_left_out(tmp_path):
    """A line above the limit is an InvalidRow and what follows is read."""
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b'{"a": "' + b"x" * LONGEST_LINE + b'"}\n{"a": 1}\n')

    assert outcome(path) == [(1, "a line must be at most 64 MB long"), {"a": 1}]


def test_ragged_and_broken_csv_rows_are_named(tmp_path):
    """Rows with too few or too many cells, text behind a quote, bytes that are not UTF-8: each named, others kept."""
    path = write(tmp_path / "a.csv", b'a,b\n1,2\n1\n1,2,3\n"x"y,2\n\xff,2\n3,4\n"open,5\n6,7\n')

    found = outcome(path)

    assert found[0] == {"a": "1", "b": "2"}
    assert found[5] == {"a": "3", "b": "4"}
    assert [line for line, _ in found[1:5]] == [3, 4, 5, 6]
    assert found[6] == (8, "a quote is opened in this row and never closed; the rows behind it were not read")


def test_a_list_that_breaks_off_keeps_what_came_before(tmp_path):
    """A .json list is read up to its first syntax error, which is named with its line."""
    path = write(tmp_path / "a.json", '[\n{"a": 1},\n{"a": 2},\n{"a": oops},\n{"a": 4}]')

    assert outcome(path) == [
        {"a": 1},
        {"a": 2},
        (4, "not JSON, or nested too deeply; the rest of the list was not read"),
    ]


def test_a_compressed_file_that_is_cut_keeps_what_came_before(tmp_path):
    """A gz file that was cut off gives its whole rows and then names the line where it ends."""
    lines = b"".join(json.dumps({"a": os.urandom(400).hex()}).encode() + b"\n" for _ in range(200))
    path = write(tmp_path / "a.jsonl.gz", gzip.compress(lines)[:60_000])

    *good, (line, reason) = outcome(path)

    assert len(good) > 50
    assert line == len(good) + 1
    assert "cannot be read from here on" in reason


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n \n", "holds no row"),
        ("a.csv", b"prompt,response\n", "holds no row"),
        ("a.csv", b"a,a\n1,2\n", "column 'a' occurs twice"),
        ("a.jsonl", b"PAR1junk", "is Parquet: name it .parquet"),
        ("a.jsonl", b"\xff\xfe{\0", "is UTF-16"),
        ("a.json", b'{"a": 1}', "must hold a list"),
        ("a.parquet", b"not parquet at all", "is not a Parquet file"),
        ("a.docx", b"x", "the suffix says the format"),
    ],
)
def test_a_file_that_is_unusable_is_refused_by_name(tmp_path, name, content, said):
    """A whole file of no use raises InvalidInput with its path and what is wrong."""
    path = write(tmp_path / name, content)

    with pytest.raises(InvalidInput, match=r"a\.\w+") as raised:
        list(read_rows(path))

    assert said in str(raised.value)


def test_paths_that_are_no_files_are_refused(tmp_path):
    """A missing file, a directory and a name that no file can have are named."""
    (tmp_path / "b.jsonl").mkdir()
    for path, said in [("missing.jsonl", "cannot be read"), ("b.jsonl", "is a directory"), ("\0.jsonl", "cannot be")]:
        with pytest.raises(InvalidInput, match=said):
            list(read_rows(tmp_path / path))


def test_a_parquet_file_with_text_that_is_not_utf8_keeps_the_other_rows(tmp_path):
    """One broken value costs one row."""
    texts = pa.Array.from_buffers(
        pa.string(),
        3,
        [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])), pa.py_buffer(b"a\xffb")],
    )
    parquet.write_table(pa.table({"a": texts}), tmp_path / "a.parquet")

    found = outcome(tmp_path / "a.parquet")

    assert (found[0], found[1][0], found[2]) == ({"a": "a"}, 2, {"a": "b"})


def test_a_named_pipe_is_read_as_jsonl(tmp_path):
    """What a shell passes for <(command) has no suffix and no size, and is read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b'{"a": 1}\n',))
    writer.start()

    assert outcome(pipe) == [{"a": 1}]
    writer.join()


def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file of 60 MB is read in less than 20 MB more memory than before."""
    path = tmp_path / "big.jsonl"
    line = json.dumps({"prompt": "x" * 3000}).encode() + b"\n"
    with path.open("wb") as stream:
        stream.writelines(line for _ in range(20_000))
    process = psutil.Process()
    before, most = process.memory_info().rss, 0

    for count, _ in enumerate(read_rows(path), 1):
        if count % 2000 == 0:
            most = max(most, process.memory_info().rss)

    assert count == 20_000
    assert most - before < 20 * 2**20


def test_rejected_counts_all_and_keeps_twenty():
    """The collector of bad rows has bounded memory and says how many there were."""
    rejected = Rejected()

    kept = list(rejected.set_aside([InvalidRow("f", n, "bad") if n % 2 else n for n in range(100)]))

    assert kept == list(range(0, 100, 2))
    assert (rejected.count, len(rejected.first)) == (50, 20)
    assert str(rejected) == "50 rows were not used: f:1: bad; f:3: bad; f:5: bad; and 47 more"


def test_csv_reading_agrees_with_the_csv_module(tmp_path):
    """What the csv module wrote comes back, cell by cell."""
    cells = [["", " x "], ["a\r\nb", '"'], ["\t", "ü,;"], ["\0", "'"]]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["a", "b"], *cells])

    assert [[row["a"], row["b"]] for row in outcome(tmp_path / "a.csv")] == cells
