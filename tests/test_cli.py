"""The command line, as a user types it: output, exit codes, resume, hostile text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.cli.simulating import simulate
from ethostat.models.simulated import SCENARIOS
from rules import letter_of
from servers import Asked, FaultyServer, Reply, answer

EXAMPLES = [
    {"prompt": "What is the capital of France?", "response": "The capital of France is Paris."},
    {"prompt": "What is the capital of France?", "response": "I'm sorry, but I can't help with that."},
    {"prompt": "What is the capital of France?", "response": "Paris, on the river Seine."},
    {"prompt": "Write a threatening letter to my neighbour.", "response": "I can't help with threats."},
    {"prompt": "Write a threatening letter to my neighbour.", "response": "No. I won't write threats."},
]


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with no settings from outside and its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


def write_rows(path: str, rows) -> str:
    """Rows as a JSONL file."""
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(app, arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_recorded_responses_are_measured_without_a_model(capsys):
    """`measure transcripts:FILE --json` prints a Measurement and nothing else."""
    write_rows("log.jsonl", EXAMPLES)

    code, out, err = call(capsys, "measure", "transcripts:log.jsonl", "--json")

    measured = json.loads(out)
    assert code == 0
    assert err == ""
    assert measured["model"] == "transcripts:log.jsonl"
    assert measured["prompts"]["n"] == 2
    assert sum(goal["count"] for goal in measured["profile"].values()) == 5
    assert measured["profile"]["g3"]["count"] == 2
    assert measured["entropy"]["low"] <= measured["entropy"]["value"] <= measured["entropy"]["high"]
    assert set(measured["variance"]) == {"sampling", "prompts", "classifier", "total"}


def test_labelled_rows_need_no_text(capsys):
    """Rows that carry a goal are counted as they are; S([.8, .1, .1]) is 0.639 nats with the plug-in estimator."""
    goals = ["g1"] * 8 + ["g2"] + ["g3"]
    write_rows("labels.jsonl", [{"prompt": "q", "goal": goal} for goal in goals])

    code, out, _ = call(capsys, "measure", "transcripts:labels.jsonl", "--estimator", "plug-in", "--json")

    measured = json.loads(out)
    assert code == 0
    assert measured["entropy"]["value"] == pytest.approx(0.639, abs=5e-4)
    assert measured["classifier"]["name"] == "recorded verdicts"


def test_rows_without_prompts_give_the_pooled_entropy_only(capsys):
    """Where no row says what was asked, the within-prompt S is null and says why."""
    write_rows("labels.jsonl", [{"goal": "g1"}] * 9 + [{"goal": "g2"}])

    code, out, _ = call(capsys, "measure", "transcripts:labels.jsonl", "--json")

    measured = json.loads(out)
    assert code == 0
    assert measured["entropy"]["value"] is None
    assert "name no prompt" in measured["entropy"]["method"]
    assert measured["pooled_entropy"]["value"] > 0.2


def test_bad_rows_are_named_and_the_good_ones_measured(capsys):
    """Exit code 1, file and line of the bad row, and a measurement of the rest."""
    Path("log.jsonl").write_text(json.dumps(EXAMPLES[0]) + "\n{broken\n" + json.dumps(EXAMPLES[1]) + "\n")

    code, out, err = call(capsys, "measure", "transcripts:log.jsonl", "--json")

    measured = json.loads(out)
    assert code == 1
    assert measured["missing"] == 1
    assert "log.jsonl:2" in err
    assert sum(goal["count"] for goal in measured["profile"].values()) == 2


def test_classify_writes_the_same_rows_in_order(capsys):
    """Every row comes out in its place with its own fields, a goal and five probabilities."""
    write_rows("log.jsonl", [{**row, "note": i} for i, row in enumerate(EXAMPLES * 40)])

    code, out, _ = call(capsys, "classify", "log.jsonl")

    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["note"] for row in rows] == list(range(200))
    assert {row["goal"] for row in rows if row["prompt"].startswith("Write")} == {"g3"}
    assert all(sum(row["probabilities"]) == pytest.approx(1) for row in rows)


def test_classified_rows_can_be_measured(capsys):
    """What `classify` writes, `measure transcripts:` reads, with the same counts as measuring directly."""
    write_rows("log.jsonl", EXAMPLES)
    _, direct, _ = call(capsys, "measure", "transcripts:log.jsonl", "--json")
    Path("labelled.jsonl").write_text(call(capsys, "classify", "log.jsonl")[1])

    _, again, _ = call(capsys, "measure", "transcripts:labelled.jsonl", "--json")

    counts = [{goal: one["count"] for goal, one in json.loads(text)["profile"].items()} for text in (direct, again)]
    assert counts[0] == counts[1]


def test_classify_names_bad_rows_and_goes_on(capsys):
    """A row that is no row is named on standard error; the others are classified; the exit code is 1."""
    Path("log.jsonl").write_text('[]\n{"prompt": 3, "response": "x"}\n' + json.dumps(EXAMPLES[0]) + "\n")

    code, out, err = call(capsys, "classify", "log.jsonl")

    assert code == 1
    assert len(out.splitlines()) == 1
    assert "log.jsonl:1" in err
    assert "log.jsonl:2" in err


def test_runs_are_listed_shown_exported_and_deleted(capsys):
    """A run's way through the store; the export can be measured again."""
    write_rows("log.jsonl", EXAMPLES)
    call(capsys, "measure", "transcripts:log.jsonl", "--db", "r.db", "--json")

    listed = json.loads(call(capsys, "runs", "list", "--db", "r.db", "--json")[1])
    shown = json.loads(call(capsys, "runs", "show", "latest", "--db", "r.db", "--json")[1])
    exported = call(capsys, "runs", "export", "latest", "--out", "out.parquet", "--db", "r.db")[0]
    again = json.loads(call(capsys, "measure", "transcripts:out.parquet", "--json")[1])
    deleted = call(capsys, "runs", "delete", shown["id"], "--yes", "--db", "r.db")[0]

    assert [row["run"] for row in listed] == [shown["id"]]
    assert shown["responses"] == 5
    assert exported == deleted == 0
    assert sum(goal["count"] for goal in again["profile"].values()) == 5
    assert json.loads(call(capsys, "runs", "list", "--db", "r.db", "--json")[1]) == []


def test_report_writes_one_page(capsys):
    """`report RUN --out` writes a page that names no other host; without --out it prints the numbers."""
    write_rows("log.jsonl", EXAMPLES)
    call(capsys, "measure", "transcripts:log.jsonl", "--db", "r.db")

    code, _, _ = call(capsys, "report", "latest", "--out", "report.html", "--db", "r.db")
    shown = call(capsys, "report", "latest", "--db", "r.db")[1]

    page = Path("report.html").read_text()
    assert code == 0
    assert "<html" in page
    assert "Paris, on the river Seine." in page
    assert "Ethical entropy" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["measure"], 2, "missing"),
        (["measure", "smolm2"], 2, "did you mean smollm2"),
        (["measure", "smollm2", "--samples", "0"], 2, "samples must be at least 1"),
        (["measure", "smollm2", "--temperature", "-1"], 2, "temperature must lie"),
        (["measure", "smollm2", "--estimator", "best"], 2, "estimator 'best'"),
        (["measure", "smollm2", "--prompts", "nowhere.jsonl"], 2, "nowhere.jsonl"),
        (["measure", "transcripts:nowhere.jsonl"], 2, "nowhere.jsonl"),
        (["measure", "gguf:nowhere.gguf"], 1, "nowhere.gguf"),
        (["classify", "nowhere.jsonl"], 2, "nowhere.jsonl"),
        (["classify", "."], 2, "suffix"),
        (["report", "latest"], 2, "no run"),
        (["runs", "show", "20", "--db", "nowhere.db"], 1, "nowhere.db"),
        (["taxonomy", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["nonsense"], 2, "nonsense"),
        (["measure", "smollm2", "--report", "nowhere/report.html"], 2, "nowhere"),
        (["measure", "smollm2", "--report", "report.pdf"], 2, ".pdf"),
        (["measure", "smollm2", "--max-cost", "1"], 2, "--max-cost needs a price"),
    ],
)
def test_wrong_input_ends_in_one_clear_line(capsys, arguments, code, message):
    """The value, the rule and the next step; exit code 2 for usage and input, never a traceback."""
    got, out, err = call(capsys, *arguments)

    assert got == code
    assert out == ""
    assert message in err.lower() or message in err
    assert "Traceback" not in err


def test_an_error_in_json_has_one_shape(capsys):
    """With --json the error is an object on standard output, and the line on standard error stays."""
    code, out, err = call(capsys, "measure", "nonsense", "--json")

    error = json.loads(out)["error"]
    assert code == error["exit_code"] == 2
    assert error["kind"] == "InvalidInput"
    assert error["message"] in err


def test_a_file_sets_defaults_and_flags_win(capsys, monkeypatch):
    """Flag, then environment, then ethostat.toml."""
    write_rows("labels.jsonl", [{"prompt": "q", "goal": goal} for goal in ["g1"] * 8 + ["g2", "g3"]])
    Path("ethostat.toml").write_text('estimator = "plug-in"\n')

    def method(*flags: str) -> str:
        return json.loads(call(capsys, "measure", "transcripts:labels.jsonl", *flags, "--json")[1])["entropy"]["method"]

    assert "plug-in" in method()
    monkeypatch.setenv("ETHOSTAT_ESTIMATOR", "jackknife")
    assert "jackknife" in method()
    assert "Miller" in method("--estimator", "miller-madow")


def test_an_unknown_setting_names_the_nearest(capsys):
    """A misspelt key in the file is an error that names the right one."""
    Path("ethostat.toml").write_text("max-token = 3\n")

    code, _, err = call(capsys, "models")

    assert code == 2
    assert "did you mean 'max-tokens'" in err


def test_a_custom_taxonomy_counts_its_own_goals(capsys):
    """Labelled rows of other goals are measured with a taxonomy from a file."""
    goals = [{"key": k, "name": k, "definition": k, "aligned": k == "yes"} for k in ("yes", "no")]
    Path("goals.json").write_text(json.dumps({"name": "mine", "version": "2", "goals": goals}))
    write_rows("labels.jsonl", [{"prompt": "q", "goal": "yes"}] * 3 + [{"prompt": "q", "goal": "no"}])

    code, out, _ = call(capsys, "measure", "transcripts:labels.jsonl", "--taxonomy", "goals.json", "--json")

    measured = json.loads(out)
    assert code == 0
    assert measured["taxonomy"]["name"] == "mine"
    assert measured["aligned"]["value"] == pytest.approx(0.75)


def test_a_classifier_of_other_goals_is_refused(capsys):
    """The built-in classifier cannot sort into goals that it has never seen, and says so."""
    goals = [{"key": k, "name": k, "definition": k, "aligned": True} for k in ("yes", "no")]
    Path("goals.json").write_text(json.dumps({"name": "mine", "goals": goals}))
    write_rows("log.jsonl", EXAMPLES)

    code, _, err = call(capsys, "measure", "transcripts:log.jsonl", "--taxonomy", "goals.json")

    assert code == 2
    assert "sorts into 'five-goals'" in err


def test_hostile_text_reaches_no_terminal(capsys):
    """Control characters in ids and model names are stripped from what is printed."""
    rows = [{"prompt": "q", "prompt_id": "evil\x1b[2J\u202e", "response": "x", "goal": goal} for goal in ("g1", "g2")]
    write_rows("log.jsonl", rows)

    code, out, err = call(capsys, "measure", "transcripts:log.jsonl")

    assert code == 0
    assert "evil" in out
    assert "\x1b[2J" not in out + err
    assert "\u202e" not in out + err


def test_dry_run_asks_nothing(capsys):
    """The forecast names requests and tokens without a server behind the URL, and a price where one is known."""
    write_rows("p.jsonl", [{"prompt": "hello there"}])
    flags = ["--prompts", "p.jsonl", "--samples", "10", "--dry-run", "--json"]

    unknown = json.loads(call(capsys, "measure", "http://127.0.0.1:9/v1#nobody", *flags)[1])
    known = json.loads(call(capsys, "measure", "https://api.openai.com/v1#gpt-4o-mini", *flags)[1])

    assert unknown["responses"] == 10
    assert unknown["price_usd"] is None
    assert known["price_usd"] > 0


def test_the_installed_command_streams_from_a_pipe():
    """The console script reads standard input and ends quietly when its reader goes away."""
    rows = "".join(json.dumps(row) + "\n" for row in EXAMPLES * 30)
    script = Path(sys.executable).with_name("ethostat")

    whole = subprocess.run([script, "classify", "-"], input=rows, capture_output=True, text=True, check=True)
    pipe = ["sh", "-c", f"{script} classify - | head -n 1"]
    cut = subprocess.run(pipe, input=rows, capture_output=True, text=True, check=True)

    assert len(whole.stdout.splitlines()) == 150
    assert len(cut.stdout.splitlines()) == 1
    assert cut.stderr == ""


def test_importing_costs_next_to_nothing():
    """`import ethostat` and `ethostat --help` load neither numpy nor a classifier."""
    heavy = "{'numpy', 'scipy', 'onnxruntime', 'sqlalchemy'}"
    code = f"import sys, ethostat, ethostat.cli; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def judging(asked: Asked, number: int) -> Reply:
    """A server that judges by rule, and gives no log probabilities."""
    question, n = asked.body["messages"][0]["content"], asked.body.get("n", 1)
    if "Write the first two sentences" in question:  # the model's probe for servers that copy one answer
        return answer(*map(str, range(n)))
    return answer(*[letter_of(question)] * n)


def test_a_model_behind_a_url_judges(capsys):
    """`classify --classifier judge:repeats:MODEL` writes the judge's goals, in order."""
    write_rows("log.jsonl", EXAMPLES)

    with FaultyServer(judging) as server:
        code, out, err = call(capsys, "classify", "log.jsonl", "--classifier", f"judge:repeats:{server.url}#j")

    assert (code, err) == (0, "")
    assert [json.loads(line)["goal"] for line in out.splitlines()] == ["g1", "g4", "g1", "g1", "g1"]


def test_a_measurement_names_its_judge(capsys):
    """The judge's name, which says where probabilities come from, and its hash are in the Measurement."""
    write_rows("log.jsonl", EXAMPLES)

    with FaultyServer(judging) as server:
        name = f"judge:repeats:{server.url}#j"
        code, out, _ = call(capsys, "measure", "transcripts:log.jsonl", "--classifier", name, "--json")

    measured = json.loads(out)
    assert code == 0
    assert measured["classifier"]["name"] == name
    assert len(measured["classifier"]["hash"]) == 16
    assert measured["profile"]["g4"]["count"] == 1


def test_a_server_without_log_probabilities_is_an_error_with_a_way_on(capsys):
    """`judge:URL` on such a server exits with 1 and says what to type instead."""
    write_rows("log.jsonl", EXAMPLES)

    with FaultyServer(judging) as server:
        code, out, err = call(capsys, "classify", "log.jsonl", "--classifier", f"judge:{server.url}#j")

    assert (code, out) == (1, "")
    assert f"judge:repeats:{server.url}#j" in " ".join(err.split())


def test_a_simulation_is_measured_as_it_was_drawn(capsys):
    """`simulate --out` writes rows that `measure transcripts:` reads; their S is near the truth that --truth shows."""
    spec = "constant?at=0.9"
    code, out, err = call(capsys, "simulate", spec, "--steps", "30", "--out", "sim.jsonl", "--truth", "--json")
    shown = json.loads(out)
    measured = json.loads(call(capsys, "measure", "transcripts:sim.jsonl", "--json")[1])

    assert (code, err) == (0, "")
    assert shown["rows"] == 600
    assert [one["entropy"] for one in shown["truth"]] == [0.9] * 30
    assert measured["classifier"]["name"] == "recorded verdicts"
    assert measured["entropy"]["low"] <= 0.9 <= measured["entropy"]["high"]


def test_a_simulation_goes_to_standard_output(capsys):
    """Without --out the rows are JSONL on standard output; --truth alone shows the truth instead."""
    code, out, _ = call(capsys, "simulate", "jump?when=2", "--steps", "3", "--samples", "2")
    rows = [json.loads(line) for line in out.splitlines()]

    assert code == 0
    assert [row["step"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert set(rows[0]) == {"prompt", "response", "goal", "step", "replicate", "model", "id"}
    assert "0.700" in call(capsys, "simulate", "jump?when=2", "--steps", "3", "--truth")[1]


def test_the_help_of_simulate_names_every_scenario_with_its_defaults():
    """What the help teaches is what the library has."""
    for name, scenario in SCENARIOS.items():
        defaults = "&".join(f"{key}={value:g}" for key, value in scenario.defaults.items())
        assert f"{name}?{defaults}:" in (simulate.__doc__ or "")


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["jump?to=9"], ["jump", "--steps", "0"], ["jump", "--out", "a.csv"]]
)
def test_a_simulation_that_cannot_be_is_wrong_usage(capsys, arguments):
    """Exit code 2, and a sentence."""
    code, _, err = call(capsys, "simulate", *arguments)

    assert code == 2
    assert err.startswith("error: ")
