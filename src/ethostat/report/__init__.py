"""The report of a measurement: one self-contained HTML page, Markdown for a comment, or JSON."""

from ethostat.report.files import write_report
from ethostat.report.page import html
from ethostat.report.plain import markdown

__all__ = ["html", "markdown", "write_report"]
