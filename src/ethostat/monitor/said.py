"""Said: what a monitor is told of one response, read as the place of its goal and the row that counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethostat.maths.detector import Floats
from ethostat.response import Verdict
from ethostat.taxonomy import Taxonomy

Said = Verdict | str | Sequence[float]
"""A verdict, the key of its goal, or the probabilities (K,) of the goals."""


class Reader:
    """Reads what is said in the goals of a taxonomy; with `soft` probabilities count, else the most probable goal."""

    def __init__(self, taxonomy: Taxonomy, *, soft: bool) -> None:
        self.taxonomy, self.soft = taxonomy, soft
        self._units = list(np.eye(len(taxonomy.goals)))
        self._places = {key: place for place, key in enumerate(taxonomy.keys)}

    def read(self, said: Said) -> tuple[int, Floats]:
        """The goal's place, and the row (K,) that counts. Raises InvalidInput for another goal, or no probabilities."""
        if isinstance(said, str):
            found = self._places.get(said)
            label = self.taxonomy.index(said) if found is None else found
            return label, self._units[label]
        if isinstance(said, Verdict):
            label, values = self.taxonomy.index(said.goal), said.probabilities
        else:
            one = Verdict.from_probabilities(self.taxonomy, said, prompt_id="", response_id="")
            label, values = self.taxonomy.index(one.goal), one.probabilities
        if not self.soft:
            return label, self._units[label]
        Verdict.from_probabilities(self.taxonomy, values, prompt_id="", response_id="")
        row = np.array(values, dtype=np.float64)
        return label, row / row.sum()
