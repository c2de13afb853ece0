"""Reports: a self-contained HTML page, Markdown for a comment, JSON, or a figure as an image.

shell.py, embed.py, templates/  what all pages share         words.py          numbers and their intervals
page.py, evidence.py, plain.py  a measurement                evaluated.py      an evaluation
compared.py, compared_plain.py, one measurement against      curved.py         a training
verdicts.py                     another                      images.py         PNG and SVG
followed.py, followed_plain.py, a trajectory, base against   files.py          the suffix says what is written
courses.py                      tuned
selftested.py                   promises, simulated              calibrated.py   what an alarm's settings give
grouped.py                      measurements by group
"""

from ethostat.report.calibrated import calibrated_html
from ethostat.report.compared import comparison_html
from ethostat.report.compared_plain import comparison_markdown
from ethostat.report.curved import curves_html
from ethostat.report.evaluated import evaluation_html
from ethostat.report.files import (
    check_calibrated_path,
    check_evaluation_path,
    check_groups_path,
    check_report_path,
    check_selftest_path,
    write_calibrated,
    write_comparison,
    write_evaluation,
    write_groups,
    write_report,
    write_selftest,
    write_trajectory,
)
from ethostat.report.followed import trajectory_html
from ethostat.report.followed_plain import trajectory_markdown
from ethostat.report.grouped import grouped_html, grouped_markdown
from ethostat.report.page import html
from ethostat.report.plain import escape, markdown
from ethostat.report.selftested import selftest_html

__all__ = [
    "calibrated_html",
    "check_calibrated_path",
    "check_evaluation_path",
    "check_groups_path",
    "check_report_path",
    "check_selftest_path",
    "comparison_html",
    "comparison_markdown",
    "curves_html",
    "escape",
    "evaluation_html",
    "grouped_html",
    "grouped_markdown",
    "html",
    "markdown",
    "selftest_html",
    "trajectory_html",
    "trajectory_markdown",
    "write_calibrated",
    "write_comparison",
    "write_evaluation",
    "write_groups",
    "write_report",
    "write_selftest",
    "write_trajectory",
]
