"""The report as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re

from ethostat.charts import entropy_rows
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement, PromptResult
from ethostat.report.words import flagged, headline_name, interval, meaning, value
from ethostat.taxonomy import Taxonomy
from ethostat.visible import one_line

_MOST_PROMPTS = 5
_MOST_REVIEWED = 10
_RULES = "| --- | --- | ---: | ---: | --- |"
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")


def markdown(measurement: Measurement, taxonomy: Taxonomy) -> str:
    """Headline, profile, entropies, the most uncertain prompts, notes and provenance. Names stand as inert text."""
    source, headline = measurement.provenance, measurement.headline
    parts = [
        f"## Ethical entropy of {code(source.model)}",
        f"**{headline_name(measurement)}: {escape(str(headline))}**",
        f"Aligned share: {escape(str(measurement.aligned))}",
        *_corrected(measurement),
        *map(escape, meaning(measurement)),
        _profile(measurement, taxonomy),
        _estimates("entropy", entropy_rows(measurement)),
    ]
    if measurement.categories:
        parts.append(_estimates("category", {code(name): row for name, row in measurement.categories.items()}))
    if uncertain := _most_uncertain(measurement):
        parts.append(_estimates("most uncertain prompts", {code(row.id): row.entropy for row in uncertain}))
    parts += _outside(measurement)
    notes = source.notes + (() if measurement.corrected is None else measurement.corrected.notes)
    parts += [f"> {escape(one_line(note))}" for note in notes]
    parts.append(_origin(measurement))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """The text with every sign that Markdown or HTML could read made inert; an @ mentions nobody.

    >>> escape("[a](javascript:x)")
    '\\\\[a\\\\]\\\\(javascript:x\\\\)'
    """
    inert = _MARKS.sub(_inert, one_line(text))
    return re.sub(r"(?<=://)|(?<=\bwww)", "\u2060", inert)


def _corrected(measurement: Measurement) -> list[str]:
    """The corrected aligned share, and what the correction rests on."""
    found = measurement.corrected
    if found is None:
        return []
    return [
        f"Aligned share, corrected ({code(found.describe())}): {escape(str(found.aligned))}",
        f"Mean within-prompt S, corrected: {escape(str(found.entropy))}",
    ]


def _outside(measurement: Measurement) -> list[str]:
    """What fits no goal: the share, the flagged, and the ids to review, without their texts."""
    found = measurement.outside
    if found is None:
        return []
    lines = ["| to review | prompt | goal | typicality | flagged |", "| --- | --- | --- | ---: | --- |"]
    for row in found.review[:_MOST_REVIEWED]:
        cells = (code(row.response_id), code(row.prompt_id), escape(row.goal), f"{row.typicality:.4f}")
        lines.append(f"| {' | '.join(cells)} | {'yes' if row.flagged else 'no'} |")
    share = f"Unusual beyond chance, perhaps outside every goal: {escape(str(found.share))}."
    return [f"{share} {escape(flagged(measurement))}", "\n".join(lines)]


def _profile(measurement: Measurement, taxonomy: Taxonomy) -> str:
    lines, corrected = ["| goal | aligned | count | share | interval |", _RULES], measurement.corrected
    if corrected is not None:
        lines = [f"{lines[0]} corrected | interval, corrected |", f"{_RULES} ---: | --- |"]
    rows = zip(taxonomy.goals, measurement.profile.counts, measurement.shares, strict=True)
    for place, (goal, count, share) in enumerate(rows):
        aligned = "yes" if goal.aligned else "no"
        name = f"{goal.key} {escape(goal.name)}"
        beside = ""
        if corrected is not None:
            beside = f" {value(corrected.shares[place])} | {interval(corrected.shares[place])} |"
        lines.append(f"| {name} | {aligned} | {count:,} | {value(share)} | {interval(share)} |{beside}")
    return "\n".join(lines)


def _estimates(heading: str, rows: dict[str, Estimate]) -> str:
    lines = [f"| {heading} | value | interval | level | n |", "| --- | ---: | --- | ---: | ---: |"]
    for name, row in rows.items():
        lines.append(f"| {name} | {value(row)} | {interval(row)} | {row.level:.0%} | {row.n:,} |")
    return "\n".join(lines)


def _most_uncertain(measurement: Measurement) -> list[PromptResult]:
    known = [row for row in measurement.per_prompt if row.entropy.is_defined and row.profile.n > 1]
    return sorted(known, key=lambda row: -row.entropy.value)[:_MOST_PROMPTS]


def _origin(measurement: Measurement) -> str:
    source = measurement.provenance
    facts = [
        f"prompts {code(source.prompts.name)} {code(source.prompts.hash)}",
        f"classifier {code(source.classifier.name)} {code(source.classifier.hash)}",
        f"taxonomy {code(source.taxonomy.name)} {code(source.taxonomy.hash)}",
        f"samples {source.samples}" if source.samples is not None else "",
        f"temperature {source.temperature}" if source.temperature is not None else "",
        f"seed {source.seed}" if source.seed is not None else "",
        f"run {code(source.run)}" if source.run else "",
    ]
    return "Provenance: " + ", ".join(fact for fact in facts if fact) + "."


def code(text: str) -> str:
    """A code span: nothing in it is a link, a mention or a tag; a table's bars are escaped."""
    line = one_line(text).replace("|", "\\|") or "–"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _inert(match: re.Match[str]) -> str:
    sign = match[0]
    if sign in "<>&":
        return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[sign]
    if sign == "@":
        return "@\u2060"
    return sign if sign in "%,.:;'\"?/=" else f"\\{sign}"
