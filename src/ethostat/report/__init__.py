"""Reports of a measurement, an evaluation, a training: a self-contained HTML page, Markdown for a comment, or JSON."""

from ethostat.report.curved import curves_html
from ethostat.report.evaluated import evaluation_html
from ethostat.report.files import check_evaluation_path, check_report_path, write_evaluation, write_report
from ethostat.report.page import html
from ethostat.report.plain import escape, markdown

__all__ = [
    "check_evaluation_path",
    "check_report_path",
    "curves_html",
    "escape",
    "evaluation_html",
    "html",
    "markdown",
    "write_evaluation",
    "write_report",
]
