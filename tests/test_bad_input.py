"""Whatever a file holds, reading it ends in good rows, named bad rows or one clear refusal; never in anything else.

`benchmarks/bad_input.py` runs the same generators on ten thousand files.
"""

import gzip
import io
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.prompts import load_prompts
from ethostat.rows import Row, read_rows
from ethostat.taxonomies import load_taxonomy
from ethostat.taxonomy import FIVE_GOALS
from ethostat.transcripts import read_transcripts

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".parquet", ".jsonl.gz", ".csv.gz", ".ndjson")
FIELDS = (
    "prompt",
    "messages",
    "response",
    "goal",
    "probabilities",
    "id",
    "prompt_id",
    "step",
    "time",
    "model",
    "category",
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**20, 10**24)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["g1", "g9", "Off-Topic", "\0", "\x1b[31m", "2026-03-02", "user", "[]", "{", "[0.2,0.2,0.2,0.2,0.2]"]
    )
)
turns = st.fixed_dictionaries(
    {},
    optional={"role": st.sampled_from(["user", "assistant", "king"]) | scalars, "content": scalars | st.lists(scalars)},
)
values = st.recursive(
    scalars | st.lists(turns, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4) | st.sampled_from(["g1", "text"]), inner)
    ),
    max_leaves=6,
)
wild_rows = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), values, max_size=5)
near_rows = st.builds(
    lambda change: {"prompt": "q", "response": "a", **change},
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=1),
)
batch_rows = st.fixed_dictionaries(
    {"custom_id": scalars},
    optional={
        "error": values,
        "response": values
        | st.fixed_dictionaries(
            {"body": st.fixed_dictionaries({}, optional={"choices": values, "output": values, "id": scalars})},
            optional={"status_code": st.just(200) | scalars},
        ),
    },
)
bad_lines = st.sampled_from(
    [
        b"{",
        b'{"prompt": "a", "response"',
        b"null",
        b'"text"',
        b"[1, 2]",
        b"\0\0\0\0",
        b'{"prompt": "\\ud800", "response": "a"}',
        b'{"prompt": "\xff", "response": "a"}',
        b'{"prompt": NaN}',
        b'{"step": 1e999, "goal": "g1"}',
        b'{"step": ' + b"9" * 4500 + b"}",
        b"[" * 20_000,
        b'{"a":' * 20_000,
        b'{"prompt": 1, "response": "a"}',
        b'{"prompt": "a", "response": {}}',
        b'{"goal": "g77"}',
        b'{"probabilities": [1]}',
        b'{"probabilities": [1e308, 1e308, 0, 0, 0]}',
    ]
)


def encoded(row: object) -> bytes:
    """The row as a line of JSON; NaN, infinity and lone surrogates are written as Python writes them."""
    return json.dumps(row).encode()


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """A CSV or Parquet file, whole, whose cells hold anything."""
    rows = draw(st.lists(st.dictionaries(st.sampled_from(FIELDS), scalars, min_size=1), min_size=1, max_size=6))
    if draw(st.booleans()):
        cells = [[str(row.get(name, "")) for name in FIELDS] for row in rows]
        text = "\n".join(draw(st.sampled_from([",", '","', "\t"])).join(line) for line in [list(FIELDS), *cells])
        return draw(st.sampled_from([".csv", ".tsv"])), text.encode("utf-8", "surrogatepass")
    columns = {name: pa.array([str(row.get(name)) for row in rows]) for name in FIELDS}
    columns["probabilities"] = pa.array([[0.2] * draw(st.integers(0, 6)) for _ in rows])
    columns["step"] = pa.array([draw(st.integers(-5, 2**62)) for _ in rows])
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return ".parquet", sink.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A valid file, then cut, with bytes changed, or with junk put in."""
    suffix, content = draw(tables() | listings())
    if draw(st.booleans()) and not suffix.endswith((".gz", ".parquet")):
        suffix, content = suffix + ".gz", gzip.compress(content)
    at = draw(st.integers(0, len(content)))
    junk = draw(st.binary(max_size=6))
    kept = draw(st.sampled_from([at, at + 1, len(content)]))
    return suffix, content[:at] + junk + content[kept:]


@st.composite
def listings(draw: st.DrawFn) -> tuple[str, bytes]:
    """JSONL or a JSON list of rows with anything in them, and bad lines between."""
    lines = draw(st.lists((near_rows | wild_rows | batch_rows).map(encoded) | bad_lines, min_size=1, max_size=6))
    if draw(st.booleans()):
        return ".json", b"[" + b",\n".join(lines) + b"]"
    return ".jsonl", draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + draw(st.sampled_from([b"\n", b"\r\n"])).join(lines)


junk_files = st.tuples(st.sampled_from(SUFFIXES), st.binary(max_size=60))
files = junk_files | tables() | damaged() | listings()
taxonomy_texts = (
    st.binary(max_size=40) | values.map(encoded) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))
)
taxonomy_fields = st.fixed_dictionaries(
    {
        "name": scalars,
        "goals": st.lists(st.dictionaries(st.sampled_from(["key", "name", "definition", "aligned"]), scalars)),
    }
)
taxonomy_files = st.tuples(st.sampled_from([".yaml", ".json", ".yml"]), taxonomy_texts | taxonomy_fields.map(encoded))


def outcomes(read, path: Path) -> Counter[str]:
    """How often reading gave a good row, a named bad one, and a refusal of the whole; other exceptions rise."""
    found: Counter[str] = Counter()
    try:
        for row in read(path):
            if isinstance(row, InvalidRow):
                assert row.path == str(path)
                assert row.line >= 1
                assert str(row).startswith(f"{path}:{row.line}: ")
                assert len(str(row)) < 2000
            found["bad row" if isinstance(row, InvalidRow) else "good row"] += 1
    except InvalidInput as error:
        found["refusal" if str(path) in str(error) else "refusal without the path"] += 1
    assert found
    assert not found["refusal without the path"]
    return found


def transcripts(path: Path):
    """All that a transcript gives under the five goals."""
    return read_transcripts(path, taxonomy=FIVE_GOALS)


DOORS = (read_rows, transcripts, load_prompts)


def written(folder: Path, suffix: str, content: bytes) -> Path:
    """The content in a file of this suffix."""
    path = folder / f"input{suffix}"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all generated files."""
    return tmp_path_factory.mktemp("bad")


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(files)
def test_any_file_ends_in_rows_or_a_clear_error(folder, file):
    """Junk, damage and wrong types give good rows, InvalidRow with file and line, or InvalidInput with the file."""
    path = written(folder, *file)

    for door in DOORS:
        outcomes(door, path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(bad_lines | st.none(), min_size=1, max_size=12))
def test_good_rows_between_bad_ones_are_all_kept(folder, lines):
    """Every good line of JSONL is read, whatever stands around it, and every bad one is named by its number."""
    good = [encoded({"prompt": f"q{n}", "response": "a", "id": str(n)}) for n in range(len(lines))]
    path = written(folder, ".jsonl", b"\n".join(line or good[n] for n, line in enumerate(lines)))

    rows = list(transcripts(path))

    assert [row.line for row in rows] == list(range(1, len(lines) + 1))
    assert [isinstance(row, InvalidRow) for row in rows] == [line is not None for line in lines]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_cut_file_keeps_its_whole_rows(folder, data):
    """Of a file that was cut anywhere, plain or gz, what is read is a beginning of what was written."""
    texts = data.draw(st.lists(st.text(max_size=30), min_size=1, max_size=30))
    rows = [{"prompt": text, "response": str(n)} for n, text in enumerate(texts)]
    content = b"".join(encoded(row) + b"\n" for row in rows)
    suffix = data.draw(st.sampled_from([".jsonl", ".jsonl.gz"]))
    content = gzip.compress(content) if suffix.endswith("gz") else content
    path = written(folder, suffix, content[: data.draw(st.integers(0, len(content)))])

    kept: list[object] = []

    def keep(path: Path):
        for row in read_rows(path):
            kept.extend([row.fields] if isinstance(row, Row) else [])
            yield row

    outcomes(keep, path)

    assert kept == rows[: len(kept)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(taxonomy_files)
def test_any_taxonomy_file_is_a_taxonomy_or_a_clear_error(folder, file):
    """Any bytes in a taxonomy file are a valid taxonomy or an InvalidInput that names the file."""
    path = written(folder, *file)

    outcomes(lambda path: [load_taxonomy(path)], path)


@settings(max_examples=60, deadline=None)
@given(st.lists((batch_rows | wild_rows).map(encoded) | bad_lines, min_size=1, max_size=4))
def test_a_bad_file_of_requests_is_refused_by_name(folder, lines):
    """A batch without usable requests is refused before anything is read, naming the requests."""
    requests = written(folder, ".requests.jsonl", b"\n".join(lines))
    output = written(folder, ".jsonl", encoded({"goal": "g1"}))

    with pytest.raises(InvalidInput, match=r"requests\.jsonl:1: "):
        read_transcripts(output, taxonomy=FIVE_GOALS, requests=requests)
