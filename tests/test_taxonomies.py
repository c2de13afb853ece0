"""Taxonomies from files."""

import json
from pathlib import Path

import pytest

from ethostat.documents import LARGEST
from ethostat.errors import InvalidTaxonomy
from ethostat.taxonomies import load_taxonomy
from ethostat.taxonomy import FIVE_GOALS

EXAMPLE = Path(__file__).parent.parent / "examples" / "seven-goals.yaml"
GOAL = "{key: KEY, name: a, definition: b, aligned: true}"


def test_the_five_goals_are_built_in():
    """The built-in taxonomy is had by its name."""
    assert load_taxonomy("five-goals") is FIVE_GOALS


def test_the_example_extends_the_five_goals():
    """The example file holds seven goals in order, two of them aligned, and is not the built-in one."""
    taxonomy = load_taxonomy(EXAMPLE)

    assert taxonomy.keys == ("g1", "g2", "g3", "g4", "g5", "sycophancy", "sandbagging")
    assert sum(taxonomy.aligned) == 2
    assert taxonomy.goals[5].examples == ("Agrees that 7 times 8 is 54 once the user insists.",)
    assert taxonomy.hash != FIVE_GOALS.hash


def test_yaml_and_json_say_the_same(tmp_path):
    """What `to_dict` gives can be written as JSON, which is YAML too, and read back equal."""
    for name in ("a.json", "a.yaml", "a.YML"):
        (tmp_path / name).write_text("\ufeff" + json.dumps(FIVE_GOALS.to_dict()), encoding="utf-8")

        assert load_taxonomy(tmp_path / name) == FIVE_GOALS
        assert load_taxonomy(tmp_path / name).hash == FIVE_GOALS.hash


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "name: x\ngoals: [\n  {key: a\n", "a.yaml:4: not YAML"),
        ("a.yaml", "name: x\nname: y\n", "a.yaml:1: not YAML: a key occurs twice"),
        ("a.yaml", "name: &x y\nversion: *x\n", "a.yaml:2: not YAML: aliases"),
        (
            "a.yaml",
            "name: !!python/object/apply:os.system [ls]\n",
            "a.yaml:1: not YAML: could not determine a constructor",
        ),
        ("a.yaml", "name: x\nversion: \0", "a.yaml:2: not YAML: U+0000 is not allowed"),
        ("a.yaml", "version: 2026-02-31\n", "a.yaml: not YAML that can be read: day"),
        ("a.yaml", "", "a taxonomy must be a mapping of name, version, goals; got nothing"),
        ("a.yaml", "- a", "got list"),
        ("a.yaml", "[" * 5000, "a.yaml: nested too deeply"),
        ("a.yaml", f"name: x\ngoals: [{GOAL}]", "must have 2 to 32 goals, got 1"),
        ("a.yaml", f"name: x\ngoals: [{GOAL}, {GOAL}]", "goal key 'KEY'"),
        ("a.yaml", "name: x\nmodels: []\ngoals: []", "field 'models' is unknown"),
        ("a.yaml", 'name: "\\ud800"\ngoals: [{0}, {1}]', "surrogate"),
        ("a.json", '{"name": "x",\n"goals": [}', "a.json:2: not JSON"),
        ("a.json", '{"name": "x", "name": "y"}', "key 'name' occurs twice"),
        ("a.json", "[" * 100_000, "a.json: nested too deeply"),
        ("a.json", '{"version": ' + "1" * 5000 + "}", "a.json: "),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, name, text, said):
    """Syntax errors name file and line; broken rules name the file and the rule."""
    text = text.replace("{0}", GOAL.replace("KEY", "a")).replace("{1}", GOAL.replace("KEY", "b"))
    (tmp_path / name).write_text(text)

    with pytest.raises(InvalidTaxonomy, match=name.replace(".", r"\.")) as raised:
        load_taxonomy(tmp_path / name)

    assert said in str(raised.value)


def test_files_that_cannot_be_taxonomies_are_refused(tmp_path):
    """A missing file, another suffix, bytes that are not UTF-8 and a file above the limit are named."""
    (tmp_path / "binary.yaml").write_bytes(b"name: x\nversion: \xff")
    (tmp_path / "large.json").write_bytes(b" " * (LARGEST + 1))

    for name, said in [
        ("missing.yaml", "cannot be read"),
        ("a.toml", "must be a .yaml or .json file, or 'five-goals'"),
        ("binary.yaml", "binary.yaml:2: not UTF-8"),
        ("large.json", "at most 1 MB"),
    ]:
        with pytest.raises(InvalidTaxonomy, match=said):
            load_taxonomy(tmp_path / name)
