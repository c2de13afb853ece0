"""Arithmetic: what the paper's own numbers decide, before any model is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import entr

from ethostat.experiments.claims import Claim, Finding
from ethostat.experiments.frame import Experiment, Figures, Settings
from ethostat.experiments.markdown import percent, shown, table
from ethostat.maths.agreement import share_of
from ethostat.maths.entropy import plug_in, varentropy

GOALS = 5
RATE, STEPS, START = 0.013, 1000, 0.12
"""The paper's drift rate (nats a step), the steps it is reported over, and its lowest S (nats)."""
ACCURACY = 0.942
SPREAD, SAMPLING_PART = 0.04, 0.78
"""Its uncertainty of S (nats), and the share of the variance that it gives to sampling."""
THRESHOLD, SAMPLES = 0.001, 100
"""Its alarm's threshold (nats a step) and its k."""
_PROFILES = {
    "one goal has 96 %": (0.96, 0.01, 0.01, 0.01, 0.01),
    "one goal has 80 %": (0.80, 0.05, 0.10, 0.02, 0.03),
    "five goals alike": (0.2,) * 5,
}
_PAIRS = 20_000


def run(settings: Settings) -> Figures:
    """The four points; only the alarm's is simulated (20,000 pairs of steps, 2,000 in the short form)."""
    rng = np.random.default_rng(settings.seed)
    pairs = _PAIRS // 10 if settings.short else _PAIRS
    return {"rate": _rate(), "error": _error(), "spread": _spread(), "alarm": _alarm(rng, pairs)}


def _rate() -> Figures:
    ceiling = math.log(GOALS)
    return {
        "rate": RATE, "steps": STEPS, "start": START, "ceiling": ceiling, "risen": RATE * STEPS,
        "steps_from_start": (ceiling - START) / RATE, "steps_from_zero": ceiling / RATE,
        "highest_constant_rate": ceiling / STEPS,
    }  # fmt: skip


def _error() -> Figures:
    """The least entropy that verdicts have where a share e of the dominant goal is misread, and its inverse."""
    return {
        "accuracy": ACCURACY,
        "least_entropy": _binary(1 - ACCURACY),
        "start": START,
        "largest_error": brentq(lambda e: _binary(e) - START, 1e-9, 0.5),
    }


def _spread() -> Figures:
    """How many verdicts lie behind S where its deviation is the paper's: at most those of the most variable profile."""
    found = minimize_scalar(lambda p: -_varentropy(p), bounds=(0.01, 0.5), method="bounded")
    most = -float(found.fun)
    return {
        "spread": SPREAD, "sampling_part": SAMPLING_PART, "most_varentropy": most,
        "most_verdicts": most / (SAMPLING_PART * SPREAD**2),
        "deviation_one_prompt": math.sqrt(most / SAMPLES), "deviation_100_prompts": math.sqrt(most / SAMPLES / 100),
    }  # fmt: skip


def _alarm(rng: np.random.Generator, pairs: int) -> Figures:
    """How often the paper's rule fires between two steps of a model that does not change."""
    rows = []
    for name, profile in _PROFILES.items():
        s = plug_in(rng.multinomial(SAMPLES, profile, size=(pairs, 2)))
        fired = np.abs(s[:, 1] - s[:, 0]) > THRESHOLD
        rows.append(
            {
                "profile": name, "fired": share_of(fired.astype(float), np.ones(pairs)).to_dict(),
                "deviation": float(s.std()),
            }
        )  # fmt: skip
    return {"threshold": THRESHOLD, "samples": SAMPLES, "pairs": pairs, "profiles": rows}


def _binary(e: float) -> float:
    return float(entr(e) + entr(1 - e))


def _varentropy(p: float) -> float:
    """Of a goal with 1 - p beside four that share p: the shape that varies most."""
    return float(varentropy([1 - p, *[p / (GOALS - 1)] * (GOALS - 1)]))


def page(figures: Figures) -> str:
    """The four points in words."""
    rate, error, spread, alarm = (figures[key] for key in ("rate", "error", "spread", "alarm"))
    alarms = table(("profile", "deviation of S, nats", "share of steps that alarm"), map(_alarm_row, alarm["profiles"]))
    return f"""## A rate that cannot last

{rate["rate"]} nats a step over {rate["steps"]:,} steps are {rate["risen"]:.0f} nats; S of five goals cannot exceed
ln 5 = {rate["ceiling"]:.3f}. From {rate["start"]} it is there after {rate["steps_from_start"]:.0f} steps, from 0 after
{rate["steps_from_zero"]:.0f}. The highest rate that can be constant over {rate["steps"]:,} steps is
{rate["highest_constant_rate"]:.4f} nats a step.

## What a classifier's errors add to S

If a share e of the responses of the dominant goal is taken for others, verdicts have at least the entropy of a coin
with e, even where the truth is 0: {error["least_entropy"]:.3f} nats at {percent(error["accuracy"])} accuracy.
S = {error["start"]} from uncorrected verdicts needs an error below {percent(error["largest_error"])} on the dominant
goal.

## How many verdicts are behind the interval

A standard deviation of {spread["spread"]} nats of which sampling is {percent(spread["sampling_part"], decimals=0)} of
the variance means at most {spread["most_verdicts"]:.0f} verdicts behind each S, whatever the profile: the variance of
-ln p is at most {spread["most_varentropy"]:.3f} with five goals. k = {SAMPLES} of one prompt has a deviation of up to
{spread["deviation_one_prompt"]:.3f}, 100 prompts of {SAMPLES} of up to {spread["deviation_100_prompts"]:.4f}. Neither
is the number given.

## An alarm that fires while nothing happens

abs(S(t) - S(t-1)) > {alarm["threshold"]} between two steps of k = {alarm["samples"]} of a model that does not change,
{alarm["pairs"]:,} simulated pairs each:

{alarms}
"""


def _alarm_row(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["profile"], f"{row['deviation']:.4f}", shown(row["fired"])


def claims(figures: Figures) -> Sequence[Claim]:
    """What the paper says, against its own numbers."""
    rate, error, spread, alarm = (figures[key] for key in ("rate", "error", "spread", "alarm"))
    fired = [row["fired"]["value"] for row in alarm["profiles"]]
    lasts = rate["risen"] <= rate["ceiling"]
    reachable = error["largest_error"] >= 1 - error["accuracy"]
    agrees = spread["deviation_100_prompts"] <= SPREAD <= spread["deviation_one_prompt"]
    quiet = max(fired) <= 0.05
    return [
        Claim(
            f"S of base models rises by about {rate['rate']} nats a step over {rate['steps']:,} steps",
            f"that is {rate['risen']:.0f} nats; the ceiling ln 5 is reached after {rate['steps_from_start']:.0f} steps",
            Finding.CONFIRMED if lasts else Finding.IMPOSSIBLE,
        ),
        Claim(
            f"S = {error['start']} measured by a classifier of {percent(error['accuracy'])} accuracy, uncorrected",
            f"if errors fall on the dominant goal as on all, verdicts have at least {error['least_entropy']:.3f} nats; "
            f"{error['start']} needs an error below {percent(error['largest_error'])} there",
            Finding.CONFIRMED if reachable else Finding.IMPOSSIBLE,
        ),
        Claim(
            f"S is known to ±{SPREAD} at k = {SAMPLES}, "
            f"{percent(SAMPLING_PART, decimals=0)} of the variance sampling's",
            f"needs at most {spread['most_verdicts']:.0f} verdicts; one prompt gives {SAMPLES}, a panel of 100 prompts "
            "10,000, and the paper does not say which",
            Finding.NOT_TESTABLE if agrees else Finding.IMPOSSIBLE,
        ),
        Claim(
            f"an alarm at abs(S(t) - S(t-1)) > {alarm['threshold']} finds drift",
            f"with k = {alarm['samples']} it fires on {percent(min(fired), decimals=0)} to "
            f"{percent(max(fired), decimals=0)} of the steps of a model that does not change",
            Finding.CONFIRMED if quiet else Finding.NOT_CONFIRMED,
        ),
    ]


ARITHMETIC = Experiment(
    name="arithmetic",
    title="What the paper's numbers decide",
    question="Can the paper's figures hold together, before any model is asked?",
    run=run,
    page=page,
    claims=claims,
)
