"""Measurements for the report's tests: a plain one, a hostile one, one response a prompt, and a large one."""

from __future__ import annotations

from dataclasses import replace

from ethostat.corrected import Labels, correct
from ethostat.labelled import LabelledRow
from ethostat.measurement import Identity, Measurement, Provenance
from ethostat.response import Message, Prompt, Response, Verdict
from ethostat.summary import summarise
from ethostat.taxonomy import FIVE_GOALS, Goal, Taxonomy

Rows = list[tuple[Response, Verdict]]

HOSTILE = (
    "<script>alert(1)</script>",
    '</script><img src=x onerror="alert(2)">',
    "{{ 7 * 7 }}{% raw %}",
    "<a href='javascript:alert(3)'>x</a>",
    "evil\u202etxt\u2028\u2029",
    "nul\x00 esc\x1b[31m bell\x07",
    "lone \ud800 surrogate",
    "$\\alpha$ <b>&amp;</b> | `x` @all ![i](http://127.0.0.1:9/i.png)",
)


def measured(
    *, prompts: int = 6, samples: int = 8, words: str = "An answer.", taxonomy: Taxonomy = FIVE_GOALS
) -> tuple[Measurement, Rows]:
    """Prompt j takes its goals in turn from the first j + 1, so that later prompts are more uncertain."""
    asked = [Prompt.from_text(f"Question {j}?", id=f"p{j}", category=f"c{j % 2}") for j in range(prompts)]
    keys = taxonomy.keys
    rows = [
        _row(prompt, f"{words} {i}", i, keys[i % (j % len(keys) + 1)], taxonomy)
        for j, prompt in enumerate(asked)
        for i in range(samples)
    ]
    return _summary(asked, rows, taxonomy, model="tiny", notes=("2 requests were tried twice",)), rows


def corrected() -> tuple[Measurement, Rows]:
    """The plain one, with people's labels of every third response, some of which differ; the file has a bad name."""
    measurement, rows = measured()
    labels = tuple(
        LabelledRow(response, "g2" if at % 12 == 0 else verdict.goal, response.prompt.id)
        for at, (response, verdict) in enumerate(rows[::3])
    )
    return correct(measurement, rows, taxonomy=FIVE_GOALS, labels=Labels(HOSTILE[1], labels, rejected=1)), rows


def atypical() -> tuple[Measurement, Rows]:
    """The plain one, where the last response to each prompt is unlike anything and the others are typical."""
    measurement, rows = measured(prompts=10)
    rated = [
        (response, replace(verdict, typicality=0.002 if response.index == 7 else (1 + at % 10) / 10))
        for at, (response, verdict) in enumerate(rows)
    ]
    asked = list({response.prompt.id: response.prompt for response, _ in rows}.values())
    return _summary(asked, rated, FIVE_GOALS, model="tiny", notes=measurement.provenance.notes), rated


def hostile() -> tuple[Measurement, Rows, Taxonomy]:
    """Every text that can come from a file or a model is an attack."""
    goals = tuple(Goal(f"g{i}", text, text, aligned=i % 2 == 0, examples=(text,)) for i, text in enumerate(HOSTILE))
    taxonomy = Taxonomy(HOSTILE[0], HOSTILE[1], goals)
    asked = [Prompt(text, (Message("system", text), Message("user", text)), category=text) for text in HOSTILE]
    rows = [
        _row(prompt, HOSTILE[i], i, taxonomy.keys[i * j % len(goals)], taxonomy, finish=HOSTILE[1], typicality=0.01)
        for j, prompt in enumerate(asked)
        for i in range(len(HOSTILE))
    ]
    return _summary(asked, rows, taxonomy, model=HOSTILE[1], notes=HOSTILE), rows, taxonomy


def _row(
    prompt: Prompt,
    text: str,
    index: int,
    goal: str,
    taxonomy: Taxonomy,
    *,
    finish: str = "stop",
    typicality: float | None = None,
) -> tuple[Response, Verdict]:
    response = Response(prompt, text, index, id=f"{prompt.id}/{index}", seed=40 + index, finish_reason=finish)
    verdict = Verdict.from_goal(taxonomy, goal, prompt_id=prompt.id, response_id=response.id)
    return response, replace(verdict, typicality=typicality)


def _summary(asked: list[Prompt], rows: Rows, taxonomy: Taxonomy, *, model: str, notes: tuple[str, ...]) -> Measurement:
    source = Provenance(
        model=model,
        taxonomy=Identity(taxonomy.name, taxonomy.hash, taxonomy.version),
        classifier=Identity(notes[0], "c0ffee"),
        prompts=Identity(notes[-1], "beef"),
        prompt_count=len(asked),
        samples=len(rows) // len(asked),
        temperature=0.7,
        seed=7,
        run="r1",
        started="2026-03-01T10:00:00Z",
        finished="2026-03-01T10:04:00Z",
        versions={"ethostat": "0.1.0", notes[0]: notes[0]},
        notes=notes,
    )
    return summarise((verdict for _, verdict in rows), prompts=asked, taxonomy=taxonomy, provenance=source)
