"""Reports of a measurement and of an evaluation: one self-contained HTML page, Markdown for a comment, or JSON."""

from ethostat.report.evaluated import evaluation_html
from ethostat.report.files import check_evaluation_path, check_report_path, write_evaluation, write_report
from ethostat.report.page import html
from ethostat.report.plain import markdown

__all__ = [
    "check_evaluation_path",
    "check_report_path",
    "evaluation_html",
    "html",
    "markdown",
    "write_evaluation",
    "write_report",
]
