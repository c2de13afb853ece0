"""Frame: what an experiment is, and what one run of it leaves behind.

A run of NAME writes, each file whole or not at all:

    OUT/NAME/figures.json   every number of the page, with seed, time and versions
    OUT/NAME/*.svg          its drawings, made of these figures
    OUT/NAME.md             the page, made of these figures; never edited by hand
    OUT/NAME/work/          what long steps keep, so that a run that was interrupted goes on; safe to delete
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from plotly.graph_objects import Figure

from ethostat import __version__
from ethostat.errors import InvalidInput
from ethostat.experiments.claims import Claim, claims_table
from ethostat.report.images import check_images, image
from ethostat.whole import replacing

Figures = dict[str, Any]
"""What a run found, as JSON holds it; `made` (by the frame) says how."""

SEED = 7
_PACKAGES = ("numpy", "scipy", "scikit-learn", "onnxruntime", "torch", "transformers", "peft", "xllamacpp")


def _silent(_line: str) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is told: its size, its seed, its folders, and where progress goes (a line at a time).

    `data` is a folder of labelled rows or of models, for experiments that can use one. Two runs with the same
    settings, data and versions give the same figures, times aside.
    """

    short: bool = False
    seed: int = SEED
    out: Path = Path("experiments")
    data: Path | None = None
    progress: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True)
class Work:
    """A run's own folder: what it keeps between interruptions; short and full runs and seeds have one each."""

    path: Path

    @classmethod
    def of(cls, name: str, settings: Settings) -> Work:
        """The folder of an experiment's run, made where it is missing. Raises InvalidInput where it cannot be."""
        path = settings.out / name / "work" / f"{'short' if settings.short else 'full'}-{settings.seed}"
        return cls(made_folder(path))

    def step(self, name: str, run: Callable[[], Figures]) -> Figures:
        """What a step found: read where a run before finished it, else run and kept, with its seconds in `step`."""
        path = self.path / f"{name}.json"
        if path.exists():
            kept: Figures = json.loads(path.read_text(encoding="utf-8"))
            return kept
        began, cpu = time.monotonic(), _cpu()
        found = run()
        found["step"] = {"seconds": round(time.monotonic() - began, 2), "cpu_seconds": round(_cpu() - cpu, 2)}
        write_whole(path, as_json(found))
        return json.loads(as_json(found))  # type: ignore[no-any-return]

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all steps that are kept, whichever run took them."""
        kept = (json.loads(path.read_text(encoding="utf-8")) for path in self.path.glob("*.json"))
        return float(sum(one["step"]["cpu_seconds"] for one in kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment: a question, how it is run, and the page, drawings and claims that its figures give.

    `run` gives every number of the page; those of a run that goes on after an interruption may give `cpu_seconds` of
    all its steps, which the frame then shows. `page` gives Markdown from the level of `##` on, with no number of its
    own and verdicts worded by the figures, so that another run rewrites it. `drawings` are plotly figures by file
    name. `claims` are the paper's, judged by the figures.
    """

    name: str
    title: str
    question: str
    run: Callable[[Settings], Figures]
    page: Callable[[Figures], str]
    claims: Callable[[Figures], Sequence[Claim]]
    drawings: Callable[[Figures], Mapping[str, Figure]] = lambda _figures: {}


def run_experiment(experiment: Experiment, settings: Settings, *, images: bool = True) -> Path:
    """Run, and write figures, drawings and page; gives the page's path.

    Without `images` no browser is needed, and the page names drawings that are not there. Raises MissingExtra where
    an extra is missing, InvalidInput where a file cannot be written or a figure is not JSON, and as `run` does.
    """
    if images:
        check_images()
    folder = made_folder(settings.out / experiment.name)
    began, cpu = time.monotonic(), _cpu()
    found = experiment.run(settings)
    seconds = {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(_cpu() - cpu, 1)}
    if "cpu_seconds" in found:
        seconds["cpu_seconds"] = round(found["cpu_seconds"], 1)
    written = as_json({**found, "made": _made(settings) | seconds})
    page = render(experiment, json.loads(written))
    for name, drawn in _drawn(experiment, json.loads(written), images=images):
        write_whole(folder / f"{name}.svg", drawn)
    write_whole(folder / "figures.json", written)
    path = settings.out / f"{experiment.name}.md"
    write_whole(path, page)
    return path


def render(experiment: Experiment, figures: Figures) -> str:
    """The page of these figures: title, question, what was found, the claims, how it was made."""
    claims = experiment.claims(figures)
    parts = [f"# {experiment.title}", experiment.question, experiment.page(figures).strip()]
    if claims:
        parts += ["## The paper's claims", claims_table(claims)]
    parts += ["## How this was made", _how(experiment, figures["made"])]
    return "\n\n".join(parts) + "\n"


def read_figures(path: Path) -> Figures:
    """The figures of a run. Raises InvalidInput for a file that holds none."""
    try:
        found: Figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} holds no figures ({error}); run `ethostat reproduce {path.parent.name}`") from error
    return found


def as_json(found: Figures) -> str:
    """Figures as they are stored. Raises InvalidInput for what JSON does not have, nan among it."""
    try:
        return json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"a figure is not JSON ({error}); give plain finite numbers, None where undefined"
        ) from error


def made_folder(path: Path) -> Path:
    """The folder, made where it is missing. Raises InvalidInput where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be made ({error.strerror}); choose another folder with --out") from error
    return path


def write_whole(path: Path, written: str | bytes) -> None:
    """Write a file whole or not at all. Raises InvalidInput where it cannot be written."""
    try:
        with replacing(path) as unfinished:
            unfinished.write_bytes(written.encode() if isinstance(written, str) else written)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error


def _drawn(experiment: Experiment, figures: Figures, *, images: bool) -> Iterator[tuple[str, bytes]]:
    if images:
        for name, drawing in experiment.drawings(figures).items():
            yield name, image(drawing, ".svg", title=drawing.layout.title.text or experiment.title)


def _made(settings: Settings) -> Figures:
    found = {"python": platform.python_version(), "ethostat": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    cores = os.cpu_count()
    return {
        "short": settings.short, "seed": settings.seed, "data": settings.data is not None, "cores": cores,
        "versions": found,
    }  # fmt: skip


def _how(experiment: Experiment, made: Figures) -> str:
    options = [
        f"--seed {made['seed']}",
        *(["--data DATA"] if made["data"] else []),
        *(["--short"] if made["short"] else []),
    ]
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    short = "\n\n**This is the short form: its figures only show that the code runs.**" if made["short"] else ""
    return (
        f"```\nethostat reproduce {experiment.name} {' '.join(options)}\n```\n\n"
        f"{made['cpu_seconds']:,.0f} CPU seconds; the last run took {made['seconds']:,.0f} seconds on {made['cores']} "
        f"cores, which other work may have shared. {versions}.\n\n"
        f"Every number of this page is from [`{experiment.name}/figures.json`]({experiment.name}/figures.json), which "
        f"that command writes together with the page.{short}"
    )


def _cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
