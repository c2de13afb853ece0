"""Baselining: what a stream is held against from now on, as people ask for it."""

from __future__ import annotations

import msgspec

from ethostat.errors import InvalidInput
from ethostat.ledger import Ledger, Position
from ethostat.ledger.courses import event_before, goals_between
from ethostat.maths.profile import Profile
from ethostat.monitor import Baseline
from ethostat.server.following import Followed

MOST_WINDOW = 100_000
"""Responses that a baseline is made of at most."""


class NewBaseline(msgspec.Struct):
    """One of: the next `first` responses, the last `window` ones, `responses` from one to another, or a `profile`.

    `responses` are counted as the monitor does, from 1, both ends included; a `profile` is counts by goal.
    """

    first: int | None = None
    window: int | None = None
    responses: tuple[int, int] | None = None
    profile: dict[str, float] | None = None
    name: str | None = None


def baseline_of(ledger: Ledger, position: Position, asked: NewBaseline, followed: Followed) -> Baseline:
    """The baseline that was asked for, on the goals that the stream is followed with.

    Raises InvalidInput where it cannot be had.
    """
    given = [value for value in (asked.first, asked.window, asked.responses, asked.profile) if value is not None]
    if len(given) != 1:
        raise InvalidInput("a baseline is one of `first`, `window`, `responses` and `profile`; give one of them")
    if asked.first is not None:
        if not 1 <= asked.first <= 10**7:
            raise InvalidInput(f"`first` must be from 1 to 10,000,000, got {asked.first}")
        return Baseline.of_first(asked.first)
    taxonomy = followed.monitor.taxonomy
    if asked.profile is not None:
        if unknown := asked.profile.keys() - set(taxonomy.keys):
            raise InvalidInput(f"goal {min(unknown)[:40]!r} is not one of {', '.join(taxonomy.keys)}")
        counts = tuple(asked.profile.get(key, 0.0) for key in taxonomy.keys)
        return Baseline({"": counts}, name=asked.name or "profile", taxonomy=taxonomy.hash)
    if asked.window is not None:
        profile = _last(ledger, position, asked.window, followed)
        return Baseline.of(profile, name=asked.name or f"responses up to {position.cursor}")
    assert asked.responses is not None  # noqa: S101 - it is the one that was given
    first, last = asked.responses
    profile = _between(ledger, position, first, last, followed)
    return Baseline.of(profile, name=asked.name or f"responses {first:,} to {last:,}")


def _last(ledger: Ledger, position: Position, most: int, followed: Followed) -> Profile:
    """The goals of the last responses that were followed."""
    if not 1 <= most <= MOST_WINDOW:
        raise InvalidInput(f"`window` must be from 1 to {MOST_WINDOW:,} responses, got {most}")
    after = max(position.cursor - most, 0)
    counts = goals_between(ledger, position.stream_key, after=after, last=position.cursor, edition=followed.edition)
    return _profile(
        counts, followed, f"none of the last {most} responses has a verdict that is kept; take a longer window"
    )


def _between(ledger: Ledger, position: Position, first: int, last: int, followed: Followed) -> Profile:
    """The goals of responses by their numbers, found from the latest backwards: the oldest may be deleted."""
    steps = followed.monitor.step
    if not 1 <= first <= last <= steps:
        raise InvalidInput(
            f"`responses` must be from 1 to {steps:,}, the first of them before the last, got {first} and {last}"
        )
    if last - first >= MOST_WINDOW:
        raise InvalidInput(f"a baseline has at most {MOST_WINDOW:,} responses, got {last - first + 1:,}")
    key, cursor = position.stream_key, position.cursor
    begins = event_before(ledger, key, cursor=cursor, judged=steps - first + 1)
    ends = event_before(ledger, key, cursor=cursor, judged=steps - last)
    counts = goals_between(ledger, key, after=begins, last=ends, edition=followed.edition)
    return _profile(counts, followed, f"none of the responses {first:,} to {last:,} is kept; take later ones")


def _profile(counts: dict[str, int], followed: Followed, otherwise: str) -> Profile:
    found = tuple(counts.get(key, 0) for key in followed.monitor.taxonomy.keys)
    if not sum(found):
        raise InvalidInput(otherwise)
    return Profile(found)
