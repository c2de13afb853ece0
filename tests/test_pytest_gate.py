"""ethostat_gate: real test runs against models whose behaviour is known; what passes, fails, is skipped, is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ethostat as es
from goals import PROMPTS, WordClassifier, speaking

pytest_plugins = ["pytester"]

ALIGNED = (0.98, 0.005, 0.005, 0.005, 0.005)
LOOSE = (0.6, 0.37, 0.01, 0.01, 0.01)
HEAD = """
import ethostat as es
from goals import PROMPTS, WordClassifier, speaking
ALIGNED, LOOSE = {ALIGNED}, {LOOSE}
"""


@pytest.fixture(scope="module")
def measured() -> es.Measurement:
    """What an aligned model did; also loads what a gate needs, since pytester forgets the modules that a run loads."""
    found = es.measure(speaking(ALIGNED), PROMPTS, samples=30, seed=1, classifier=WordClassifier())
    es.gate(found, found)
    return found


@pytest.fixture
def project(measured, pytester, monkeypatch):
    """A project with its tests in a folder, a baseline beside them, and no settings from outside."""
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("XDG_DATA_HOME", str(pytester.path / "home"))
    monkeypatch.setenv("COLUMNS", "400")
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider")
    return pytester


def baseline(project, measured: es.Measurement, *, folder: str = ".") -> None:
    """baseline.json in a folder of the project."""
    (project.path / folder).mkdir(exist_ok=True)
    (project.path / folder / "baseline.json").write_text(json.dumps(measured.to_dict()))


def write(project, body: str, *, name: str = "test_behaviour.py") -> None:
    """A test file whose tests may use the models and the classifier of `goals`."""
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEAD.format(ALIGNED=ALIGNED, LOOSE=LOOSE) + body)


def run(project, *arguments: str):
    """The outcome of a test run in this process."""
    return project.runpytest_inprocess(*arguments)


def test_a_model_that_does_what_it_did_passes_and_is_named_at_the_end(project, measured):
    """A model shown to be equivalent passes the test, and the end of the run says so in one line."""
    baseline(project, measured)
    write(project, """
def test_it(ethostat_gate):
    shift = ethostat_gate("baseline.json", speaking(ALIGNED), prompts=PROMPTS, classifier=WordClassifier(), margin=0.2)
    assert shift.equivalent
""")  # fmt: skip

    result = run(project)

    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"=+ ethostat =+", r"test_behaviour.py::test_it: equivalent: speaking .*"])


def test_drift_fails_with_the_summary_and_the_goals_that_moved(project, measured):
    """A model that drifted fails the test; the message is the summary, the goals and the prompts, and no stack."""
    baseline(project, measured)
    write(project, """
def test_it(ethostat_gate):
    ethostat_gate("baseline.json", speaking(LOOSE), prompts=PROMPTS, classifier=WordClassifier())
""")  # fmt: skip

    result = run(project)

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines_random(
        [r"changed: speaking .* against speaking.*g1 9\d\.\d% -> .*", r"  g2 0\..%.*p = .*"]
    )
    result.stdout.re_match_lines_random([r'  prompt p\d+, g1 .*: "question \d+"', r'    now, g2: "g2 because of \d+"'])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_gate.py*")


SHORT = """
def test_it(ethostat_gate):
    ethostat_gate("baseline.json", speaking(ALIGNED), prompts=PROMPTS, samples=3, classifier=WordClassifier(){more})
"""


@pytest.mark.parametrize(
    ("arguments", "more", "outcome"),
    [
        ([], "", {"failed": 1}),
        (["--ethostat-inconclusive=skip"], "", {"skipped": 1}),
        ([], ", inconclusive='skip'", {"skipped": 1}),
        (["--ethostat-inconclusive=skip"], ", inconclusive='fail'", {"failed": 1}),
    ],
)
def test_too_little_evidence_never_passes(project, measured, arguments, more, outcome):
    """Short evidence fails as inconclusive, or skips where the flag or the call says so; the call goes first."""
    baseline(project, measured)
    write(project, SHORT.format(more=more))

    result = run(project, "-rs", *arguments)

    result.assert_outcomes(**outcome)
    result.stdout.re_match_lines_random([r".*inconclusive: speaking .*not shown to be within the margin: .*"])


def test_short_evidence_says_what_it_is_short_of(project, measured):
    """An inconclusive gate names each condition with its interval, and how many samples would do."""
    baseline(project, measured)
    write(project, SHORT.format(more=""))

    result = run(project)

    result.stdout.re_match_lines(
        [
            r"  S [+-]0\.\d+ \[.*\] at 90% is not shown to be within 0.05",
            r"  to see 0.05 nats takes about \d+ samples .*",
        ]
    )


def test_drift_is_not_skipped(project, measured):
    """A model that changed fails, whatever happens where the evidence is short."""
    baseline(project, measured)
    write(project, """
def test_it(ethostat_gate):
    ethostat_gate("baseline.json", speaking(LOOSE), prompts=PROMPTS, classifier=WordClassifier())
""")  # fmt: skip

    run(project, "--ethostat-inconclusive=skip").assert_outcomes(failed=1)


def test_a_model_is_asked_as_the_baseline_was(project):
    """Without prompts or samples, a model is asked what the baseline was, as often and as hot."""
    model = es.SimulatedModel("constant", {"at": 0.05})
    prompts = es.load_prompts("demo")
    found = es.measure(
        model,
        prompts,
        samples=20,
        seed=1,
        decoding=es.Decoding(temperature=0.3),
        classifier=es.open_classifier("goals-in-text"),
    )
    (project.path / "baseline.json").write_text(json.dumps(found.to_dict()))
    write(project, """
def test_it(ethostat_gate):
    ethostat_gate("baseline.json", "sim:constant?at=0.05", classifier="goals-in-text", margin=0.2)
""")  # fmt: skip

    run(project, "--ethostat-db=runs.db").assert_outcomes(passed=1)

    with es.Store(project.path / "runs.db") as store:
        (asked,) = store.runs()
        assert (asked.samples, asked.decoding["temperature"]) == (20, 0.3)
        assert store.prompts(asked.id).hash == prompts.hash


def test_either_side_may_be_recorded_stored_or_measured(project):
    """Transcripts, runs of the database, measurement files and names of models stand on either side."""
    rows = [{"prompt": f"question {i % 12}", "goal": "g1"} for i in range(480)]
    (project.path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with es.Store(project.path / "runs.db", create=True) as store:
        found = es.measure_transcripts(project.path / "log.jsonl", store=store)
    (project.path / "m.json").write_text(json.dumps(found.to_dict()))
    write(project, f"""
import pytest

@pytest.mark.parametrize(("a", "b"), [
    ("transcripts:log.jsonl", "latest"),
    ("{found.provenance.run}", "log.jsonl"),
    ("m.json", "sim:constant?at=0"),
    ("sim:constant?at=0", "m.json"),
    ("log.jsonl", "sim:constant?at=0"),
])
def test_it(ethostat_gate, a, b):
    ethostat_gate(a, b, classifier="goals-in-text", margin=0.2)

def test_two_models(ethostat_gate):
    model = "sim:constant?at=0"
    ethostat_gate(model, model, prompts=PROMPTS, samples=30, classifier="goals-in-text", margin=0.2)
""")  # fmt: skip

    run(project, "--ethostat-db=runs.db").assert_outcomes(passed=6)


def test_files_lie_beside_the_test_or_where_pytest_was_called(project, measured):
    """A baseline and prompts beside the test are found from any folder."""
    baseline(project, measured, folder="checks")
    (project.path / "checks" / "prompts.jsonl").write_text(
        "\n".join(json.dumps({"id": p.id, "prompt": p.text, "category": p.category}) for p in PROMPTS)
    )
    write(project, name="checks/test_there.py", body="""
def test_it(ethostat_gate):
    ethostat_gate("baseline.json", speaking(ALIGNED), prompts="prompts.jsonl", classifier=WordClassifier(), margin=0.2)
""")  # fmt: skip

    run(project, "checks").assert_outcomes(passed=1)


def test_folders_may_have_fixtures_of_their_own(project):
    """A conftest that holds for one folder alone does not disturb the plugin."""
    write(project, "def test_it(): pass")
    write(project, "def test_it(mine): pass", name="checks/test_there.py")
    (project.path / "checks" / "conftest.py").write_text("import pytest\n\n@pytest.fixture\ndef mine(): pass")

    run(project).assert_outcomes(passed=2)


def test_settings_come_from_the_ini_file_and_a_flag_goes_before_them(project, measured):
    """The margin of the ini file holds, that of a flag before it, that of the call before both."""
    baseline(project, measured)
    project.makeini("[pytest]\nethostat_margin = 0.0001\nethostat_samples = 30\nethostat_db = kept/../runs.db")
    (project.path / "kept").mkdir()
    write(project, """
def test_it(ethostat_gate):
    ethostat_gate("baseline.json", speaking(ALIGNED), prompts=PROMPTS, classifier=WordClassifier())

def test_its_own(ethostat_gate):
    ethostat_gate("baseline.json", speaking(ALIGNED), prompts=PROMPTS, classifier=WordClassifier(), margin=0.2)
""")  # fmt: skip

    run(project).assert_outcomes(failed=1, passed=1)
    run(project, "--ethostat-margin=0.2").assert_outcomes(passed=2)
    assert (project.path / "runs.db").exists()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--ethostat-margin=wide", "*ethostat-margin must be a number, got 'wide'*"),
        ("--ethostat-inconclusive=pass", "*inconclusive must be fail or skip, got 'pass'*"),
    ],
)
def test_a_setting_that_cannot_be_meant_stops_the_run(project, argument, message):
    """A margin that is no number, an outcome that is none: the run does not start."""
    write(project, "def test_it(): pass")

    result = run(project, argument)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("'nowhere.json', 'sim:constant'", "ethostat: 'nowhere.json' is no file, and no run either: *"),
        (
            "'baseline.json', 'sim:constant'",
            "ethostat: the texts of the prompts 'twelve' *name their file as the prompts*",
        ),
        ("'baseline.json', 'sim:nothing', prompts=PROMPTS", "ethostat: scenario 'nothing' must be one of *"),
        ("'baseline.json', 'sim:constant', prompts=PROMPTS, margin=0", "ethostat: margin must be above 0*"),
    ],
)
def test_what_cannot_be_compared_fails_with_a_sentence(project, measured, call, message):
    """A missing baseline, unknown prompts, a model that is none or does not answer: the test fails, without a stack."""
    baseline(project, measured)
    write(project, f"def test_it(ethostat_gate):\n    ethostat_gate({call})")

    result = run(project)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Error*Traceback*")


def test_a_model_that_is_not_there_fails_and_is_not_skipped(project, measured):
    """Where no response came, the test fails with the reason, whatever happens where the evidence is short."""
    baseline(project, measured)
    write(project, """
from ethostat.errors import ServerFault

async def answer(prompt, seed):
    raise ServerFault("out of order")

def test_it(ethostat_gate):
    ethostat_gate("baseline.json", es.FunctionModel(answer, name="gone"), prompts=PROMPTS, samples=1)
""")  # fmt: skip

    result = run(project, "--ethostat-inconclusive=skip")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["ethostat: gone gave no answer at all (ServerFault): out of order"])


def test_missing_responses_do_not_pass(project, measured):
    """A model that leaves prompts unanswered is not let through, equivalent as the rest may be."""
    baseline(project, measured)
    write(project, """
import random
from ethostat.errors import ServerFault

async def answer(prompt, seed):
    if prompt.id == "p3":
        raise ServerFault("out of order")
    return random.Random(f"{prompt.id}/{seed}").choices(es.FIVE_GOALS.keys, ALIGNED)[0] + " because"

def test_it(ethostat_gate):
    model = es.FunctionModel(answer, name="partly")
    ethostat_gate("baseline.json", model, prompts=PROMPTS, classifier=WordClassifier(), margin=0.2)
""")  # fmt: skip

    result = run(project)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["inconclusive: 30 responses are missing; *"])


def test_what_a_model_wrote_cannot_move_the_cursor(project, measured):
    """Control characters in a response are not shown by a failing test."""
    baseline(project, measured)
    write(project, """
async def answer(prompt, seed):
    return "g2 \\x1b[2J\\u202egone"

def test_it(ethostat_gate):
    model = es.FunctionModel(answer, name="hostile\\x1b[31m")
    ethostat_gate("baseline.json", model, prompts=PROMPTS, samples=20, classifier=WordClassifier())
""")  # fmt: skip

    result = run(project)

    result.assert_outcomes(failed=1)
    assert not {"\x1b", "\u202e"} & set(str(result.stdout))
    result.stdout.fnmatch_lines(['*now, g2: "g2 [[]2Jgone"'])


def test_a_gate_works_inside_a_running_event_loop(project, measured):
    """A test that runs a loop of its own can call the gate from within."""
    baseline(project, measured)
    write(project, """
import asyncio

def test_it(ethostat_gate):
    async def check():
        ethostat_gate("baseline.json", speaking(ALIGNED), prompts=PROMPTS, classifier=WordClassifier(), margin=0.2)
    asyncio.run(check())
""")  # fmt: skip

    run(project).assert_outcomes(passed=1)


def test_junit_files_carry_the_summary(project, measured):
    """The summary is a property of the test case in a JUnit file."""
    baseline(project, measured)
    write(project, SHORT.format(more=""))

    run(project, "--junitxml=out.xml")

    assert 'name="ethostat" value="inconclusive: speaking' in (project.path / "out.xml").read_text()


def test_the_plugin_costs_a_test_run_next_to_nothing():
    """Loading the plugin loads nothing but pytest and the names of ethostat."""
    heavy = "numpy scipy httpx sqlalchemy onnxruntime plotly typer rich.table alembic msgspec"
    code = (
        "import sys, pytest; before = set(sys.modules); import ethostat.pytest_gate; "
        f"print([name for name in {heavy.split()!r} if name in set(sys.modules) - before], "
        "sorted(name for name in set(sys.modules) - before if name.startswith('ethostat')))"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == ("[] ['ethostat', 'ethostat.errors', 'ethostat.pytest_gate', 'ethostat.visible']")
