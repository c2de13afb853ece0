"""The frame of the experiments: what a run leaves behind, and that stored pages say what stored figures say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ethostat.cli import app
from ethostat.errors import InvalidInput
from ethostat.experiments import EXPERIMENTS, find_experiment, reproduce
from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Experiment, Settings, Work, read_figures, render, run_experiment
from ethostat.experiments.registry import claims_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "experiments"
STORED = [each for each in EXPERIMENTS if (DOCS / each.name / "figures.json").exists()]


def coin(run, **more):
    """An experiment whose figures are `run`'s."""
    return Experiment(
        name="coin",
        title="A coin",
        question="Is it fair?",
        run=run,
        page=lambda figures: f"Heads: {figures['heads']} of {figures['n']}.",
        claims=lambda figures: [Claim("it is fair", f"{figures['heads']} heads", Finding.CONFIRMED)],
        **more,
    )


@pytest.mark.parametrize("experiment", STORED, ids=lambda one: one.name)
def test_a_stored_page_says_what_its_figures_say(experiment):
    """docs/experiments/NAME.md is what docs/experiments/NAME/figures.json renders to, and the full form's."""
    figures = read_figures(DOCS / experiment.name / "figures.json")

    assert (DOCS / f"{experiment.name}.md").read_text() == render(experiment, figures)
    assert figures["made"]["short"] is False


def test_the_stored_claims_are_those_of_the_stored_figures():
    """docs/experiments/index.md is what the stored figures of all experiments render to."""
    assert (DOCS / "index.md").read_text() == claims_page(DOCS)


@pytest.mark.parametrize("experiment", STORED, ids=lambda one: one.name)
def test_a_stored_page_shows_drawings_that_exist_and_is_in_the_navigation(experiment):
    """Every image of a page is a file, every drawing of the figures is on the page, and mkdocs lists the page."""
    page = (DOCS / f"{experiment.name}.md").read_text()
    shown = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page))
    drawn = experiment.drawings(read_figures(DOCS / experiment.name / "figures.json"))

    assert {f"{experiment.name}/{name}.svg" for name in drawn} == shown
    assert all((DOCS / file).stat().st_size for file in shown)
    assert f"experiments/{experiment.name}.md" in (ROOT / "mkdocs.yml").read_text()


def test_no_page_without_an_experiment():
    """Each page of docs/experiments belongs to an experiment that is registered."""
    assert {path.stem for path in DOCS.glob("*.md")} <= {"index", *(each.name for each in EXPERIMENTS)}


def test_a_run_leaves_figures_and_a_page_made_of_them(tmp_path):
    """figures.json holds what was found, the seed and the versions; the page is its rendering."""
    experiment = coin(lambda settings: {"heads": settings.seed, "n": 10})

    page = run_experiment(experiment, Settings(seed=4, out=tmp_path, short=True), images=False)

    figures = read_figures(tmp_path / "coin" / "figures.json")
    assert (figures["heads"], figures["made"]["seed"], figures["made"]["short"]) == (4, 4, True)
    assert "numpy" in figures["made"]["versions"]
    assert page.read_text() == render(experiment, figures)
    assert "Heads: 4 of 10." in page.read_text()
    assert "| it is fair | 4 heads | **confirmed** |" in page.read_text()


def test_a_figure_that_json_does_not_have_is_refused_and_nothing_is_written(tmp_path):
    """nan is no figure: the run ends in a sentence, and the folder holds neither figures nor page."""
    with pytest.raises(InvalidInput, match="None where undefined"):
        run_experiment(coin(lambda _: {"heads": float("nan"), "n": 1}), Settings(out=tmp_path), images=False)

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_run_that_fails_leaves_the_last_page_alone(tmp_path):
    """What an earlier run wrote stays as it was when a later one breaks."""
    run_experiment(coin(lambda _: {"heads": 1, "n": 2}), Settings(out=tmp_path), images=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    with pytest.raises(KeyError):
        run_experiment(coin(lambda _: {"heads": 1}), Settings(out=tmp_path), images=False)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_step_that_is_kept_is_not_run_again(tmp_path):
    """An interrupted run takes finished steps from its folder; another seed and the short form have their own."""
    asked = []

    def step():
        asked.append(1)
        return {"answer": 42}

    settings = Settings(out=tmp_path)
    first, again = (Work.of("coin", settings).step("asking", step) for _ in range(2))
    Work.of("coin", Settings(out=tmp_path, seed=8)).step("asking", step)
    Work.of("coin", Settings(out=tmp_path, short=True)).step("asking", step)

    assert first == again
    assert first["answer"] == 42
    assert len(asked) == 3


def test_the_list_names_every_experiment():
    """`reproduce --list --json` gives name, title and question of each, in order."""
    found = CliRunner().invoke(app, ["reproduce", "--list", "--json"])

    assert [row["name"] for row in json.loads(found.stdout)] == [each.name for each in EXPERIMENTS]


def test_an_unknown_experiment_is_named_with_those_there_are():
    """The error lists the names, so that the next command can be right."""
    with pytest.raises(InvalidInput, match="arithmetic"):
        find_experiment("alchemy")


def test_claims_of_a_folder_name_what_was_not_run(tmp_path):
    """The page over all experiments lists those without figures as not run."""
    page = reproduce("claims", out=tmp_path).read_text()

    assert page.count("Not run here yet") == len(EXPERIMENTS)


def test_the_command_writes_where_it_says(tmp_path):
    """`reproduce arithmetic --json` prints the path of a page that is there, without the package's own folder."""
    found = CliRunner().invoke(
        app, ["reproduce", "arithmetic", "--short", "--no-images", "--json", "--out", str(tmp_path)]
    )

    assert found.exit_code == 0
    assert Path(json.loads(found.stdout)["page"]).read_text().startswith("# What the paper's numbers decide")


def test_the_papers_arithmetic_is_recomputed(tmp_path):
    """ln 5 is reached from 0.12 after 115 steps, 94.2 % leaves 0.221 nats, the alarm fires on most quiet steps."""
    reproduce("arithmetic", out=tmp_path, short=True, images=False)
    figures = read_figures(tmp_path / "arithmetic" / "figures.json")

    assert round(figures["rate"]["steps_from_start"]) == 115
    assert round(figures["error"]["least_entropy"], 3) == 0.221
    assert round(figures["error"]["largest_error"], 3) == 0.026
    assert min(row["fired"]["value"] for row in figures["alarm"]["profiles"]) > 0.8
