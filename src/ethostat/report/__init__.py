"""The report of a measurement: one self-contained HTML page, Markdown for a comment, or JSON."""

from ethostat.report.files import check_report_path, write_report
from ethostat.report.page import html
from ethostat.report.plain import markdown

__all__ = ["check_report_path", "html", "markdown", "write_report"]
