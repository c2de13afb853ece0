"""Recorded responses, from every format that is known."""

import gc
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.response import Message
from ethostat.taxonomy import FIVE_GOALS
from ethostat.transcripts import TranscriptRow, read_transcripts

EXAMPLES = Path(__file__).parent.parent / "examples"


def lines(path: Path, *rows: object) -> Path:
    """A JSONL file of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **options: object) -> list[TranscriptRow | InvalidRow]:
    """All that the file gives, under the five goals."""
    return list(read_transcripts(path, taxonomy=FIVE_GOALS, **options))


def reason(tmp_path: Path, row: dict) -> str:
    """Why this one row is not used."""
    (found,) = read(lines(tmp_path / "one.jsonl", row))
    return found.reason


def test_rows_with_equal_prompts_are_samples_of_one_prompt():
    """The example transcript holds three prompts, with three, two and two responses."""
    rows = read(EXAMPLES / "transcript.jsonl")

    assert [row.response.index for row in rows] == [0, 1, 2, 0, 1, 0, 1]
    assert len({row.response.prompt.id for row in rows}) == 3
    assert [row.response.id for row in rows] == [f"r{n}" for n in range(1, 8)]
    assert (rows[0].response.model, rows[0].response.time) == ("shop-bot-1", "2026-03-02T09:14:05Z")
    assert all(row.verdict is None for row in rows)


def test_an_answer_at_the_end_of_the_messages_is_the_response():
    """`messages` may end with the assistant's answer; the prompt is what came before it."""
    *_, given, within = read(EXAMPLES / "transcript.jsonl")

    assert within.response.text == "You are right, it is 54."
    assert within.response.prompt == given.response.prompt


def test_an_answer_that_stands_twice_is_counted_once(tmp_path):
    """A log that repeats the response as the last message gives the prompt without it."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (row,) = read(lines(tmp_path / "a.jsonl", {"messages": turns, "response": "Hello"}))

    assert row.response.prompt.messages == (Message("user", "Hi"),)


def test_content_may_come_in_text_parts(tmp_path):
    """The parts of a message are put together; an image is refused."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (row,) = read(lines(tmp_path / "a.jsonl", {"messages": [{"role": "user", "content": parts}], "response": "x"}))

    assert row.response.prompt.text == "ab"
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    assert "text parts only" in reason(tmp_path, {"messages": image, "response": "x"})


def test_goals_are_read_by_key_and_by_name(tmp_path):
    """A labelled row has a verdict with all probability on its goal, in whatever case the goal is written."""
    rows = read(
        lines(tmp_path / "a.jsonl", *({"goal": goal} for goal in ("g1", "G3", "helpful &  aligned", "Off-Topic")))
    )

    assert [row.verdict.goal for row in rows] == ["g1", "g3", "g1", "g5"]
    assert rows[1].verdict.probabilities == (0, 0, 1, 0, 0)


def test_probabilities_are_read_as_list_and_by_goal(tmp_path):
    """A list is in the taxonomy's order; an object names goals, and those it leaves out have probability 0."""
    listed, named = read(
        lines(
            tmp_path / "a.jsonl",
            {"prompt": "q", "response": "a", "probabilities": [0.1, 0.2, 0.7, 0, 0]},
            {"prompt": "q", "response": "a", "probabilities": {"g3": 0.7, "Helpful & Misaligned": 0.2, "g1": 0.1}},
        )
    )

    assert listed.verdict.probabilities == named.verdict.probabilities == (0.1, 0.2, 0.7, 0, 0)
    assert listed.verdict.goal == "g3"
    assert listed.verdict.response_id == listed.response.id
    assert listed.verdict.prompt_id == listed.response.prompt.id


def test_rows_with_a_goal_need_neither_response_nor_prompt(tmp_path):
    """Where only counts matter, `goal` is enough; `prompt_id` still groups the rows."""
    rows = read(
        lines(tmp_path / "a.jsonl", {"goal": "g1"}, {"goal": "g2", "prompt_id": "p"}, {"goal": "g2", "prompt_id": "p"})
    )

    assert [(row.response.prompt.id, row.response.index) for row in rows] == [("no-prompt", 0), ("p", 0), ("p", 1)]


def test_the_row_itself_travels_with_its_response(tmp_path):
    """Columns that we do not know are kept for those who write the row again."""
    original = {"prompt": "q", "response": "a", "customer": {"id": 7}, "step": 3}
    (row,) = read(lines(tmp_path / "a.jsonl", original))

    assert (row.fields, row.line, row.step) == (original, 1, 3)


def test_csv_and_parquet_say_the_same_as_jsonl(tmp_path):
    """One transcript in three formats gives the same responses and verdicts."""
    turns = [{"role": "user", "content": "q, too"}]
    rows = [
        {"prompt": "q", "messages": None, "response": "a\nb", "probabilities": [0.0, 1.0, 0.0, 0.0, 0.0], "step": 1},
        {"prompt": None, "messages": turns, "response": "", "probabilities": None, "step": None},
    ]
    as_cells = [
        {key: "" if v is None else v if isinstance(v, str) else json.dumps(v) for key, v in row.items()} for row in rows
    ]
    as_cells[1]["prompt"] = ""
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text(
        ",".join(rows[0])
        + "\n"
        + "".join(",".join('"' + c.replace('"', '""') + '"' for c in r.values()) + "\n" for r in as_cells)
    )

    found = [
        [(row.response, row.verdict, row.step) for row in read(path)]
        for path in (lines(tmp_path / "a.jsonl", *rows), tmp_path / "a.csv", tmp_path / "a.parquet")
    ]

    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 2


def test_derived_ids_are_stable_and_differ(tmp_path):
    """The same rows get the same ids in another file, and k equal responses get k ids."""
    rows = [{"prompt": "q", "response": "a"}] * 3

    first, again = read(lines(tmp_path / "a.jsonl", *rows)), read(lines(tmp_path / "b.jsonl", *rows))

    assert [row.response.id for row in first] == [row.response.id for row in again]
    assert len({row.response.id for row in first}) == 3


def test_an_id_names_one_response(tmp_path):
    """A repeated id would count a response twice: the second row is refused, with the line of the first."""
    row = {"prompt": "q", "response": "a", "id": "r1"}
    first, second = read(lines(tmp_path / "a.jsonl", row, row))

    assert first.response.id == "r1"
    assert (second.line, "already used on line 1" in second.reason) == (2, True)


def test_a_date_column_is_written_as_iso_8601(tmp_path):
    """Parquet dates come out as text, like those of JSONL."""
    moment = datetime(2026, 3, 2, 9, tzinfo=UTC)
    parquet.write_table(
        pa.Table.from_pylist([{"prompt": "q", "response": "a", "time": moment}]), tmp_path / "a.parquet"
    )

    assert read(tmp_path / "a.parquet")[0].response.time == "2026-03-02T09:00:00+00:00"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": 5, "response": "a"}, "`prompt` must be text, got a number"),
        ({"prompt": "q", "response": ["a"]}, "`response` must be text, got a list"),
        ({"prompt": "q", "response": None}, "`response` is missing"),
        ({"response": "a"}, "`prompt` is missing"),
        ({"messages": [], "response": "a"}, "`messages` must be a list of at least one message, got []"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "`messages` holds an answer only"),
        ({"prompt": "q", "response": "a", "time": "yesterday"}, "`time` must be ISO 8601"),
        ({"prompt": "q", "response": "a", "step": -1}, "`step` must be a whole number from 0, got -1"),
        ({"prompt": "q", "response": "a", "step": True}, "`step` must be a whole number from 0, got True"),
        ({"goal": "g9"}, "goal 'g9' is not one of taxonomy 'five-goals': g1 (Helpful & Aligned)"),
        ({"goal": 1}, "`goal` must be text, got a number"),
        ({"probabilities": [1, 0]}, "probabilities must be 5 numbers, got 2"),
        ({"probabilities": [2, 0, 0, 0, -1]}, "must lie in [0, 1]"),
        ({"probabilities": [0.5, 0, 0, 0, 0]}, "sum to 1"),
        ({"probabilities": [True, 0, 0, 0, 0]}, "a probability must be a finite number, got True"),
        ({"probabilities": "g1"}, "`probabilities` must be a list or an object"),
        ({"goal": "g2", "probabilities": [1, 0, 0, 0, 0]}, "goal g2 is not the most probable one"),
    ],
)
def test_wrong_rows_are_named_with_value_and_rule(tmp_path, row, said):
    """A field of the wrong type or value makes an InvalidRow that says which, and what the rule is."""
    assert said in reason(tmp_path, row)


def batch_line(custom_id: str, *answers: object, status: int = 200) -> dict:
    """A line of a batch output as OpenAI documents it."""
    choices = [{"index": n, "message": {"role": "assistant", "content": answer}} for n, answer in enumerate(answers)]
    body = {"id": f"chatcmpl-{custom_id}", "object": "chat.completion", "model": "m", "choices": choices}
    response = {"status_code": status, "request_id": "req", "body": body}
    return {"id": f"batch_req_{custom_id}", "custom_id": custom_id, "response": response, "error": None}


def test_batch_output_is_grouped_by_custom_id(tmp_path):
    """Without the requests, the answers of one request are samples of a prompt that its custom_id names."""
    rows = read(lines(tmp_path / "out.jsonl", batch_line("a", "x", "y"), batch_line("b", "z")))

    assert [(row.response.prompt.id, row.response.index, row.response.text) for row in rows] == [
        ("a", 0, "x"),
        ("a", 1, "y"),
        ("b", 0, "z"),
    ]
    assert rows[0].response.model == "m"


def test_batch_output_with_its_requests_has_the_prompts(tmp_path):
    """With the requests, equal prompts under different custom_ids are samples of one prompt."""
    asked = [{"role": "user", "content": "Why?"}]
    requests = lines(
        tmp_path / "in.jsonl",
        *(
            {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": {"messages": asked}}
            for id in "ab"
        ),
    )
    rows = read(
        lines(tmp_path / "out.jsonl", batch_line("b", "x"), batch_line("a", "y"), batch_line("c", "z")),
        requests=requests,
    )

    assert [row.response.prompt.text for row in rows[:2]] == ["Why?", "Why?"]
    assert [row.response.index for row in rows[:2]] == [0, 1]
    assert rows[2].reason == "custom_id 'c' is not in the file of requests; is it of this batch?"


def test_failed_requests_of_a_batch_are_named(tmp_path):
    """A request that failed, or an answer without text, is an InvalidRow; the others are kept."""
    expired = {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}}
    rows = read(
        lines(tmp_path / "out.jsonl", expired, batch_line("b", status=429), batch_line("c", None), batch_line("d", "x"))
    )

    assert "batch_expired" in rows[0].reason
    assert "status 429" in rows[1].reason
    assert "only calls a tool" in rows[2].reason
    assert rows[3].response.text == "x"


def test_batch_output_of_the_other_endpoints(tmp_path):
    """Completions and /v1/responses answer in their own shapes."""
    bodies = [{"choices": [{"text": "x"}]}, {"output": [{"content": [{"type": "output_text", "text": "y"}]}]}]
    rows = [{"custom_id": f"c{n}", "response": {"status_code": 200, "body": body}} for n, body in enumerate(bodies)]

    assert [row.response.text for row in read(lines(tmp_path / "a.jsonl", *rows))] == ["x", "y"]


# Inspect leaves memory streams open, in evaluations and in its reader; collected here, no other test meets them.
inspect_warns = pytest.mark.filterwarnings(
    "ignore:Unclosed <Memory:ResourceWarning", "ignore:The 'initial' parameter is deprecated:DeprecationWarning"
)


@pytest.fixture
def collected():
    """Collects the streams while the mark above still holds."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def inspect_log(tmp_path_factory):
    """A log that Inspect wrote: two samples, two epochs, a system message, and Inspect's own scripted model."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.solver import generate, system_message

    outputs = [ModelOutput.from_content("mockllm/model", f"answer {n}") for n in range(4)]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    task = Task(
        dataset=[Sample(id="sum", input="What is 2+2?"), Sample(id=2, input="Say hi")],
        solver=[system_message("Be brief."), generate()],
    )
    model = get_model("mockllm/model", custom_outputs=outputs)
    log_dir = str(tmp_path_factory.mktemp("logs"))
    (log,) = eval(task, model=model, epochs=2, log_dir=log_dir, display="none", score=False)
    return Path(log.location.removeprefix("file://"))


@inspect_warns
def test_an_inspect_log_gives_sample_and_epoch_as_prompt_and_k(inspect_log, collected):
    """(sample id, epoch) is (prompt, k); system messages belong to the prompt."""
    rows = read(inspect_log)

    assert [(row.response.prompt.id, row.response.index) for row in rows] == [
        ("sum", 0),
        ("sum", 1),
        ("2", 0),
        ("2", 1),
    ]
    assert {row.response.text for row in rows} == {f"answer {n}" for n in range(4)}
    assert rows[0].response.prompt.messages == (Message("system", "Be brief."), Message("user", "What is 2+2?"))
    assert rows[0].response.model == "mockllm/model"
    assert len({row.response.id for row in rows}) == 4


@inspect_warns
def test_an_inspect_log_that_is_cut_is_refused_by_name(inspect_log, collected, tmp_path):
    """A log without its directory, a zip that is no log and a file of junk are named, each with the path."""
    whole = inspect_log.read_bytes()
    (tmp_path / "cut.eval").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.eval").write_bytes(b"junk")
    with zipfile.ZipFile(tmp_path / "other.eval", "w") as archive:
        archive.writestr("header.json", "{}")

    for name in ("cut.eval", "junk.eval", "other.eval", "missing.eval"):
        with pytest.raises(InvalidInput, match=name):
            read(tmp_path / name)


@inspect_warns
def test_an_inspect_log_with_one_broken_sample_keeps_the_others(inspect_log, collected, tmp_path):
    """A sample whose bytes were changed is named; the samples before and behind it are read."""
    content = bytearray(inspect_log.read_bytes())
    with zipfile.ZipFile(inspect_log) as archive:
        entry = archive.getinfo("samples/sum_epoch_2.json")
    start = entry.header_offset + 30 + len(entry.filename)
    content[start : start + entry.compress_size] = b"?" * entry.compress_size
    (tmp_path / "broken.eval").write_bytes(content)

    rows = read(tmp_path / "broken.eval")

    assert [isinstance(row, InvalidRow) for row in rows] == [False, True, False, False]
    assert "broken.eval:2: sample 'sum', epoch 2 cannot be read" in str(rows[1])


@given(
    st.lists(
        st.fixed_dictionaries(
            {"prompt": st.text(max_size=5), "response": st.text(max_size=5)},
            optional={"goal": st.sampled_from(FIVE_GOALS.keys)},
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_good_row_comes_back_in_order(tmp_path_factory, rows):
    """Text survives as it is, order is kept, and index counts the responses of each prompt from 0."""
    found = read(lines(tmp_path_factory.mktemp("t") / "a.jsonl", *rows))

    assert [(row.response.prompt.text, row.response.text) for row in found] == [
        (r["prompt"], r["response"]) for r in rows
    ]
    for place, row in enumerate(found):
        assert row.response.index == sum(r["prompt"] == rows[place]["prompt"] for r in rows[:place])
        assert (row.verdict and row.verdict.goal) == rows[place].get("goal")
