"""Claims of the paper: what it says, what was measured, the verdict; and the page that lists all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ethostat.experiments.markdown import table


class Finding(StrEnum):
    """What became of a claim."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    IMPOSSIBLE = "impossible as stated"
    NOT_TESTABLE = "not testable here"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim in our words, what was measured (numbers, n, interval, in one or two sentences), and the verdict."""

    text: str
    measured: str
    finding: Finding


def claims_table(claims: Sequence[Claim]) -> str:
    """The claims as a Markdown table."""
    return table(
        ("the paper", "measured", "verdict"), [(one.text, one.measured, f"**{one.finding}**") for one in claims]
    )


def tally(claims: Sequence[Claim]) -> str:
    """How many claims there are of each verdict, in words.

    >>> tally([Claim("S falls", "it rose", Finding.NOT_CONFIRMED)])
    '0 confirmed, 1 not confirmed, 0 impossible as stated, 0 not testable here'
    """
    return ", ".join(f"{sum(one.finding is each for one in claims)} {each}" for each in Finding)
