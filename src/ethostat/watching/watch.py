"""Watch: one look after the other at a model, each a run of the store, each resumed exactly where a crash left it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ethostat.classifiers import Classifier, load_builtin
from ethostat.errors import InvalidInput
from ethostat.forecast import Forecast, forecast
from ethostat.maths.evidence.promise import Lifetime, Promise, RunLength
from ethostat.models.base import Decoding, Model
from ethostat.response import PromptSet
from ethostat.statefile import StateFile
from ethostat.store import Store, content_hash, default_path
from ethostat.watching.kept import FIRST, Kept, resampled
from ethostat.watching.look import Look
from ethostat.watching.looking import Looking
from ethostat.watching.pace import Pace, portion
from ethostat.watching.setting import Setting
from ethostat.workflow import Rules, off_the_loop, price_of, rates_of


def default_state(model: Model, *, name: str = "watch") -> Path:
    """Where a watch of this name and model is kept unless told: beside the user's own database."""
    mark = content_hash([name, dict(model.identity)])[:12]
    return default_path().with_name(f"watch-{mark}.state")


@dataclass(slots=True)
class Watch:
    """Looks at a model now and then, and says whether it still does with its prompts what it did.

    `baseline` is `FIRST`, a run of the store, or a Measurement file; of the same prompts, classifier and decoding. At
    most with probability `alpha` does a false alert ever come; with `run_length`, in its place, false alerts are at
    least so many responses apart on average. Both are about all looks together, and what is asked, and how much, may
    follow from what was seen. `state` is a file that no other watch may use, `out` a JSONL file that gets each look
    that found something exactly once.

    Raises InvalidInput where these do not fit together, or do not fit the state.
    """

    model: Model
    prompts: PromptSet
    store: Store
    state: Path
    baseline: str = FIRST
    alpha: float = 0.01
    run_length: float | None = None
    pace: Pace = field(default_factory=Pace)
    decoding: Decoding = field(default_factory=Decoding)
    classifier: Classifier | None = None
    name: str = "watch"
    seed: int | None = None
    out: Path | None = None
    rules: Rules = field(default_factory=Rules)

    def look(self, *, now: datetime | None = None) -> Look:
        """Take the next look, or go on with the one that was not finished.

        A model or a classifier that fails gives a Look whose answer is "unknown", and the next call goes on from
        there. Raises StoreError, and InvalidInput as the constructor's words say.
        """
        with StateFile(self.state) as file:
            looking = Looking(self, Kept(self, file), (now or datetime.now(UTC)).isoformat(timespec="seconds"))
            return off_the_loop(looking.take)

    def accept(self) -> None:
        """What the model does from now on is normal: a new epoch, and a new baseline, begin with the next look."""
        with StateFile(self.state) as file:
            kept = file.read()
            if kept is None:
                raise InvalidInput(f"{self.state} holds no watch yet; take a first look before anything is accepted")
            file.write({**kept, "accepted": True})

    def forecast(self) -> dict[str, Forecast]:
        """What a baseline (where one is to be made), a quiet look and the dearest look would take; nothing is asked."""
        quiet, most = self.pace.first(self.prompts), self.pace.most(self.prompts)
        wanted = {"look": quiet, "look at most": most}
        if self.needs_baseline():
            wanted = {"baseline": self.pace.baseline * len(self.prompts), **wanted}
        return {name: self._forecast(responses) for name, responses in wanted.items()}

    def needs_baseline(self) -> bool:
        """Whether the next look asks for a baseline first."""
        kept = StateFile(self.state).read()
        if kept is None:
            return self.baseline == FIRST
        if self.baseline != FIRST and not kept.get("own"):
            return False
        held = kept.get("baseline") or kept.get("again")
        return not held or bool(kept.get("accepted")) or bool(resampled(self.setting.changes(kept["setting"])))

    def _forecast(self, responses: int) -> Forecast:
        by_id = {prompt.id: prompt for prompt in self.prompts}
        given = portion(self.prompts, responses, {})
        return forecast(
            {by_id[id]: count for id, count in given.items()},
            max_tokens=self.decoding.max_tokens,
            system=self.decoding.system,
            price=price_of(self.model),
            rates=rates_of(self.store, self.model),
        )

    @property
    def promise(self) -> Promise:
        """What is promised about all looks together."""
        try:
            return Lifetime(self.alpha) if self.run_length is None else RunLength(self.run_length)
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    @property
    def sorter(self) -> Classifier:
        """The classifier, the built-in one unless another was given."""
        if self.classifier is None:
            self.classifier = load_builtin()
        return self.classifier

    @property
    def setting(self) -> Setting:
        """What its answers depend on, as things stand."""
        return Setting.of(self.model, self.prompts, self.decoding, self.sorter)
