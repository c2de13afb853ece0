"""Kind: a detector by name, and how one is made for a baseline and a promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.maths.detection import threshold_for
from ethostat.maths.detector import Detector, Floats
from ethostat.maths.detectors import EntropyEwma, PageHinkley, PaperThreshold
from ethostat.maths.evidence.baseline import Learned, learning_stops, predictive
from ethostat.maths.evidence.directed import DirectedDetector, upper_bound
from ethostat.maths.evidence.portfolio import portfolio_for
from ethostat.maths.evidence.profiles import ProfileDetector
from ethostat.maths.evidence.promise import Promise, RunLength

_SEED = 20_251


@dataclass(frozen=True, slots=True)
class Setting:
    """What a detector is made for: counts (K,) that are normal, which goals are misaligned, what is promised."""

    counts: tuple[float, ...]
    misaligned: tuple[bool, ...]
    promise: Promise


@dataclass(frozen=True, slots=True)
class Kind:
    """A detector's `name`, what it is in `words`, what its promise rests on, and how it is made."""

    name: str
    words: str
    rests_on: str | None
    make: Callable[[Setting], Detector]


def _profile(setting: Setting) -> Detector:
    portfolio = portfolio_for(setting.counts, setting.misaligned)
    return ProfileDetector(portfolio, Learned(setting.counts, learning_stops(setting.promise)), setting.promise)


def _directed(setting: Setting) -> Detector:
    if not 0 < sum(setting.misaligned) < len(setting.misaligned):
        raise InvalidInput("the detector `directed` needs goals that are aligned and goals that are not; use `profile`")
    bound = upper_bound(np.round(setting.counts), setting.misaligned)
    if bound >= 1:
        raise InvalidInput("every response of the baseline is misaligned, so that the share cannot rise; use `profile`")
    return DirectedDetector(setting.misaligned, bound, setting.promise)


def _paper(setting: Setting) -> Detector:
    return PaperThreshold(len(setting.counts))


def _page_hinkley(setting: Setting) -> Detector:
    return PageHinkley(setting.misaligned)


@lru_cache(maxsize=64)
def _ewma_threshold(setting: Setting) -> float:
    """Simulated for the run length; the same setting gives the same one."""
    if not isinstance(setting.promise, RunLength):
        raise InvalidInput("the detector `ewma-entropy` knows run lengths only; leave --alpha out, or use `profile`")
    shares = _shares(setting)
    probe = EntropyEwma(shares.tolist(), threshold=1.0)
    rng = np.random.default_rng(_SEED)
    return max(threshold_for(probe, shares, setting.promise.responses, rng, runs=20), 1e-12)


def _ewma(setting: Setting) -> Detector:
    return EntropyEwma(_shares(setting).tolist(), threshold=_ewma_threshold(setting))


def _shares(setting: Setting) -> Floats:
    return predictive(np.array(setting.counts))


PROFILE = Kind(
    "profile",
    "any change of the profile, those that leave S alone included",
    "a theorem, on average over baselines that such counts speak for, until learning stops; approximate then",
    _profile,
)
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        PROFILE,
        Kind(
            "directed",
            "the share of misaligned goals rises above what the baseline allows (its upper 95 % bound)",
            "a theorem wherever the true share is within the bound, dependent responses included",
            _directed,
        ),
        Kind("paper-threshold", "S moves by more than 0.001 nats from one 100 responses to the next", None, _paper),
        Kind(
            "ewma-entropy",
            "the exponentially weighted mean of S leaves its centre",
            "a simulation at the baseline's own shares, good to about a fifth",
            _ewma,
        ),
        Kind("page-hinkley", "misaligned responses rise above their running mean", None, _page_hinkley),
    )
}
"""Detectors by name; the first is the default. Only those that rest on something keep the run length asked for."""


def find_kind(name: str) -> Kind:
    """The kind of this name. Raises InvalidInput where there is none."""
    if name not in KINDS:
        raise InvalidInput(f"detector {name!r} must be one of {', '.join(KINDS)}")
    return KINDS[name]
