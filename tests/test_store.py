"""The store: what is kept, what is refused, what is shared."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select

import ethostat
from ethostat import access, ledger  # their tables lie in the same database
from ethostat.errors import InvalidInput, StoreError
from ethostat.response import Failure, Message, Prompt, PromptSet, Response, Verdict
from ethostat.store import RunSetup, Store, export
from ethostat.store.database import read_url, shown
from ethostat.store.tables import SCHEMA, VERSION_TABLE, metadata
from ethostat.taxonomy import FIVE_GOALS
from ethostat.transcripts import read_transcripts

HOSTILE = "NUL \x00, lone surrogate \ud800, escape \x1b[2J, mark \x01json:, <script>, 𝔘"


@pytest.fixture
def store(tmp_path):
    """A store in a new file."""
    with Store(tmp_path / "runs.db") as opened:
        yield opened


def prompt_set(count: int = 3, name: str = "set") -> PromptSet:
    """Prompts p0, p1, ... under one name."""
    return PromptSet(name, tuple(Prompt(f"p{i}", (Message("user", f"question {i}"),)) for i in range(count)))


def setup_of(prompts: PromptSet | None = None, **changes) -> RunSetup:
    """A run of ten samples with seed 7, with changes."""
    fields = {"model": "m", "identity": {"kind": "test"}, "samples": 10, "seed": 7, "seed_is_given": True}
    return RunSetup(prompts=prompts or prompt_set(), **fields | changes)


def answers(prompts: PromptSet, indices) -> list[Response]:
    """One response for each prompt and index."""
    return [Response(prompt, f"{prompt.id} says {i}", i, seed=i) for prompt in prompts for i in indices]


def verdict_of(response: Response, goal: str = "g1") -> Verdict:
    """A sure verdict."""
    chances = tuple(float(key == goal) for key in ("g1", "g2", "g3", "g4", "g5"))
    return Verdict(response.prompt.id, response.id, goal, chances)


def row_counts(path: Path) -> dict[str, int]:
    """Rows of each table."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        counts = {t.name: connection.scalar(select(func.count()).select_from(t)) for t in metadata.sorted_tables}
    engine.dispose()
    return counts


def test_response_comes_back_as_it_was(store):
    """Every field of a response survives the disk, hostile text and all."""
    prompt = Prompt("p\x00", (Message("system", HOSTILE), Message("user", "?")), category=HOSTILE, expected="help")
    response = Response(prompt, HOSTILE, 3, "id-1", "served", 2**31 - 1, "stop", 12, 34, 0.5, "2026-01-01T00:00:00Z")
    run = store.start_run(setup_of(PromptSet("set", (prompt,))))

    store.add_responses(run.id, [response])

    assert list(store.responses(run.id)) == [response]
    assert store.prompts(run.id).prompts == (prompt,)
    assert store.prompts(run.id).hash == run.prompts_hash


def test_new_process_reads_what_was_written(tmp_path):
    """A store that is opened again holds run, prompts and responses."""
    with Store(tmp_path / "runs.db") as first:
        run = first.start_run(setup_of(settings={"temperature": 0.7}, versions={"ethostat": "1"}))
        first.add_responses(run.id, answers(prompt_set(), range(2)))

    with Store(tmp_path / "runs.db") as second:
        assert second.get_run("latest") == run
        assert second.have(run.id) == {f"p{i}": {0, 1} for i in range(3)}


@settings(max_examples=15, deadline=None)
@given(
    batches=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=8), max_size=6),
)
def test_adding_again_changes_nothing(tmp_path_factory, batches):
    """However arrivals are batched and repeated, each (prompt, index) is kept once, as it first came."""
    prompts = prompt_set()
    first = {}
    with Store(tmp_path_factory.mktemp("store") / "runs.db") as store:
        run = store.start_run(setup_of(prompts))
        added = 0
        for number, batch in enumerate(batches):
            places = set(batch)
            added += store.add_responses(run.id, [Response(prompts.prompts[p], str(number), i) for p, i in places])
            for place in places:
                first.setdefault(place, str(number))
        kept = {(int(r.prompt.id[1:]), r.index): r.text for r in store.responses(run.id)}

    assert kept == first
    assert added == len(first)


def test_absurd_token_count_does_not_cost_the_response(store):
    """A count that no database can hold is stored as unknown, and the response with it."""
    run = store.start_run(setup_of())

    store.add_responses(run.id, [Response(prompt_set().prompts[0], "text", completion_tokens=10**30, seed=-(2**80))])

    kept = next(store.responses(run.id))
    assert (kept.text, kept.completion_tokens, kept.seed) == ("text", None, None)


def test_two_answers_for_one_place_are_refused(store):
    """Two different responses for one (prompt, index) in one call are an error: one of them would be lost."""
    prompt = prompt_set().prompts[0]
    run = store.start_run(setup_of())

    with pytest.raises(InvalidInput, match="two responses with index 0 to prompt 'p0'"):
        store.add_responses(run.id, [Response(prompt, "one", 0), Response(prompt, "other", 0)])


def test_responses_come_in_order_of_prompts_and_index(store):
    """Reading goes by the prompts' order in the set, then by index, across pages."""
    prompts = PromptSet("set", tuple(Prompt(f"p{9 - i}", (Message("user", str(i)),)) for i in range(10)))
    run = store.start_run(setup_of(prompts, samples=250))
    store.add_responses(run.id, reversed(answers(prompts, range(250))))

    found = [(r.prompt.id, r.index) for r in store.responses(run.id)]

    assert found == [(prompt.id, i) for prompt in prompts for i in range(250)]


def test_prompt_outside_the_set_is_refused(store):
    """A response to a prompt that the run does not have is an error, not a silent loss."""
    run = store.start_run(setup_of())

    with pytest.raises(InvalidInput, match="'stranger' is not in this run's prompt set"):
        store.add_responses(run.id, [Response(Prompt("stranger", (Message("user", "?"),)), "x")])


def test_verdicts_are_kept_by_classifier(store):
    """Verdicts of two classifiers stand beside each other, in order; what one has not seen is known."""
    prompts = prompt_set()
    run = store.start_run(setup_of(prompts))
    store.add_responses(run.id, answers(prompts, range(2)))
    kept = list(store.responses(run.id))

    store.add_verdicts(run.id, "a", kept, [verdict_of(r, "g2") for r in kept])
    store.add_verdicts(run.id, "b", kept[:4], [verdict_of(r) for r in kept[:4]])
    store.add_verdicts(run.id, "b", kept[:1], [verdict_of(kept[0], "g5")])

    assert [v.goal for v in store.verdicts(run.id, "a")] == ["g2"] * 6
    assert list(store.verdicts(run.id, "b")) == [verdict_of(r) for r in kept[:4]]
    assert list(store.unclassified(run.id, "b")) == kept[4:]


def test_unclassified_can_be_read_while_verdicts_are_added(store):
    """Classifying page by page while reading sees every response once."""
    prompts = prompt_set(1)
    run = store.start_run(setup_of(prompts))
    store.add_responses(run.id, answers(prompts, range(2500)))

    seen = 0
    for response in store.unclassified(run.id, "c"):
        store.add_verdicts(run.id, "c", [response], [verdict_of(response)]) if seen % 100 == 0 else None
        seen += 1

    assert seen == 2500


def test_verdict_without_response_is_refused(store):
    """A verdict on a response that is not stored is an error."""
    run = store.start_run(setup_of())
    stranger = Response(prompt_set().prompts[0], "never stored", 5)

    with pytest.raises(InvalidInput, match="response 5 to prompt 'p0' is not stored"):
        store.add_verdicts(run.id, "c", [stranger], [verdict_of(stranger)])


def test_failure_is_forgotten_when_the_response_comes(store):
    """A failure stands by its name until the response arrives; a later one replaces it."""
    prompts = prompt_set()
    run = store.start_run(setup_of(prompts))
    store.add_failures(run.id, [Failure("p0", 0, "ServerFault", "500"), Failure("p1", 2, "ModelTimeout", "60 s")])
    store.add_failures(run.id, [Failure("p1", 2, "EmptyAnswer", "nothing")])

    store.add_responses(run.id, answers(prompts, [0]))

    assert store.failures(run.id) == [Failure("p1", 2, "EmptyAnswer", "nothing")]
    assert store.tally(run.id).failures == 1


def test_unfinished_run_is_found_by_what_it_wants(store):
    """A run can be resumed by an equal setup until it is finished; another k, model or seed is another run."""
    run = store.start_run(setup_of())

    assert store.unfinished_run(setup_of(classifier={"hash": "x"}).fingerprint) == run
    for other in ({"samples": 11}, {"seed": 8}, {"identity": {"kind": "other"}}, {"decoding": {"temperature": 1.0}}):
        assert store.unfinished_run(setup_of(**other).fingerprint) is None
    store.fail_run(run.id)
    assert store.unfinished_run(setup_of().fingerprint).status == "failed"
    store.finish_run(run.id, {"entropy": None})
    assert store.unfinished_run(setup_of().fingerprint) is None
    assert store.get_run(run.id).measurement == {"entropy": None}


HOLDER = """
import sys, time
from ethostat.store import Store
store = Store(sys.argv[1])
store.resume_run(store.get_run("latest").id)
print("held", flush=True)
time.sleep(60)
"""


def test_run_is_sampled_by_one_process_at_a_time(store, tmp_path):
    """A run that another process samples cannot be resumed; once that process was killed, it can."""
    run = store.start_run(setup_of())
    store.fail_run(run.id)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "runs.db")]

    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="is being sampled by another process; wait for it"):
            store.resume_run(run.id)
        other.kill()

    assert store.resume_run(run.id).status == "running"


def test_seed_that_nobody_chose_does_not_hinder_resuming():
    """Two setups without a chosen seed want the same run, whatever was drawn."""
    one, other = (setup_of(seed=seed, seed_is_given=False) for seed in (1, 2))

    assert one.fingerprint == other.fingerprint


def test_run_is_named_by_prefix_or_latest(store):
    """A unique beginning of the id is enough; what fits none or several is answered with those that are near."""
    first, second = store.start_run(setup_of()), store.start_run(setup_of(samples=5))

    assert store.get_run("latest") == second
    assert store.get_run(first.id) == first
    assert store.get_run(second.id[:-1]) == second
    with pytest.raises(InvalidInput, match=r"could be .*give more of its id"):
        store.get_run("2")
    with pytest.raises(InvalidInput, match=f"near are .*{first.id}"):
        store.get_run(first.id[:-1] + "x")
    with pytest.raises(InvalidInput, match="is not in"):
        store.get_run("%")
    assert store.runs() == [second, first]
    assert store.runs(limit=1) == [second]


def test_empty_store_says_how_to_fill_it(store):
    """Asking an empty store for a run names the command that makes one."""
    with pytest.raises(InvalidInput, match="holds no run yet; `ethostat measure"):
        store.get_run("latest")


def test_reuse_takes_what_another_run_paid_for(store):
    """Equal model, decoding, seed, content and index are taken without a call, and say where they are from."""
    old = store.start_run(setup_of())
    store.add_responses(old.id, answers(prompt_set(), range(4)))
    renamed = PromptSet("other", (Prompt("new-id", prompt_set().prompts[1].messages), *prompt_set(1).prompts))
    new = store.start_run(setup_of(renamed, samples=6))

    taken = store.reuse(new.id, {"new-id": 6, "p0": 2})

    assert taken == 6
    assert store.have(new.id) == {"new-id": {0, 1, 2, 3}, "p0": {0, 1}}
    assert [r.text for r in store.responses(new.id)][:4] == [f"p1 says {i}" for i in range(4)]
    assert store.tally(new.id).reused == 6
    assert store.reuse(new.id, 2) == 0


@pytest.mark.parametrize("change", [{"seed": 8}, {"identity": {"kind": "x"}}, {"decoding": {"temperature": 0}}])
def test_reuse_takes_nothing_that_differs(store, change):
    """Another seed, model or decoding shares nothing."""
    old = store.start_run(setup_of())
    store.add_responses(old.id, answers(prompt_set(), range(4)))
    new = store.start_run(setup_of(**change))

    assert store.reuse(new.id, 4) == 0


def test_equal_prompts_of_one_set_reuse_different_responses(store):
    """Two prompts with one text do not get the same response twice."""
    twins = PromptSet("twins", tuple(Prompt(name, (Message("user", "?"),)) for name in ("a", "b")))
    old, new = store.start_run(setup_of(twins)), store.start_run(setup_of(twins))
    store.add_responses(old.id, answers(twins, range(2)))

    store.reuse(new.id, 2)
    third = store.start_run(setup_of(twins))
    store.reuse(third.id, 2)

    assert [r.text for r in store.responses(third.id)] == ["a says 0", "a says 1", "b says 0", "b says 1"]


def test_deleted_run_leaves_what_others_use(store, tmp_path):
    """Deleting the run that paid keeps what another run took; deleting both leaves no row."""
    old, new = store.start_run(setup_of()), store.start_run(setup_of())
    store.add_responses(old.id, answers(prompt_set(), range(4)))
    store.add_failures(old.id, [Failure("p0", 9, "ServerFault", "500")])
    kept = list(store.responses(old.id))
    store.add_verdicts(old.id, "c", kept, [verdict_of(r) for r in kept])
    store.reuse(new.id, 2)

    store.delete_run(old.id)

    assert [r.index for r in store.responses(new.id)] == [0, 1] * 3
    assert len(list(store.verdicts(new.id, "c"))) == 6
    store.delete_run(new.id)
    assert set(row_counts(tmp_path / "runs.db").values()) == {0}
    with pytest.raises(InvalidInput, match="holds no run"):
        store.have(old.id)


def test_export_to_jsonl_holds_every_row(store, tmp_path):
    """A line a response, with messages, response, goal and probabilities; hostile text survives."""
    prompts = PromptSet("set", (Prompt("p", (Message("user", HOSTILE),), category="c"),))
    run = store.start_run(setup_of(prompts, classifier={"name": "n", "hash": "c"}))
    store.add_responses(run.id, [Response(prompts.prompts[0], HOSTILE, 0, seed=4), Response(prompts.prompts[0], "", 1)])
    kept = list(store.responses(run.id))
    store.add_verdicts(run.id, "c", kept[:1], [verdict_of(kept[0], "g3")])

    count = export(store, run.id, tmp_path / "out.jsonl")

    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert count == len(rows) == 2
    assert rows[0]["messages"] == [{"role": "user", "content": HOSTILE}]
    assert (rows[0]["response"], rows[0]["goal"], rows[0]["probabilities"]) == (HOSTILE, "g3", [0, 0, 1, 0, 0])
    assert (rows[1]["response"], rows[1]["index"]) == ("", 1)
    assert "goal" not in rows[1]


def test_export_to_parquet_holds_every_row(store, tmp_path):
    """The columns of the JSONL rows, typed; what UTF-8 cannot say is written as an escape."""
    prompts = prompt_set()
    run = store.start_run(setup_of(prompts))
    store.add_responses(run.id, [*answers(prompts, [0]), Response(prompts.prompts[0], "\ud800", 1)])

    export(store, run.id, tmp_path / "out.parquet")

    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["prompt_id"], row["index"]) for row in rows] == [("p0", 0), ("p0", 1), ("p1", 0), ("p2", 0)]
    assert [row["response"] for row in rows][:2] == ["p0 says 0", "\\ud800"]
    assert [row["goal"] for row in rows] == [None] * 4


def test_export_that_fails_leaves_no_file(store, tmp_path):
    """A format that is not known, or a folder that is not there, is named; nothing half-written stays."""
    run = store.start_run(setup_of())

    with pytest.raises(InvalidInput, match=r"must end in \.jsonl or \.parquet"):
        export(store, run.id, tmp_path / "out.txt")
    with pytest.raises(StoreError, match="cannot be written"):
        export(store, run.id, tmp_path / "nowhere" / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("runs.db")] == []


def test_migrations_make_the_tables_that_the_code_knows(tmp_path):
    """A migrated database and the tables of the code do not differ, and SCHEMA names the newest migration."""
    Store(tmp_path / "runs.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'runs.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()

    folder = Path(ethostat.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_heads() == [SCHEMA]


def test_typicality_comes_back_and_old_verdicts_have_none(store):
    """A verdict's p-value survives the disk to the last bit; one without it stays without."""
    run = store.start_run(setup_of())
    responses = answers(prompt_set(), range(1))
    store.add_responses(run.id, responses)
    given = [
        replace(verdict_of(response), typicality=p) for response, p in zip(responses, (1 / 7, 1.0, None), strict=True)
    ]
    store.add_verdicts(run.id, "c", responses, given)

    assert [verdict.typicality for verdict in store.verdicts(run.id, "c")] == [1 / 7, 1.0, None]


def test_a_database_of_the_last_version_gains_the_column(tmp_path):
    """Verdicts written before typicality was known are read without one, and new ones are kept beside them."""
    path = tmp_path / "runs.db"
    with Store(path) as store:
        run = store.start_run(setup_of())
        responses = answers(prompt_set(), range(1))
        store.add_responses(run.id, responses)
        store.add_verdicts(run.id, "c", responses[:1], [verdict_of(responses[0])])
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE verdicts DROP COLUMN typicality")
        later = [
            table
            for table in metadata.sorted_tables
            if hasattr(ledger.tables, table.name) or hasattr(access.tables, table.name)
        ]
        metadata.drop_all(connection, later)
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0002'")  # noqa: S608
    engine.dispose()

    with Store(path) as store:
        store.add_verdicts(run.id, "c", responses[1:2], [replace(verdict_of(responses[1]), typicality=0.25)])
        assert [verdict.typicality for verdict in store.verdicts(run.id, "c")] == [None, 0.25]


def test_opening_costs_little(tmp_path):
    """A database that is up to date opens in less than 100 ms."""
    Store(tmp_path / "runs.db").close()

    def seconds() -> float:
        began = time.perf_counter()
        Store(tmp_path / "runs.db").close()
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.1


def test_sqlite_is_durable(store):
    """Every connection writes ahead and waits for the disk."""
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_database_of_a_newer_version_is_refused(tmp_path):
    """A schema that this version does not know is not touched."""
    Store(tmp_path / "runs.db").close()
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute("UPDATE ethostat_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StoreError, match=r"newer ethostat .*upgrade ethostat"):
        Store(tmp_path / "runs.db")


def test_file_that_is_no_database_is_refused(tmp_path):
    """Another file is named and left as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)

    with pytest.raises(StoreError, match=r"notes.txt: file is not a database; choose another"):
        Store(path)
    assert path.read_text() == "not a database, " * 100


def test_absent_database_is_named(tmp_path):
    """A folder that is not there, or a file that should be, is an error with the next step."""
    with pytest.raises(StoreError, match=r"the folder .* does not exist; create it first"):
        Store(tmp_path / "nowhere" / "runs.db")
    with pytest.raises(StoreError, match="there is no database at"):
        Store(tmp_path / "typo.db", create=False)
    with pytest.raises(StoreError, match="in memory forgets"):
        Store("sqlite://")
    assert list(tmp_path.iterdir()) == []


def test_url_is_shown_without_password():
    """A URL loses password and query where it is shown; a path stays a path."""
    url = read_url("postgresql://me:secret@host/db?sslpassword=hidden")

    assert shown(url) == "postgresql+psycopg://me:***@host/db"
    assert shown(read_url("runs.db")) == "runs.db"
    with pytest.raises(StoreError, match="cannot be read; pass a path") as failure:
        read_url("not a url://me:secret@")
    assert "secret" not in str(failure.value)


def test_unknown_database_kind_is_refused():
    """A dialect that does not exist is named."""
    with pytest.raises(StoreError, match="'oracle7' is not a known database"):
        Store("oracle7://me:secret@host/db")


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_exported_run_is_read_again_as_transcripts(store, tmp_path, name):
    """Prompts, responses and verdicts of an exported file are those of the run."""
    prompts = prompt_set()
    run = store.start_run(setup_of(prompts, classifier={"name": "n", "hash": "c"}))
    store.add_responses(run.id, answers(prompts, range(2)))
    kept = list(store.responses(run.id))
    store.add_verdicts(run.id, "c", kept, [verdict_of(r, "g4") for r in kept])

    export(store, run.id, tmp_path / name)

    rows = list(read_transcripts(tmp_path / name, taxonomy=FIVE_GOALS))
    assert [row.response.text for row in rows] == [r.text for r in kept]
    assert [row.response.prompt.hash for row in rows] == [r.prompt.hash for r in kept]
    assert [row.verdict.goal for row in rows] == ["g4"] * 6
