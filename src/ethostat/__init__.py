"""ethostat: what a language model does with what it is asked, and whether that is changing.

The house, from the ground up; a module imports only from below its own line.

    errors, taxonomy, response      words: Goal, Taxonomy, Prompt, Response, Verdict, Label
    maths                           statistics: Estimate, Profile, entropy, panels, allocation
    measurement, summary            values: Measurement, and how verdicts make one
    rows                            rows of a file, each with its place
    models, classifiers, store,     doors to what answers, what sorts, what remembers,
    prompts, transcripts,           what is asked, what was recorded,
    taxonomies, charts              which goals there are, how it looks
    report, forecast, sampling      where doors meet
    workflow                        measure, as the method section of a paper would say it
    settings, terminal, cli         faces

Public names are imported when they are first used, so that `import ethostat` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethostat.classifiers import open_classifier
    from ethostat.maths.entropy import entropy
    from ethostat.maths.estimate import Estimate
    from ethostat.maths.profile import Profile
    from ethostat.measurement import Measurement
    from ethostat.models import open_model
    from ethostat.models.base import Decoding
    from ethostat.models.function import FunctionModel
    from ethostat.models.http import HTTPModel
    from ethostat.models.local import LocalModel
    from ethostat.models.transformers import TransformersModel
    from ethostat.prompts import load_prompts
    from ethostat.response import Label, Message, Prompt, PromptSet, Response, Verdict
    from ethostat.store import Store
    from ethostat.summary import summarise
    from ethostat.taxonomies import load_taxonomy
    from ethostat.taxonomy import FIVE_GOALS, Goal, Taxonomy
    from ethostat.workflow import measure, measure_transcripts

__version__ = "0.1.0"

_HOMES = {
    "classifiers": ("open_classifier",),
    "maths.entropy": ("entropy",),
    "maths.estimate": ("Estimate",),
    "maths.profile": ("Profile",),
    "measurement": ("Measurement",),
    "models": ("open_model",),
    "models.base": ("Decoding",),
    "models.function": ("FunctionModel",),
    "models.http": ("HTTPModel",),
    "models.local": ("LocalModel",),
    "models.transformers": ("TransformersModel",),
    "prompts": ("load_prompts",),
    "response": ("Label", "Message", "Prompt", "PromptSet", "Response", "Verdict"),
    "store": ("Store",),
    "summary": ("summarise",),
    "taxonomies": ("load_taxonomy",),
    "taxonomy": ("FIVE_GOALS", "Goal", "Taxonomy"),
    "workflow": ("measure", "measure_transcripts"),
}
_HOME_OF = {name: f"ethostat.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "__version__",
    *sorted(_HOME_OF),
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ethostat' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
