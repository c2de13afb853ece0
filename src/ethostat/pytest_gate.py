"""The pytest plugin: a fixture that fails a test when a model no longer does what it did.

pytest loads this at every start, so that nothing heavy is imported before the fixture is called.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import ethostat as es
from ethostat.errors import EthostatError, InvalidInput, TooLittleEvidence
from ethostat.visible import stripped

if TYPE_CHECKING:
    from ethostat.gating import Side

_PROPERTY = "ethostat"
_FAIL, _SKIP = "fail", "skip"
_OPTIONS = {
    "db": "Database (a path or a URL) that keeps the runs and whose runs can be named; by default nothing is kept.",
    "margin": "Nats of S, and of the prompts' mean divergence, that count as no change (0.05).",
    "share-margin": "Share of responses on a goal that counts as no change (0.05).",
    "samples": "Responses a prompt from a side that is a model (as many as the other side has).",
    "classifier": "What sorts the responses, as --classifier of the command line (builtin).",
    "inconclusive": "What a test does where the evidence is short: fail or skip (fail).",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each option as a flag (--ethostat-margin) and as a setting of the ini file (ethostat_margin)."""
    group = parser.getgroup("ethostat", "ethostat: gates on what a model does")
    for name, help in _OPTIONS.items():
        group.addoption(f"--ethostat-{name}", default=None, metavar=name.upper().replace("-", "_"), help=help)
        parser.addini(f"ethostat_{name.replace('-', '_')}", help, default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Collect what gates say, for the end of the run. Raises UsageError for a setting that cannot be meant."""
    config.pluginmanager.register(_Rulings(), "ethostat-rulings")
    try:
        config.stash[_SETTINGS] = _Settings.read(config)
    except InvalidInput as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture
def ethostat_gate(request: pytest.FixtureRequest) -> EthostatGate:
    """A gate on what a model does: `ethostat_gate("baseline.json", "http://localhost:8000/v1#model")`.

    Passes where equivalence within the margins is shown and gives the Shift; fails where something changed, and where
    the evidence is short (or skips, with --ethostat-inconclusive=skip).
    """
    return EthostatGate(request.node, request.config.stash[_SETTINGS])


@dataclass(frozen=True, slots=True)
class EthostatGate:
    """What the fixture gives; call it with the baseline and what is to do the same."""

    item: pytest.Item
    settings: _Settings

    def __call__(
        self,
        baseline: Side,
        current: Side,
        *,
        prompts: es.PromptSet | Path | str | None = None,
        samples: int | None = None,
        decoding: es.Decoding | None = None,
        seed: int = 0,
        margin: float | None = None,
        share_margin: float | None = None,
        classifier: es.Classifier | str | None = None,
        taxonomy: es.Taxonomy | None = None,
        inconclusive: str | None = None,
    ) -> es.Shift:
        """The Shift, where `current` is shown to do what `baseline` does; else the test fails or is skipped.

        A side is a Measurement, a file of one, `transcripts:FILE`, a run of the database, a Model, or a model's name. A
        file that lies beside the test is found there. A side that is a model is asked as the other side was, where
        `prompts`, `samples` and `decoding` do not say otherwise. What is not given is taken from the settings.
        """
        __tracebackhide__ = True
        settings = self.settings
        undecided = settings.inconclusive if inconclusive is None else _outcome(inconclusive)
        try:
            goals = es.FIVE_GOALS if taxonomy is None else taxonomy
            with settings.opened_store() as store:
                ruling = es.gate(
                    self._found(baseline),
                    self._found(current),
                    asking=es.Asking(
                        prompts=self._prompts(prompts),
                        samples=settings.samples if samples is None else samples,
                        decoding=decoding,
                        seed=seed,
                    ),
                    margins=settings.margins(margin, share_margin),
                    store=store,
                    taxonomy=taxonomy,
                    classifier=self._classifier(classifier, goals),
                )
        except TooLittleEvidence as error:
            self._stop(undecided, f"inconclusive: {error}", [])
        except EthostatError as error:
            pytest.fail(stripped(f"ethostat: {error}"), pytrace=False)
        summary, *more = ruling.lines()
        if not ruling.passes:
            self._stop(undecided if ruling.verdict == "inconclusive" else _FAIL, summary, more)
        self._record(summary)
        return ruling.shift

    def _stop(self, outcome: str, summary: str, more: list[str]) -> NoReturn:
        __tracebackhide__ = True
        self._record(summary)
        if outcome == _SKIP:
            pytest.skip(summary)
        pytest.fail("\n".join([summary, *more]), pytrace=False)

    def _record(self, summary: str) -> None:
        """Where the end of the run finds it, from whichever process, and JUnit files too."""
        self.item.user_properties.append((_PROPERTY, summary))

    def _found(self, side: Side) -> Side:
        """The side; a file that lies beside the test, by its path."""
        if not isinstance(side, str | Path):
            return side
        from ethostat.response import TRANSCRIPTS

        name = str(side)
        if name.startswith(TRANSCRIPTS):
            return f"{TRANSCRIPTS}{self._beside(name.removeprefix(TRANSCRIPTS))}"
        return self._beside(name)

    def _beside(self, name: str) -> str:
        path = self.item.path.parent / name
        return str(path) if path.is_file() else name

    def _prompts(self, prompts: es.PromptSet | Path | str | None) -> es.PromptSet | None:
        return es.load_prompts(self._beside(str(prompts))) if isinstance(prompts, str | Path) else prompts

    def _classifier(self, classifier: es.Classifier | str | None, goals: es.Taxonomy) -> es.Classifier | None:
        found = self.settings.classifier if classifier is None else classifier
        return es.open_classifier(found, taxonomy=goals) if isinstance(found, str) else found


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the command line and the ini file say; None where a default holds."""

    db: str | None
    margin: float | None
    share_margin: float | None
    samples: int | None
    classifier: str | None
    inconclusive: str

    @classmethod
    def read(cls, config: pytest.Config) -> _Settings:
        """A flag goes before the ini file. Raises InvalidInput for what is not a number or an outcome."""
        return cls(
            db=_database(config),
            margin=_number(config, "margin", float),
            share_margin=_number(config, "share-margin", float),
            samples=_number(config, "samples", int),
            classifier=_setting(config, "classifier"),
            inconclusive=_outcome(_setting(config, "inconclusive") or _FAIL),
        )

    def margins(self, margin: float | None, share_margin: float | None) -> es.Margins:
        """Those of the call, else those of the settings, else the library's. Raises InvalidInput."""
        usual = es.Margins()
        return es.Margins.checked(
            _first(margin, self.margin, usual.nats), _first(share_margin, self.share_margin, usual.share)
        )

    def opened_store(self) -> AbstractContextManager[es.Store | None]:
        """The database, made where it is missing; where none is named, None as a context."""
        return nullcontext() if self.db is None else es.Store(self.db, create=True)


_SETTINGS = pytest.StashKey[_Settings]()


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _setting(config: pytest.Config, name: str) -> str | None:
    flag: str | None = config.getoption(f"--ethostat-{name}")
    written: str | None = config.getini(f"ethostat_{name.replace('-', '_')}")
    return written if flag is None else flag


def _database(config: pytest.Config) -> str | None:
    """As the flag says, from where pytest was called; as the ini file says, from where that lies."""
    flag: str | None = config.getoption("--ethostat-db")
    written: str | None = config.getini("ethostat_db")
    if flag or not written or "://" in written or config.inipath is None:
        return flag or written
    return str(config.inipath.parent / written)


def _number(config: pytest.Config, name: str, kind: type[float] | type[int]) -> Any:
    written = _setting(config, name)
    try:
        return None if written is None else kind(written)
    except ValueError:
        raise InvalidInput(f"ethostat-{name} must be a number, got {written!r}") from None


def _outcome(written: str) -> str:
    if written not in (_FAIL, _SKIP):
        raise InvalidInput(f"inconclusive must be {_FAIL} or {_SKIP}, got {written!r}")
    return written


@dataclass(slots=True, eq=False)  # pytest keeps plugins in sets
class _Rulings:
    """What the gates of a run said, in order."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Each test's, once it is over; with several processes, in the one that reports."""
        if report.when == "teardown":
            self.said += [(report.nodeid, str(value)) for name, value in report.user_properties if name == _PROPERTY]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A line for each gate."""
        if self.said:
            terminalreporter.section("ethostat")
        for test, summary in self.said:
            terminalreporter.write_line(f"{test}: {summary}")
