"""Everything that ethostat raises on purpose.

    EthostatError
    ├── InvalidInput            what the caller gave breaks a rule (the CLI exits with 2)
    │   ├── InvalidRow          one row of a file; names the file and the line
    │   ├── InUse               another process holds the file
    │   └── InvalidTaxonomy
    ├── MissingExtra            an optional dependency is needed; names the extra
    ├── ModelError              the model did not answer as asked
    │   ├── AuthenticationFailed
    │   ├── ModelNotFound
    │   ├── ContextOverflow
    │   ├── RateLimited
    │   ├── ModelTimeout
    │   ├── ServerFault         5xx, a broken connection, a body that is not what was promised
    │   └── EmptyAnswer         the server answered without any choice
    ├── ClassifierError
    │   ├── CorruptWeights      a weight file is not the one its card names
    │   └── UnreadableAnswer    a judge said nothing about a response that can be read as a verdict
    ├── StoreError
    ├── DeliveryFailed          an alert did not reach its target
    ├── ServiceError            a service that was asked refused, or could not be reached
    ├── BudgetExceeded          the next request would cost more than the caller allows
    └── TooLittleEvidence       the question cannot be answered from what there is (the CLI exits with 3)

A message states the value, the rule and the next step.
"""

from __future__ import annotations


class EthostatError(Exception):
    """Base of every error raised on purpose."""


class InvalidInput(EthostatError, ValueError):
    """What the caller gave breaks a rule."""


class InvalidRow(InvalidInput):
    """One row of a file breaks a rule.

    `path` and `line` (1-based; for columnar files the row number) say where; `reason` says why.
    """

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path, self.line, self.reason = path, line, reason


class InUse(InvalidInput):
    """Another process holds the file."""


class InvalidTaxonomy(InvalidInput):
    """A taxonomy breaks a rule."""


class MissingExtra(EthostatError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; next step: pip install 'ethostat[{extra}]'")
        self.package, self.extra = package, extra


class ModelError(EthostatError):
    """The model did not answer as asked."""


class AuthenticationFailed(ModelError):
    """The server refused the key."""


class ModelNotFound(ModelError):
    """The server, the package or the disk does not have this model."""


class ContextOverflow(ModelError):
    """Prompt and answer do not fit into the model's context."""


class RateLimited(ModelError):
    """The server kept answering 429 for longer than we retry."""


class ModelTimeout(ModelError):
    """The model did not answer in time."""


class ServerFault(ModelError):
    """The server failed, or sent what the protocol does not allow."""


class EmptyAnswer(ModelError):
    """The server answered without any choice."""


class ClassifierError(EthostatError):
    """A classifier cannot be loaded or run."""


class CorruptWeights(ClassifierError):
    """A weight file is not the one its card names."""


class UnreadableAnswer(ClassifierError):
    """A judge said nothing about a response that can be read as a verdict."""


class StoreError(EthostatError):
    """The store cannot do what was asked."""


class DeliveryFailed(EthostatError):
    """An alert did not reach its target.

    `for_good` says that trying again is of no use; `wait` is what the target asked to wait, in seconds.
    """

    def __init__(self, message: str, *, for_good: bool = False, wait: float | None = None) -> None:
        super().__init__(message)
        self.for_good, self.wait = for_good, wait


class ServiceError(EthostatError):
    """A service that was asked refused, or could not be reached; `status` is that of its answer, None without one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class BudgetExceeded(EthostatError):
    """The next request would cost more than the caller allows."""


class TooLittleEvidence(EthostatError):
    """The question cannot be answered from what there is."""
