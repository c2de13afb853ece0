"""Recipe: what a training run is told; the defaults are the paper's."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ethostat.errors import InvalidInput

_LEAST_TOKENS = 16


class Head(StrEnum):
    """What a backbone's states become goals by.

    ENCODER pools the states of the encoder and puts one linear layer on them. TEXT, for T5, is text to text: the
    first step of the decoder scores one token a goal.
    """

    ENCODER = "encoder"
    TEXT = "text"


class Pooling(StrEnum):
    """What of an encoder's states the linear layer sees: their mean, or the first one."""

    MEAN = "mean"
    CLS = "cls"


class Watched(StrEnum):
    """The figure of the validation rows that says which epoch is the best, and when to stop."""

    MACRO_F1 = "macro-f1"
    LOSS = "loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a classifier is trained. Raises InvalidInput for a number outside its range.

    The rate rises linearly over the first `warm_up` (share of all steps) and falls linearly to 0. `is_balanced` weighs
    each row by the inverse of its goal's share, so that goals count alike. The run stops once `watched` has not
    improved for `patience` epochs, and the best epoch is kept; of equal macro-F1 the lower loss is the better.
    `tokens` is the most that is kept of a row, shared out as the built-in classifier does it. `bfloat16` halves the
    precision of products while training, not of the result.
    """

    head: Head = Head.ENCODER
    pooling: Pooling = Pooling.MEAN
    learning_rate: float = 5e-5
    batch: int = 16
    epochs: int = 5
    warm_up: float = 0.1
    weight_decay: float = 0.01
    is_balanced: bool = True
    watched: Watched = Watched.MACRO_F1
    patience: int = 2
    tokens: int = 256
    bfloat16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("batch", self.batch, 1),
            ("epochs", self.epochs, 1),
            ("patience", self.patience, 1),
            ("tokens", self.tokens, _LEAST_TOKENS),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise InvalidInput(f"{name} must be at least {least}, got {value}")
        if not 0 < self.learning_rate <= 1:
            raise InvalidInput(f"learning_rate must lie above 0 and at most at 1, got {self.learning_rate}")
        if not 0 <= self.warm_up < 1:
            raise InvalidInput(f"warm_up is a share of the steps, from 0 to below 1, got {self.warm_up}")
        if not 0 <= self.weight_decay < math.inf:
            raise InvalidInput(f"weight_decay must be at least 0, got {self.weight_decay}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of a run of so many.

        >>> recipe = Recipe(learning_rate=1, warm_up=0.4)
        >>> print(*(round(recipe.rate(step, 5), 2) for step in range(5)))
        0.5 1.0 1.0 0.67 0.33
        """
        rising = round(self.warm_up * steps)
        share = (step + 1) / rising if step < rising else (steps - step) / max(steps - rising, 1)
        return self.learning_rate * share

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {key: value.value if isinstance(value, StrEnum) else value for key, value in asdict(self).items()}
