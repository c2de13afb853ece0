"""Registry: the experiments in order, one of them run, and the page over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ethostat.errors import InvalidInput
from ethostat.experiments.arithmetic import ARITHMETIC
from ethostat.experiments.claims import Claim, claims_table, tally
from ethostat.experiments.classifier_page import CLASSIFIER
from ethostat.experiments.fisher import FISHER
from ethostat.experiments.frame import (
    SEED,
    Experiment,
    Settings,
    made_folder,
    read_figures,
    run_experiment,
    write_whole,
)
from ethostat.experiments.markdown import table
from ethostat.experiments.month import MONTH
from ethostat.experiments.purity import PURITY
from ethostat.experiments.taxonomy_page import TAXONOMY
from ethostat.experiments.threshold import THRESHOLD
from ethostat.experiments.tuning import TUNING

EXPERIMENTS: tuple[Experiment, ...] = (
    ARITHMETIC,
    CLASSIFIER,
    TUNING,
    THRESHOLD,
    FISHER,
    TAXONOMY,
    PURITY,
    MONTH,
)
"""The experiments, in the order of the claims page."""

_OPENING = """\
The experiments, the theory and the open questions of [arXiv 2512.03047](https://arxiv.org/abs/2512.03047), rerun on
real models where a small machine can, and on paper where its own numbers decide. Each page comes from one command and
says what it shows and what it does not."""
CLAIMS = "claims"
"""What `reproduce` calls the page over all experiments."""


def find_experiment(name: str) -> Experiment:
    """The experiment of this name. Raises InvalidInput where there is none."""
    for each in EXPERIMENTS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in EXPERIMENTS)
    raise InvalidInput(
        f"there is no experiment {name!r}; there are {names}, and {CLAIMS} for the page over all of them"
    )


def reproduce(
    name: str,
    *,
    out: Path | str = "experiments",
    short: bool = False,
    seed: int = SEED,
    data: Path | str | None = None,
    images: bool = True,
    on_progress: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Run one of the paper's experiments again and write its page, figures and drawings; gives the page's path.

    `claims` runs nothing: it gathers the claims of all experiments whose figures lie in `out`. `short` runs the same
    code on less, within seconds; `data` is a folder of labelled rows or of models, where the experiment's page says
    so; without `images` nothing is drawn, and no browser is needed. What a run that was interrupted had kept is used
    again. Raises InvalidInput for another name, data that are missing or a folder that cannot be written; MissingExtra
    without the extra that the experiment needs.
    """
    folder = Path(out)
    if name == CLAIMS:
        return write_claims(folder)
    settings = Settings(
        short=short, seed=seed, out=folder, data=None if data is None else Path(data), progress=on_progress
    )
    return run_experiment(find_experiment(name), settings, images=images)


def write_claims(folder: Path) -> Path:
    """Write the page over all experiments that were run in this folder; gives its path."""
    path = made_folder(folder) / "index.md"
    write_whole(path, claims_page(folder))
    return path


def claims_page(folder: Path) -> str:
    """Each experiment with its claims, from the figures that its run left; one that was not run is said to be so."""
    found = {each.name: _claims(each, folder) for each in EXPERIMENTS}
    every = [claim for claims in found.values() for claim in claims or ()]
    return (
        "\n\n".join(
            [
                "# The paper on trial",
                _OPENING,
                f"{len(every)} claims: {tally(every)}.",
                *_sections(found),
                "## Run them again",
                table(("command", "asks"), [(f"`ethostat reproduce {one.name}`", one.question) for one in EXPERIMENTS]),
                "`ethostat reproduce claims` writes this page from the figures that the others left.",
            ]
        )
        + "\n"
    )


def _sections(found: dict[str, list[Claim] | None]) -> Iterator[str]:
    for each in EXPERIMENTS:
        claims = found[each.name]
        if claims is None:
            yield f"## {each.title}\n\nNot run here yet: `ethostat reproduce {each.name}`."
        else:
            yield f"## {each.title}\n\n{each.question} [The page]({each.name}.md).\n\n{claims_table(claims)}"


def _claims(experiment: Experiment, folder: Path) -> list[Claim] | None:
    path = folder / experiment.name / "figures.json"
    return list(experiment.claims(read_figures(path))) if path.exists() else None
