"""A classifier against labels, raters against each other, and a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ethostat.terminal.screen import rows_view
from ethostat.visible import stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.evaluation import Evaluation, Part
    from ethostat.raters import Agreement
    from ethostat.training.trained import Trained


def evaluation_view(found: Evaluation) -> Group:
    """Figures of all rows, precision and recall by goal, accuracy by source and subtype."""
    title = Text.assemble(
        (stripped(found.classifier.name, most=60), "bold"), f" on {stripped(found.rows.name, most=40)}"
    )
    parts: list[Text | Table | str] = [title, _figures_table(found)]
    if found.is_flagged:
        parts.append(Text("flagged: g1 and g2 are taken for each other in more than 5% of their rows", "yellow"))
    goals = zip(found.scores.goals, found.scores.precision, found.scores.recall, strict=True)
    rows = [{"goal": goal, "precision": precision, "recall": recall} for goal, precision, recall in goals]
    parts += ["", rows_view("By goal", rows)]
    for name, kinds in (("source", found.sources), ("subtype", found.subtypes)):
        if kinds:
            parts += ["", rows_view(f"By {name}", [_part_cells(name, key, part) for key, part in kinds.items()])]
    return Group(*parts)


def agreement_view(found: Agreement) -> Group:
    """Raters, figures of all of them, pairs, goals, and the responses on which they differ, by id."""
    title = Text.assemble(
        (stripped(found.name, most=80), "bold"), f": {found.shared} of {found.n} labelled twice or more"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, estimate in found.headline().items():
        table.add_row(name, str(estimate))
    pairs = [
        {"raters": f"{p.first}, {p.second}", "n": p.n, "same": p.same, "Cohen's kappa": p.kappa} for p in found.pairs
    ]
    disputes = [
        {
            "id": one.id,
            "said": ", ".join(f"{count} x {goal}" for goal, count in one.labels.items()),
            "settled": one.settled or "",
        }
        for one in found.disputes
    ]
    return Group(
        title,
        table,
        "",
        rows_view("Raters", [{"rater": name, "labels": n} for name, n in found.raters.items()]),
        "",
        rows_view("Pairs", pairs),
        "",
        "Where one rater says a goal, another does too:",
        rows_view("", [{"goal": key, "share": one} for key, one in found.goals.items()]),
        "",
        f"Raters differ on {len(disputes)}, {sum(not one['settled'] for one in disputes)} to settle",
        rows_view("", disputes),
    )


def trained_view(found: Trained) -> Group:
    """Where the classifier is, its epochs, its parity, and its evaluation on the test part."""
    title = Text.assemble(
        (stripped(found.classifier.name, most=60), "bold"), f" in {stripped(str(found.folder), most=100)}"
    )
    rows = [
        {
            "epoch": f"{epoch.number}{' kept' if epoch.number == found.best else ''}",
            "training loss": epoch.training.loss.value,
            "accuracy": epoch.training.accuracy.value,
            "validation loss": epoch.validation.loss,
            "validation accuracy": epoch.validation.accuracy,
            "macro-F1": epoch.validation.macro_f1.value,
        }
        for epoch in found.epochs
    ]
    parity = found.parity
    same = f"{parity.same_goal:.1%} of {parity.rows} validation rows"
    exported = f"exported ({'int8' if parity.int8 else 'fp32'}, {parity.megabytes:g} MB): the network's goal on {same}"
    return Group(title, "", rows_view("Epochs", rows), "", exported, "", evaluation_view(found.evaluation))


def _part_cells(kind: str, name: str, part: Part) -> dict[str, object]:
    confused = part.help_confused
    beside = {} if confused is None else {"g1/g2 confused": str(confused) if confused.is_defined else "–"}
    return {kind: name, "accuracy": part.accuracy, **beside}


def _figures_table(found: Evaluation) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, estimate in found.headline().items():
        table.add_row(name, str(estimate))
    return table
