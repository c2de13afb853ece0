"""Setting: what an answer depends on that the user decides, and what of it is another than before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ethostat.classifiers import Classifier
from ethostat.models.base import Decoding, Model
from ethostat.response import PromptSet
from ethostat.visible import stripped

JUDGING = ("classifier", "taxonomy")
"""What comes after the responses: where only these differ, the same responses can be judged again."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The model that is asked, the prompts, the decoding, and what verdicts mean; with their hashes."""

    model: Mapping[str, Any]
    prompts: Mapping[str, Any]
    decoding: Mapping[str, Any]
    classifier: Mapping[str, Any]
    taxonomy: Mapping[str, Any]

    @classmethod
    def of(cls, model: Model, prompts: PromptSet, decoding: Decoding, classifier: Classifier) -> Setting:
        """The setting of a look that is about to be taken."""
        goals = classifier.taxonomy
        return cls(
            {"name": model.name, **model.identity},
            {"name": prompts.name, "hash": prompts.hash},
            decoding.to_dict(),
            {"name": classifier.name, "hash": classifier.hash},
            {"name": goals.name, "version": goals.version, "hash": goals.hash},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {name: dict(getattr(self, name)) for name in _PARTS}

    def changes(self, before: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """What differs from a setting that was kept, in words, by part; names alone are no difference."""
        found = {}
        for part in _PARTS:
            now, then = getattr(self, part), before[part]
            keys = [key for key in now if key != "name" and now[key] != then.get(key)]
            if keys:
                shown = ", ".join(f"{key} {_short(then.get(key))} -> {_short(now[key])}" for key in keys)
                found[part] = f"you changed the {part}: {shown}"
        return found


_PARTS = ("model", "prompts", "decoding", "classifier", "taxonomy")


def _short(value: object) -> str:
    return stripped(str(value), most=60)
