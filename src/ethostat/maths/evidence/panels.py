"""PanelDetector: a fixed panel of prompts, asked again and again, each held against what it did before.

The null law. Prompts fall into kinds t: a usual goal each, and one kind that has none. Prompt j answers on goal x with

    P_j(x) = sum_ts W_jts (c_jx + s rho_tx) / (n_j + s),    rho_t = (C_t + a_t) / (N_t + A_t)

c_j are its own counts: the baseline's and all that came since, for ever; C_t are those of all prompts, each by how much
it belongs to kind t; s says how alike prompts of a kind are, and W_jts is the posterior of both: how common they are
among all prompts, times how well they foretold this one. Prompts that nearly always agree are so known to within a
percent from nine responses each, as none could be by itself; odd ones stay odd. How common kinds and strengths are is
learned anew with every look: the baseline alone, nine responses a prompt, says it too surely, and a panel where it is
wrong alarmed in its first looks (1.6 % of 320 "torn" panels, against 0.3 % since).

The bets. An alternative multiplies its stake by q(x) / P_j(x), q being P_j with a part of one goal turned into another.
Three quarters of the stakes are on all prompts, a quarter on groups of them (categories), evenly. Responses come in
looks; a change begins with one:

    R <- (R + s_look) prod (q / P)^c    M = sum w R + unspent        alarm where M reaches its level

Lifetime: s of look t is u(t) - u(t + 1) with u(t) = 1 / (1 + log2(1 + t)), so that late changes are found nearly as
fast as early ones. Run length: s is the number of responses that are to come. Each q / P_j is 1 on average under the
null law, whichever prompt is asked next, and its power c = 1/2 at most 1 (Jensen), so that the promise is a theorem on
average over panels that follow that law. A panel is what it is, and follows no law quite: at c = 1 some panels bring
false alarms ten times as often as promised, which is why evidence is counted by half. What that comes to is measured.
What is asked, and how much, may depend on anything seen before.

Sources: Shin, Ramdas and Rinaldo 2024, doi 10.51387/23-NEJSDS51; Teh et al. 2006, Hierarchical Dirichlet processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from ethostat.maths.detector import Floats, Reading
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.changepoint import place_of_change
from ethostat.maths.evidence.promise import Lifetime, Promise, RunLength, log_level, promise_from_dict
from ethostat.maths.profile import JEFFREYS

Whole = NDArray[np.int64]

STRENGTHS = np.array([1.0, 4.0, 16.0, 64.0, 256.0])
"""s: how many responses of its own outweigh what a prompt's kind does."""
_USUAL_BEFORE, _MIXED_BEFORE = 9.0, 1.0
_ROUNDS = 30
_DOMINANT = 0.8
CAUTION = 0.5
"""The power of every factor: of evidence in nats, half is counted, since no panel quite follows the null law."""
FRACTIONS = (0.03, 0.1, 0.3, 0.8)
_OF_GROUPS = 0.25
LOOKS_KEPT = 32
"""Looks that are looked back on for the time of change."""
_MOST = 1e200
_BETWEEN_CHECKS = 16  # a factor is below 1e4, so that this many cannot overflow


@dataclass(frozen=True)
class Moves:
    """Alternatives: a fraction f of goal i turns into other goals, in equal parts; q(x) / p(x) of each.

    `source` (G,) is i, `lost` (K, G) is f where x is i, `gained` (K, G) is f times the part that goes to x.
    """

    source: Whole
    lost: Floats
    gained: Floats

    @classmethod
    def of(cls, misaligned: tuple[bool, ...]) -> Moves:
        """Every goal into each other one, any two others, and the misaligned others."""
        goals = range(len(misaligned))
        rows: list[tuple[int, float, tuple[int, ...]]] = []
        for i in goals:
            others = [j for j in goals if j != i]
            targets: set[tuple[int, ...]] = {(j,) for j in others} | set(combinations(others, 2))
            targets |= {bad} if (bad := tuple(j for j in others if misaligned[j])) else set()
            rows += [(i, f, target) for target in sorted(targets) for f in FRACTIONS]
        place = np.arange(len(misaligned))[:, None]
        source, size = np.array([i for i, _, _ in rows]), np.array([f for _, f, _ in rows])
        into = np.array([[(x in target) / len(target) for _, _, target in rows] for x in goals])
        return cls(source, size * (place == source), size * into)

    @property
    def stakes(self) -> Floats:
        """Even, (G,)."""
        return np.full(len(self.source), 1 / len(self.source))

    def factors(self, labels: Whole, own: Floats, shares: Floats) -> Floats:
        """q(x) / p(x) (n, G) of answers on goals `labels` (n,), where p is `shares` (n, K) and `own` (n,) p(x)."""
        out = shares.take(self.source, axis=1)
        out *= self.gained.take(labels, axis=0)
        out /= own[:, None]
        out += 1 - self.lost.take(labels, axis=0)
        return out


class PanelDetector:
    """Watches `copies` panels of one design, mostly one; several are for simulation.

    `baseline` (J, K) or (copies, J, K) holds the counts of each prompt that are taken as normal, `misaligned` (K,)
    flags the goals whose rise is bad news, `groups` (J,) numbers the group of each prompt from 0.
    """

    name = "panel"

    looks: int
    responses: int
    _stakes: Floats
    _whole: Floats
    _wealth: Floats
    _logs: list[Floats]

    def __init__(
        self,
        baseline: ArrayLike,
        misaligned: Sequence[bool],
        promise: Promise,
        *,
        groups: Sequence[int] | None = None,
    ) -> None:
        given = np.asarray(baseline, dtype=np.float64)
        self.baseline = given[None] if given.ndim == 2 else given
        self.misaligned = tuple(bool(flag) for flag in misaligned)
        self.promise = promise
        self.copies, self.prompts, self.goals = _checked(self.baseline, len(self.misaligned))
        self.groups = tuple(int(group) for group in (groups if groups is not None else [0] * self.prompts))
        if len(self.groups) != self.prompts or min(self.groups) < 0:
            raise ValueError(f"each of {self.prompts} prompts needs a group, numbered from 0; got {self.groups}")
        self._kinds = self.baseline.argmax(axis=2)
        self._begin()

    @property
    def evidence(self) -> Floats:
        """log M of each copy, nats, (copies,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._totals()))

    @property
    def reading(self) -> Reading:
        """Where the first copy stands."""
        evidence, threshold = float(self.evidence[0]), log_level(self.promise)
        return Reading(evidence, threshold, evidence >= threshold)

    @property
    def alarms(self) -> NDArray[np.bool_]:
        """Which copies are in alarm, (copies,)."""
        return np.asarray(self.evidence >= log_level(self.promise))

    def shares(self, prompt: int) -> Floats:
        """What the null law says of a prompt's next answer, (copies, K)."""
        return self._predicted(prompt)[1]

    @property
    def log_e_value(self) -> float:
        """Log of the first copy's e-value of "nothing changed so far", nats, as `EDetector.log_e_value`."""
        if isinstance(self.promise, RunLength):
            return self.reading.evidence - math.log(self.responses) if self.responses else 0.0
        return self.reading.evidence

    def reference(self, prompt: int) -> Floats:
        """What the baseline alone says of a prompt's answers, of the first copy, (K,)."""
        return np.asarray(self._reference[0, prompt])

    def take(self, prompts: Sequence[int] | Whole, labels: ArrayLike, *, opens: bool = True) -> None:
        """Responses in the order in which they were asked for: the prompt of each (n,), its goal (n,) or (copies, n).

        `opens`: a look begins with them; otherwise they go on with the last one, whose size may follow from what it
        saw. Raises ValueError for a prompt or label that there is not; nothing is taken then.
        """
        places, said = np.asarray(prompts, dtype=np.int64), np.atleast_2d(np.asarray(labels, dtype=np.int64))
        self._check(places, said)
        products = np.ones((self._wealth.shape[1], self.copies, len(self._stakes)))
        for n, place in enumerate(places.tolist()):
            products[1 + self.groups[place]] *= self._factors(place, said[:, n])
            if n % _BETWEEN_CHECKS == _BETWEEN_CHECKS - 1:
                np.minimum(products, _MOST, out=products)
        np.minimum(products, _MOST, out=products)
        with np.errstate(over="ignore"):
            np.minimum(np.multiply.reduce(products[1:]), _MOST, out=products[0])
        start = self._start(len(places), opens)
        wealth = np.minimum((self._wealth + start * self._whole) * products.swapaxes(0, 1), _MOST)
        self._wealth = wealth
        self.responses += len(places)
        self._learn_common()
        self._weigh()
        self._remember(products, opens)

    def since(self) -> Estimate:
        """The look that the change began with, from 0, with its interval; of the first copy.

        Looks that lie further back than the last 32 cannot be told apart.
        """
        if not self._logs:
            return Estimate.undefined("there is no look to look back on", level=0.95, unit="looks", n=0)
        logs = np.cumsum(np.stack(self._logs)[::-1], axis=0)[::-1]
        found = place_of_change(np.logaddexp.reduce(logs + np.log(self._whole)[None], axis=(1, 2)))
        first = self.looks - len(self._logs)
        shifted = (found.value + first, found.low + first, found.high + first)
        return Estimate(*shifted, 0.95, "looks", len(self._logs), found.method)

    def reset(self) -> None:
        """Forget the evidence and all that was learned since the baseline."""
        self._begin()

    def to_dict(self) -> dict[str, Any]:
        """Settings and state of a single panel in plain values, exact in JSON."""
        if self.copies != 1:
            raise ValueError(f"a state is of one panel, got {self.copies} copies")
        return {
            "name": self.name,
            "baseline": self.baseline[0].tolist(),
            "misaligned": list(self.misaligned),
            "groups": list(self.groups),
            "promise": self.promise.to_dict(),
            "state": {
                "looks": self.looks,
                "responses": self.responses,
                "learned": (self._counts - self.baseline)[0].tolist(),
                "common": self._common[0].tolist(),
                "foretold": self._foretold[0].tolist(),
                "wealth": self._wealth[0].tolist(),
                "logs": [rows.tolist() for rows in self._logs],
            },
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        made = cls(
            fields["baseline"], fields["misaligned"], promise_from_dict(fields["promise"]), groups=fields["groups"]
        )
        state = fields["state"]
        made._counts = made.baseline + np.array(state["learned"])[None]
        made._sizes = made._counts.sum(axis=2)
        made._common, made._foretold = np.array(state["common"])[None], np.array(state["foretold"])[None]
        made._weigh()
        made._wealth = np.array(state["wealth"])[None]
        if made._wealth.shape[1:] != (max(made.groups) + 2, len(made._stakes)):
            raise ValueError("the state was written for other alternatives; begin anew")
        made.looks, made.responses = state["looks"], state["responses"]
        made._logs = [np.array(rows) for rows in state["logs"]]
        return made

    def _begin(self) -> None:
        self.looks, self.responses = 0, 0
        self._counts = self.baseline.copy()
        self._sizes = self._counts.sum(axis=2)
        self._before = np.full((self.goals + 1, self.goals), JEFFREYS)
        self._before[np.arange(self.goals), np.arange(self.goals)] = _USUAL_BEFORE
        self._before[-1] = _MIXED_BEFORE
        self._strengths = np.stack([STRENGTHS] * (self.goals + 1))
        self._fit()
        self._logs = []
        self._moves = Moves.of(self.misaligned)
        self._stakes = self._moves.stakes
        groups = max(self.groups) + 1
        self._whole = np.concatenate([[1 - _OF_GROUPS], np.full(groups, _OF_GROUPS / groups)])[:, None] * self._stakes
        self._wealth = np.zeros((self.copies, groups + 1, len(self._stakes)))
        self._reference = np.stack([self._predicted(prompt)[1] for prompt in range(self.prompts)], axis=1)

    def _fit(self) -> None:
        """How common kinds and strengths are in the baseline: EM, from what each prompt's usual goal suggests."""
        members = np.zeros((self.copies, self.prompts, self.goals + 1))
        smooth = (self.baseline + 1 / self.goals) / (self.baseline.sum(axis=2, keepdims=True) + 1)
        kinds = np.where(smooth.max(axis=2) >= _DOMINANT, self._kinds, self.goals)
        members[np.arange(self.copies)[:, None], np.arange(self.prompts), kinds] = 1
        self._of_kind = np.einsum("rjt,rjk->rtk", members, self.baseline)
        self._common = np.full((self.copies, *self._strengths.shape), 1 / self._strengths.size)
        for _ in range(_ROUNDS):
            self._foretold = self._log_likelihood(self._profiles())
            self._weigh()
            self._learn_common()
        self._weigh()

    def _weigh(self) -> None:
        """W (copies, J, T, S) and C (copies, T, K), from how common all are and what each foretold."""
        logs = self._foretold + np.log(self._common)[:, None]
        self._weights = np.exp(logs - logs.max(axis=(2, 3), keepdims=True))
        self._weights /= self._weights.sum(axis=(2, 3), keepdims=True)
        self._of_kind = np.einsum("rjt,rjk->rtk", self._weights.sum(axis=3), self._counts)

    def _learn_common(self) -> None:
        """How common kinds and strengths are, (copies, T, S): the mean of W, and one prompt that may be any."""
        common = self._weights.sum(axis=1) + 1 / self._strengths.size
        self._common = common / common.sum(axis=(1, 2), keepdims=True)

    def _log_likelihood(self, rho: Floats) -> Floats:
        """Of each prompt's baseline under each kind and strength, (copies, J, T, S)."""
        prior = rho[:, None, :, None, :] * self._strengths[:, :, None]
        own, size = self.baseline[:, :, None, None, :], self.baseline.sum(axis=2)[:, :, None, None]
        of_goals = (gammaln(own + prior) - gammaln(prior)).sum(axis=4)
        return np.asarray(of_goals + gammaln(self._strengths) - gammaln(size + self._strengths))

    def _profiles(self) -> Floats:
        """rho (copies, T, K)."""
        whole = self._of_kind + self._before
        return np.asarray(whole / whole.sum(axis=2, keepdims=True))

    def _predicted(self, prompt: int) -> tuple[Floats, Floats]:
        """Of the next answer: what each kind and strength says (copies, T, S, K), and what all do (copies, K)."""
        parts = self._profiles()[:, :, None, :] * self._strengths[:, :, None]
        parts += self._counts[:, prompt, None, None, :]
        parts /= self._sizes[:, prompt, None, None, None] + self._strengths[:, :, None]
        weights = self._weights[:, prompt]
        return parts, np.asarray((weights[..., None] * parts).sum(axis=(1, 2)))

    @property
    def _every(self) -> Whole:
        return np.arange(self.copies)

    def _factors(self, prompt: int, labels: Whole) -> Floats:
        """(q / P)^c of one answer (copies, G), which the null law then takes in."""
        every = self._every
        parts, shares = self._predicted(prompt)
        own = shares[every, labels]
        factors = self._moves.factors(labels, own, shares) ** CAUTION
        said = parts[every, ..., labels]
        self._foretold[:, prompt] += np.log(said)
        self._weights[:, prompt] *= said / own[:, None, None]
        self._counts[every, prompt, labels] += 1
        self._sizes[:, prompt] += 1
        self._of_kind[every, :, labels] += self._weights[:, prompt].sum(axis=2)
        return factors

    def _start(self, responses: int, opens: bool) -> float:
        if isinstance(self.promise, RunLength):
            return self.promise.start(self.looks, responses)
        return _unspent(self.promise, self.looks) - _unspent(self.promise, self.looks + 1) if opens else 0.0

    def _totals(self) -> Floats:
        total = np.asarray(self._wealth.sum(axis=(1, 2)))
        return total + (0.0 if isinstance(self.promise, RunLength) else _unspent(self.promise, self.looks))

    def _remember(self, products: Floats, opens: bool) -> None:
        """The log factors of a look, of a single panel: what `since` is made of."""
        self.looks += opens
        if self.copies > 1:
            return
        with np.errstate(divide="ignore"):
            logs = np.maximum(np.log(products[:, 0]), -1e4)
        logs = np.array(np.round(logs, 3), dtype=np.float64)  # they are for dates, and fill the state
        if opens or not self._logs:
            self._logs.append(logs)
            del self._logs[:-LOOKS_KEPT]
        else:
            self._logs[-1] = self._logs[-1] + logs

    def _check(self, places: Whole, said: Whole) -> None:
        if said.shape != (self.copies, len(places)):
            raise ValueError(f"each of {len(places)} responses needs a label in each copy, got {said.shape}")
        if not len(places):
            raise ValueError("a look needs at least 1 response")
        if not (0 <= places.min() <= places.max() < self.prompts and 0 <= said.min() <= said.max() < self.goals):
            raise ValueError(f"prompts must be 0 to {self.prompts - 1}, labels 0 to {self.goals - 1}")


def _unspent(promise: Lifetime, looks: int) -> float:
    """The weight that is kept for changes after so many looks."""
    if promise.horizon is not None:
        return promise.unspent(looks)
    return 1 / (1 + math.log2(1 + looks))


def _checked(baseline: Floats, goals: int) -> tuple[int, int, int]:
    if baseline.ndim != 3 or baseline.shape[2] != goals or goals < 2 or 0 in baseline.shape:
        raise ValueError(f"a baseline must be counts of each prompt by goal, (J, {goals}), got {baseline.shape}")
    if not (np.isfinite(baseline).all() and (baseline >= 0).all()):
        raise ValueError("counts of a baseline must be at least 0")
    return baseline.shape[0], baseline.shape[1], goals
