"""Figures: every one draws its interval, and names its unit and n.

scheme.py    colours in light and dark              pieces.py    rows of dots, whiskers, axes, inert names
measured.py  a measurement, an evaluation,          compared.py  one measurement against another
             a training                             followed.py  a trajectory, base against tuned
promised.py  promises and what was measured          calibrated.py what an alarm's settings give
grouped.py   measurements by group

Each function gives a plotly figure in a Scheme (LIGHT or DARK) whose grounds are transparent. Aligned goals are
filled, the others hatched, so that they differ without colour. Names are escaped: plotly reads tags in text.
Only SVG traces are used, since plotly's WebGL traces compile code in the browser.
"""

from ethostat.charts.calibrated import (
    delay_by_size,
    drawn_settings,
    found_by_size,
    run_length_by_threshold,
    setting_name,
)
from ethostat.charts.compared import categories_moved, forest, models_against
from ethostat.charts.followed import estimates_in_rows, goals_over_time, over_time, work_over_time
from ethostat.charts.grouped import aligned_by_group, entropy_by_group
from ethostat.charts.measured import (
    accuracies,
    by_epoch,
    entropy_by_category,
    entropy_parts,
    entropy_rows,
    goal_shares,
    prompt_entropies,
    reliability,
    variance,
)
from ethostat.charts.pieces import safe as inert
from ethostat.charts.promised import promises
from ethostat.charts.scheme import CONFIG, DARK, FONT, LIGHT, Scheme, goal_colors

__all__ = [
    "CONFIG",
    "DARK",
    "FONT",
    "LIGHT",
    "Scheme",
    "accuracies",
    "aligned_by_group",
    "by_epoch",
    "categories_moved",
    "delay_by_size",
    "drawn_settings",
    "entropy_by_category",
    "entropy_by_group",
    "entropy_parts",
    "entropy_rows",
    "estimates_in_rows",
    "forest",
    "found_by_size",
    "goal_colors",
    "goal_shares",
    "goals_over_time",
    "inert",
    "models_against",
    "over_time",
    "promises",
    "prompt_entropies",
    "reliability",
    "run_length_by_threshold",
    "setting_name",
    "variance",
    "work_over_time",
]
