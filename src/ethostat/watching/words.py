"""What a watch says of its promise, of when a change began, and of who made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.promise import Lifetime, Promise


def promise_words(promise: Promise, quiet: int) -> str:
    """What is promised, and on what it rests; `quiet` is how many responses a quiet look takes."""
    if isinstance(promise, Lifetime):
        said = f"at most {promise.alpha:.2%} chance of a false alert ever, in each epoch and after each alert"
    else:
        looks = promise.responses / quiet
        apart = f"{promise.responses:,.0f} responses, about {looks:,.0f} quiet looks, apart on average"
        said = f"false alerts at least {apart}"
    return f"{said}; it rests on independent responses and prompts that each behave as they did"


def cause(versions: Mapping[str, int], since: int) -> str:
    """Did the provider change it, or did I? What is known of that, for a change since this look."""
    mine = "prompts, decoding, model name and classifier are as they were, so that it was not you"
    new = sorted(name for name, look in versions.items() if look >= max(since, 2))
    if new:
        return f"{mine}; the server declares {', '.join(new)} since look {min(versions[name] for name in new)}"
    if versions:
        return f"{mine}; the server declares the same as before ({', '.join(sorted(versions))})"
    return f"{mine}; the server does not say what answers"


def new_versions(versions: dict[str, int], declared: Mapping[str, int], look: int) -> list[str]:
    """Takes down what the server declares; in words what it did not declare before."""
    new = sorted(name for name in declared if name not in versions)
    words = [f"the provider declares another model: {name}" for name in new] if versions else []
    versions.update(dict.fromkeys(new, look))
    return words


def in_responses(since: Estimate, starts: list[int], looks: int) -> Estimate:
    """The first response of the look that a change began with, counted as the alert's `step` is."""
    first = looks - (len(starts) - 1)

    def at(look: float) -> float:
        return float(starts[min(max(int(look) - first, 0), len(starts) - 1)] + 1)

    return replace(since, value=at(since.value), low=at(since.low), high=at(since.high), unit="responses")
