"""A month of live traffic through the real service: what was paged, when, and what it cost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from ethostat.errors import EthostatError
from ethostat.experiments import month_page
from ethostat.experiments.alarms import entropy_of, page_places
from ethostat.experiments.frame import Experiment, Figures, Settings, Work
from ethostat.experiments.traffic import BEGINS, EVENTS, REPAIRED, REPEATS, ROUTES, Month, simulate, times_of
from ethostat.maths.detectors import PaperThreshold
from ethostat.monitor import Alert, Baseline, Monitor, Policy, SessionEnd
from ethostat.taxonomy import FIVE_GOALS

FULL, SHORT = 1_000_000, 10_000
_AT_ONCE = 1_000
_COMMAND = "from ethostat.cli import main; main()"
_RETRY = (429, 503)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a user might start the service: what is normal, the run length, whether sessions count once."""

    name: str
    title: str
    first: int
    run_length: int
    by_session: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """As they stand on the command line."""
        sessions = ("--session", "session") if self.by_session else ()
        return (*sessions, "--baseline", f"first:{self.first}", "--run-length", str(self.run_length), "--no-warn")

    def monitor(self, stream: str) -> Monitor:
        """The monitor that the service keeps for a stream under these flags."""
        return Monitor(
            Baseline.of_first(self.first),
            run_length=self.run_length,
            name=stream,
            sessions=SessionEnd() if self.by_session else None,
            policy=Policy(warn=False),
        )


AS_IT_COMES = Setup("as-it-comes", "as it comes", 500, 10_000)
REPLAYED = (
    Setup("by-session", "sessions count once", 500, 10_000, by_session=True),
    Setup("chosen", "sessions count once, more is normal, a longer run length", 5_000, 100_000, by_session=True),
)


class ServiceFailed(EthostatError):
    """The service did not start, or did not take what it was told."""


def run(settings: Settings) -> Figures:
    """One month, told to a service; other setups of its monitors, and the paper's rule, on the same verdicts."""
    work = Work.of("month", settings)
    month = simulate(np.random.default_rng(settings.seed), SHORT if settings.short else FULL)
    found: Figures = {
        "responses": len(month),
        "days": float(month.days.max()),
        "streams": _streams(month),
        "repeats": REPEATS,
        "events": [_event(one) for one in EVENTS],
        "setups": {
            AS_IT_COMES.name: _described(AS_IT_COMES)
            | work.step("served", partial(served, AS_IT_COMES, month, work.path, settings)),
            **{
                one.name: _described(one) | work.step(f"replayed-{one.name}", partial(replayed, one, month))
                for one in REPLAYED
            },
        },
        "one_stream": work.step("one-stream", partial(one_stream, month)),
        "paper": work.step("paper", partial(paper, month)),
    }
    return found | {"cpu_seconds": work.cpu_seconds}


def served(setup: Setup, month: Month, work: Path, settings: Settings) -> Figures:
    """A service of its own with an empty database, told the whole month; pages, and what that cost."""
    database = work / f"{setup.name}.db"
    for file in work.glob(f"{database.name}*"):
        file.unlink()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with _service(database, (*setup.flags, "--workers", "1")) as client:
        for start, stop, act in _stretches(month):
            _tell(client, month, start, stop, settings)
            _wait_until_followed(client)
            act(client)
        seconds = time.monotonic() - began
        alerts = _alerts(client)
        streams = client.get("/v1/streams").json()["streams"]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(file.stat().st_size for file in work.glob(f"{database.name}*"))
    found = {
        "counted": sum(one["count"] for one in streams),
        "pages": [_page(one) for one in alerts if (one["kind"], one["tier"]) == ("change", "page")],
        "recovered": [_page(one) for one in alerts if one["kind"] == "recovered"],
        "other": sorted({one["kind"] for one in alerts} - {"change", "recovered"}),
        "cost": {
            "seconds": seconds, "per_second": len(month) / seconds, "cpu_seconds": spent,
            "cpu_microseconds_each": 1e6 * spent / len(month), "bytes": size, "bytes_each": size / len(month),
            "memory": after.ru_maxrss * 1024,
        },
    }  # fmt: skip
    database.unlink()
    return found | scored(found["pages"])


def replayed(setup: Setup, month: Month) -> Figures:
    """The same verdicts and acts, told to the service's monitors in this process."""
    found = merged(replayed_route(setup, month, at) for at in range(len(ROUTES)))
    return found | scored(found["pages"])


def replayed_route(setup: Setup, month: Month, at: int) -> Figures:
    """One stream of it."""
    route, mine = ROUTES[at], np.flatnonzero(month.streams == at)
    monitor, days = setup.monitor(route.name), month.days[mine]
    upgrade, forgotten = (next(one for one in EVENTS if one.name == name) for name in ("upgrade", "forgotten"))
    acts: list[tuple[int, Callable[[], None]]] = [
        (int(np.searchsorted(days, upgrade.day)), partial(_begin_epoch, monitor, told=route.name in upgrade.streams)),
        (int(np.searchsorted(days, REPAIRED)), partial(_expect, monitor, forgotten=route.name in forgotten.streams)),
        (len(mine), lambda: None),
    ]
    found: Figures = {"pages": [], "recovered": [], "other": []}
    start = 0
    for stop, act in acts:
        for alert, day in _watched(monitor, month, mine[start:stop]):
            kind = {"change": "pages", "recovered": "recovered"}.get(alert.kind, "other")
            found[kind].append({"stream": route.name, "day": day} if kind != "other" else alert.kind)
        act()
        start = stop
    return found


def merged(parts: Iterable[Figures]) -> Figures:
    """What was said of all streams."""
    every = list(parts)
    found = {key: [one for part in every for one in part[key]] for key in ("pages", "recovered", "other")}
    return found | {"other": sorted(set(found["other"]))}


def _watched(monitor: Monitor, month: Month, places: np.ndarray) -> Iterator[tuple[Alert, float]]:
    keys = FIVE_GOALS.keys
    columns = (month.goals[places].tolist(), month.sessions[places].tolist(), month.days[places].tolist())
    for goal, session, day, when in zip(*columns, times_of(month.seconds[places]), strict=True):
        alert = monitor.update(keys[goal], session=str(session), time=when)
        while alert is not None:
            yield alert, round(day, 4)
            alert = monitor.due()


def _begin_epoch(monitor: Monitor, *, told: bool) -> None:
    if told:
        monitor.begin_epoch(version="classifier 2")


def _expect(monitor: Monitor, *, forgotten: bool) -> None:
    if forgotten and monitor.is_alerting:
        monitor.expect()


def scored(pages: Sequence[Mapping[str, Any]]) -> Figures:
    """Which pages were false, and for each event that should be paged, the first page of each of its streams."""
    false = [one for one in pages if not any(event.covers(one["stream"], one["day"]) for event in EVENTS)]
    found = {
        event.name: {
            stream: min((one["day"] for one in pages if one["stream"] == stream and event.covers(stream, one["day"])),
                        default=None)
            for stream in event.streams
        }
        for event in EVENTS
        if not event.is_harmless
    }  # fmt: skip
    return {"false": false, "found": found}


def one_stream(month: Month) -> Figures:
    """The same Monitor on all traffic as one stream, in this process: a change of the mix is a change then."""
    places = page_places(month.goals.tolist(), None, first=AS_IT_COMES.first)
    return {"pages": [round(float(month.days[place]), 4) for place in places]}


def paper(month: Month) -> Figures:
    """The paper's rule on each stream: steps of 100, alarms by what was going on."""
    rows = []
    for at, route in enumerate(ROUTES):
        mine = month.streams == at
        goals, days = month.goals[mine], month.days[mine]
        steps = len(goals) // PaperThreshold(5).step
        size = PaperThreshold(5).step
        counts = np.eye(len(FIVE_GOALS.goals))[goals[: steps * size]].reshape(steps, size, -1).sum(axis=1)
        fired = np.abs(np.diff(entropy_of(counts))) > PaperThreshold(5).threshold
        ends = days[2 * size - 1 : steps * size : size]
        changed = np.array(
            [any(event.covers(route.name, day) for event in EVENTS) for day in ends.tolist()], dtype=bool
        )
        rows.append(
            {
                "stream": route.name, "steps": len(fired), "alarms": int(fired.sum()),
                "quiet_steps": int((~changed).sum()), "false": int(fired[~changed].sum()),
            }
        )  # fmt: skip
    return {"streams": rows}


def _stretches(month: Month) -> Iterator[tuple[int, int, Any]]:
    """Parts of the month, and what the operator does at the end of each."""
    upgrade = next(one for one in EVENTS if one.is_told)
    acts = [(upgrade.day, _say_upgraded), (REPAIRED, _expect_forgotten), (float("inf"), lambda _client: None)]
    start = 0
    for day, act in acts:
        stop = int(np.searchsorted(month.days, day))
        yield start, stop, act
        start = stop


def _say_upgraded(client: httpx.Client) -> None:
    upgrade = next(one for one in EVENTS if one.is_told)
    there = {one["stream"] for one in client.get("/v1/streams").json()["streams"]}
    body = {"version": "classifier 2", "streams": [one for one in upgrade.streams if one in there]}
    client.post("/v1/deployments", json=body).raise_for_status()


def _expect_forgotten(client: httpx.Client) -> None:
    """The operator reads the pages of the forgotten streams, and says that the change was meant."""
    forgotten = next(one for one in EVENTS if one.name == "forgotten")
    for stream in forgotten.streams:
        view = client.get(f"/v1/streams/{stream}").json()
        pages = [one for one in _alerts(client, stream) if one["kind"] == "change"]
        if view.get("state") == "alert" and pages:
            client.post(f"/v1/alerts/{pages[0]['id']}/expected", json={"by": "operator"}).raise_for_status()


def _tell(client: httpx.Client, month: Month, start: int, stop: int, settings: Settings) -> None:
    for number, body in month.bodies(start, stop, most=_AT_ONCE):
        answer = _posted(client, body)
        if answer["accepted"] != number:
            raise ServiceFailed(f"of {number} events {answer['accepted']} were accepted; the database is not empty")
    settings.progress(f"month: {stop:,} of {len(month):,} told")


def _posted(client: httpx.Client, body: bytes) -> dict[str, Any]:
    """A request, told again while the service asks for patience."""
    while True:
        answer = client.post("/v1/events", content=body, headers={"content-type": "application/x-ndjson"})
        if answer.status_code not in _RETRY:
            answer.raise_for_status()
            return dict(answer.json())
        time.sleep(float(answer.headers.get("retry-after", 1)))


def _wait_until_followed(client: httpx.Client) -> None:
    while any(one["lag"]["events"] for one in client.get("/v1/streams").json()["streams"]):
        time.sleep(0.1)


def _alerts(client: httpx.Client, stream: str | None = None) -> list[dict[str, Any]]:
    """All of them, the latest first."""
    found: list[dict[str, Any]] = []
    while True:
        query: dict[str, Any] = {"limit": 1_000, **({"stream": stream} if stream else {})}
        if found:
            query["before"] = found[-1]["number"]
        some = client.get("/v1/alerts", params=query).json()["alerts"]
        if not some:
            return found
        found += some


def _page(alert: Mapping[str, Any]) -> dict[str, Any]:
    day = (datetime.fromisoformat(alert["time"]) - BEGINS).total_seconds() / 86_400
    return {"stream": alert["stream"], "day": round(day, 4)}


@contextmanager
def _service(database: Path, flags: Sequence[str]) -> Iterator[httpx.Client]:
    """`ethostat serve` in a process of its own, until this is left. Raises ServiceFailed where it does not start."""
    log = database.with_suffix(".log")
    with log.open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _COMMAND, "serve", "--db", str(database), "--port", "0", "--json", *flags],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith('{"url"'):
            raise ServiceFailed(f"`ethostat serve` did not start; {log} says why")
        with httpx.Client(base_url=json.loads(line)["url"], timeout=60) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
        if process.stdout:
            process.stdout.close()


def _described(setup: Setup) -> dict[str, Any]:
    return {
        "title": setup.title, "first": setup.first, "run_length": setup.run_length, "flags": list(setup.flags),
        "by_session": setup.by_session,
    }  # fmt: skip


def _streams(month: Month) -> list[dict[str, Any]]:
    counts = np.bincount(month.streams, minlength=len(ROUTES))
    return [
        {"name": one.name, "risky": one.risky, "responses": int(count), "a_day": float(count / month.days.max())}
        for one, count in zip(ROUTES, counts, strict=True)
    ]


def _event(one: Any) -> dict[str, Any]:
    return {
        "name": one.name, "title": one.title, "day": one.day, "until": one.until, "streams": list(one.streams),
        "is_told": one.is_told, "is_harmless": one.is_harmless,
    }  # fmt: skip


MONTH = Experiment(
    name="month",
    title="A month of live traffic",
    question="A million responses in thirty days, through the service as it is run: what is paged, when, what is paged "
    "for nothing, and what does it cost?",
    run=run,
    page=month_page.page,
    claims=month_page.claims,
    drawings=month_page.drawings,
)
