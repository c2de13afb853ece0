"""RunSetup, Run and Tally: what the store keeps about a run beside its responses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ethostat.response import PromptSet

RUNNING, FINISHED, FAILED = "running", "finished", "failed"
CONVERSATION = "conversation"
"""Where the decoding of a run holds the rule of its conversations; absent where prompts do not follow each other."""


def content_hash(value: object) -> str:
    """First 16 hex digits of the SHA-256 of a plain value's JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RunSetup:
    """Everything that is known about a run before its first response.

    `samples` is k, None where `precision` (nats) decides when to stop or where responses were recorded elsewhere.
    `seed` is what the responses' seeds come from; `seed_is_given` says that the user chose it. `settings` is free.
    """

    model: str
    identity: Mapping[str, Any]
    prompts: PromptSet
    decoding: Mapping[str, Any] = field(default_factory=dict)
    samples: int | None = None
    precision: float | None = None
    seed: int | None = None
    seed_is_given: bool = False
    taxonomy: Mapping[str, Any] | None = None
    classifier: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sampling_key(self) -> str:
        """Hash of model identity and decoding: under it, equal prompt and seed ask for the same response."""
        return content_hash([dict(self.identity), dict(self.decoding)])

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides which responses are wanted: an unfinished run with it can be resumed.

        Taxonomy and classifier stay outside: they come after sampling. So does a seed that nobody chose.
        """
        seed = self.seed if self.seed_is_given else None
        return content_hash([self.sampling_key, self.prompts.hash, self.samples, self.precision, seed])


@dataclass(frozen=True, slots=True)
class Run:
    """One sampling of one model on one prompt set, as stored. Times are ISO 8601 in UTC.

    `status` is "running", "finished" or "failed"; a process that was killed leaves "running" behind.
    """

    id: str
    fingerprint: str
    model: str
    identity: Mapping[str, Any]
    sampling_key: str
    prompts_name: str
    prompts_hash: str
    decoding: Mapping[str, Any]
    samples: int | None
    precision: float | None
    seed: int | None
    taxonomy: Mapping[str, Any] | None
    classifier: Mapping[str, Any] | None
    status: str
    started: str
    finished: str | None
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    measurement: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many responses a run has, how many of them another run paid for, and how many failures stand."""

    responses: int
    reused: int
    failures: int
