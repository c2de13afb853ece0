"""Kept: what a watch remembers between looks. It moves on as a whole, at the end of a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import randbits
from typing import TYPE_CHECKING, Any

from ethostat.alertfile import AlertFile
from ethostat.errors import InvalidInput
from ethostat.maths.evidence.panels import PanelDetector
from ethostat.monitor.standing import Standing
from ethostat.statefile import StateFile
from ethostat.store import content_hash
from ethostat.watching.setting import JUDGING

if TYPE_CHECKING:
    from ethostat.watching.watch import Watch

FIRST = "first"
"""The baseline that a watch makes itself, before its first look."""
_NEW: dict[str, Any] = {
    "setting": {},
    "epoch": {"number": 0, "began": 1, "because": []},
    "baseline": {},
    "again": {},
    "detector": None,
    "standing": None,
    "looks": 0,
    "spent": 0,
    "asked": {},
    "runs": [],
    "ends": [],
    "versions": {},
    "alerts": 0,
    "outbox": [],
    "accepted": False,
    "own": False,
    "seed": 0,
}


def resampled(changes: Mapping[str, str]) -> list[str]:
    """The changes after which responses, and not verdicts alone, are others."""
    return [part for part in changes if part not in JUDGING]


@dataclass(slots=True)
class Kept:
    """The state of a watch, by name, as the last look left it; `file` is held open while a look is under way."""

    watch: Watch
    file: StateFile
    fields: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def open(self) -> None:
        """Read it, or begin it. Raises InvalidInput where it was made with other settings."""
        kept = self.file.read()
        mine = {
            "name": self.watch.name,
            "promise": self.watch.promise.to_dict(),
            "source": self.watch.baseline,
            "out": None if self.watch.out is None else str(self.watch.out),
        }
        if kept is None:
            seed = randbits(31) if self.watch.seed is None else self.watch.seed
            kept = {**mine, **_NEW, "seed": seed, "setting": self.watch.setting.to_dict()}
            self.file.write(kept)  # the seed has to outlive whatever it is used for
        if missing := sorted(set(_NEW) - set(kept)):
            raise InvalidInput(f"{self.file.path} is no state of a watch: it has no {missing[0]!r}; use another file")
        if other := [key for key, value in mine.items() if kept.get(key) != value]:
            raise InvalidInput(
                f"{self.file.path} was made with another {', '.join(other)}; use the same, or another state file"
            )
        self.fields = kept

    def save(self, **values: Any) -> None:
        """Move on, on disk too."""
        self.fields = {**self.fields, **values}
        self.file.write(self.fields)

    def empty_outbox(self) -> None:
        """Alerts that are not known to be in the file of alerts; one that is there already is left alone."""
        for fields in self["outbox"]:
            AlertFile(self.watch.out).add(fields, since=self.fields.get("out_size", 0))
        if self["outbox"]:
            self.save(outbox=[])

    def finish_last_run(self) -> None:
        """The run of a look that was counted, where the process died before it said so."""
        for id in self["runs"][-1:]:
            if self.watch.store.get_run(id).finished is None:
                self.watch.store.finish_run(id)

    def detector(self) -> PanelDetector:
        """The evidence so far. Raises InvalidInput where another version wrote it."""
        try:
            return PanelDetector.from_dict(self["detector"])
        except (KeyError, ValueError) as error:
            raise InvalidInput(
                f"{self.file.path} holds evidence of another version ({error}); begin anew with another --state, or "
                "with --accept"
            ) from error

    def standing(self) -> Standing | None:
        """The alert that stands."""
        return None if self["standing"] is None else Standing.from_dict(self["standing"])

    def begin_epoch_if_changed(self) -> list[str]:
        """What is another than at the look before, in words; evidence and baseline begin anew where it matters."""
        changes = self.watch.setting.changes(self["setting"])
        said = list(changes.values())
        accepted = self["accepted"]
        if accepted:
            said.append("you accepted what the model does now")
        if not said:
            return said
        held = self["baseline"] or self["again"]
        run = None if accepted or resampled(changes) else held.get("run")
        if held and run is None and not accepted and self.has_named_baseline:
            raise InvalidInput(
                f"{'; '.join(said)}: baseline {self.watch.baseline} no longer fits; undo the change, or "
                "measure anew and watch that under another --state"
            )
        number = self["epoch"]["number"] + bool(held)
        self.save(
            setting=self.watch.setting.to_dict(),
            epoch={"number": number, "began": self["looks"] + 1, "because": said if held else []},
            again={} if run is None else {"run": run},
            own=self["own"] or accepted,
            **{key: _NEW[key] for key in ("baseline", "detector", "standing", "asked", "runs", "ends", "accepted")},
        )
        return said

    @property
    def has_named_baseline(self) -> bool:
        """Whether what is normal was named by the user, and is still in force."""
        return self.watch.baseline != FIRST and not self["own"]

    def seed(self, what: str) -> int:
        """The seed of the baseline, or of a look: the same whenever it is taken up again."""
        return int(content_hash([self["seed"], self["epoch"]["number"], what]), 16) % 2**31
