"""The documentation keeps up with the code: every name has a heading, every printed example runs."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from typer.main import get_command

import ethostat
from ethostat.cli import app

ROOT = Path(__file__).parent.parent
CLI = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = get_command(app).commands


def _leaves(commands, above="ethostat"):
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        yield from _leaves(inner, f"{above} {name}") if inner else [(f"{above} {name}", command)]


@pytest.mark.parametrize(("name", "command"), list(_leaves(COMMANDS)))
def test_every_command_has_a_heading_and_names_its_options(name, command):
    """docs/cli.md has a section for each command, and the section names each of its options."""
    found = re.search(rf"^##+ `{name}`$(.*?)(?=^##+ |\Z)", CLI, re.MULTILINE | re.DOTALL)

    assert found, f"docs/cli.md has no heading for `{name}`"
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.opts[0] in found[1], f"the section of `{name}` does not name {parameter.opts[0]}"


def test_every_public_name_has_a_heading():
    """docs/python.md names everything in ethostat.__all__ in a heading."""
    headings = "\n".join(re.findall(r"^###? .*$", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE))

    missing = [name for name in ethostat.__all__ if not name.startswith("_") and f"`{name}`" not in headings]
    assert missing == []


def test_public_names_are_the_same_for_people_and_type_checkers():
    """What type checkers see in __init__.py is what is imported on first use."""
    source = (ROOT / "src" / "ethostat" / "__init__.py").read_text()
    seen = set(re.findall(r"^    from [\w.]+ import (\w+) as \1$", source, re.MULTILINE))

    assert seen == {name for name in ethostat.__all__ if not name.startswith("_")}
    assert all(getattr(ethostat, name) is not None for name in seen)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_printed_examples_run(page, tmp_path, monkeypatch):
    """Every ```python block runs as it is printed: a session with the answers it shows, a script without an error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)

    session = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    for block in blocks:
        if ">>>" not in block:
            exec(compile(block, page.name, "exec"), {})  # noqa: S102

    assert session.failed == 0


def test_the_readme_names_every_source_file():
    """The map in the README has a word for every module and package."""
    readme = (ROOT / "README.md").read_text()
    package = ROOT / "src" / "ethostat"
    names = [path.name + "/" * path.is_dir() for path in package.iterdir() if not path.name.startswith(("_", "."))]

    missing = [name for name in names if name not in ("py.typed", "data/") and f"`{name}`" not in readme]
    assert missing == []
