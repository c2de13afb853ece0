"""Metrics for Prometheus. Labels are bounded: goals of the taxonomy, and at most a hundred streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ethostat.errors import StoreError
from ethostat.ledger import Stream
from ethostat.maths.entropy import entropy
from ethostat.maths.estimate import Estimate
from ethostat.server.pipeline import Pipeline
from ethostat.server.proxy import Proxy
from ethostat.server.viewing import monitor_in
from ethostat.visible import stripped

MOST_STREAMS = 100
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATES = ("learning", "ok", "alert", "no-data")


class Metrics:
    """What is measured while the service runs, and what is read off the ledger when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ethostat_http_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "ethostat_http_request_seconds", "Until the answer.", ["route"], buckets=_QUICK, registry=self.registry
        )
        self.commit_seconds = Histogram(
            "ethostat_commit_seconds", "Writing events that waited together.", buckets=_QUICK, registry=self.registry
        )
        self.commit_events = Histogram(
            "ethostat_commit_events",
            "Events that were written together.",
            buckets=(1, 4, 16, 64, 256, 1024, 4096),
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "ethostat_step_seconds", "Taking monitors through new events.", buckets=_QUICK, registry=self.registry
        )
        self.alerts = Counter("ethostat_alerts", "Alerts.", ["tier", "kind"], registry=self.registry)
        ProcessCollector(registry=self.registry)

    def watch(self, pipeline: Pipeline) -> None:
        """Also show what this pipeline is at."""
        self.registry.register(_Standing(pipeline))

    def watch_proxy(self, proxy: Proxy) -> None:
        """Also count what the proxy observed, and what it could not."""
        self.registry.register(_Passing(proxy))

    def page(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


class _Passing(Collector):
    """What became of the traffic that the proxy saw."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def collect(self) -> Iterator[Metric]:
        seen = CounterMetricFamily("ethostat_proxy", "Observations of forwarded traffic.", labels=["outcome"])
        for outcome, count in asdict(self._proxy.counts).items():
            seen.add_metric([outcome], count)
        yield seen


class _Standing(Collector):
    """Where the pipeline and its streams stand now."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._of_pipeline()
        try:
            yield from self._of_totals()
            yield from self._of_streams()
        except StoreError:
            return  # `ethostat_degraded` says so

    def _of_pipeline(self) -> Iterator[Metric]:
        one = self._pipeline
        counted, tally = one.intake.counted, one.classifying.tally
        events = CounterMetricFamily("ethostat_events", "Events told, by what came of them.", labels=["outcome"])
        for outcome in ("accepted", "duplicates", "refused", "dropped"):
            events.add_metric([outcome], getattr(counted, outcome))
        yield events
        yield CounterMetricFamily("ethostat_commits", "Writes of events to disk.", value=counted.commits)
        judged = CounterMetricFamily("ethostat_classified", "Events classified here.", labels=["outcome"])
        judged.add_metric(["verdict"], tally.verdicts)
        judged.add_metric(["failure"], tally.failures)
        yield judged
        yield CounterMetricFamily("ethostat_worker_deaths", "Classifying processes that died.", value=tally.deaths)
        yield GaugeMetricFamily("ethostat_workers", "Classifying processes that are ready.", one.classifying.workers)
        if one.evaluations is not None:
            exported = CounterMetricFamily("ethostat_evaluations", "Verdicts exported by OTLP.", labels=["outcome"])
            for outcome, count in asdict(one.evaluations.counts).items():
                exported.add_metric([outcome], count)
            yield exported
        waiting, size = one.intake.waiting
        yield GaugeMetricFamily("ethostat_queue_events", "Events that wait for the disk.", waiting)
        yield GaugeMetricFamily("ethostat_queue_bytes", "Bytes that wait for the disk.", size)
        degraded = GaugeMetricFamily("ethostat_degraded", "1 where a part cannot work now.", labels=["part"])
        for part, error in one.errors().items():
            degraded.add_metric([part], float(error is not None))
        yield degraded

    def _of_totals(self) -> Iterator[Metric]:
        streams, told, waiting = self._pipeline.ledger.totals()
        yield GaugeMetricFamily("ethostat_streams", "Streams.", streams)
        yield GaugeMetricFamily("ethostat_log_events", "Events ever written to the log.", told)
        yield GaugeMetricFamily("ethostat_lag_events", "Events in the log that are not followed yet.", waiting)
        deliveries = GaugeMetricFamily("ethostat_deliveries", "Deliveries that wait or are given up.", labels=["state"])
        for state, count in self._pipeline.ledger.deliveries().items():
            deliveries.add_metric([state], count)
        yield deliveries

    def _of_streams(self) -> Iterator[Metric]:
        streams = self._pipeline.ledger.streams()
        now = self._pipeline.now()
        lag = [max(now - one.waits_since, 0.0) for one in streams if one.waits_since is not None]
        yield GaugeMetricFamily(
            "ethostat_lag_seconds", "Age of the oldest event not followed yet.", max(lag, default=0)
        )
        shown = sorted(streams, key=lambda one: -(one.updated or 0.0))[:MOST_STREAMS]
        left_out = len(streams) - len(shown)
        yield GaugeMetricFamily("ethostat_streams_left_out", "Streams without metrics of their own.", left_out)
        yield from self._of_shown(shown)

    def _of_shown(self, shown: list[Stream]) -> Iterator[Metric]:
        names = ["tenant", "stream"]
        goals = CounterMetricFamily("ethostat_stream_goal", "Responses by goal.", labels=[*names, "goal"])
        failures = CounterMetricFamily("ethostat_stream_failures", "Events without a verdict.", labels=names)
        lag = GaugeMetricFamily("ethostat_stream_lag_events", "Events not followed yet.", labels=names)
        state = GaugeMetricFamily("ethostat_stream_state", "1 for the state it is in.", labels=[*names, "state"])
        nats = GaugeMetricFamily(
            "ethostat_stream_entropy_nats", "S of this epoch, with its 95 % interval.", labels=[*names, "bound"]
        )
        evidence = GaugeMetricFamily("ethostat_stream_evidence", "Where the detector stands.", labels=names)
        threshold = GaugeMetricFamily("ethostat_stream_threshold", "Where it gives alarm.", labels=names)
        for one in shown:
            own = [stripped(one.tenant), stripped(one.name)]
            monitor = monitor_in(one)
            for goal in self._pipeline.taxonomy.keys:
                goals.add_metric([*own, goal], one.counts.get(goal, 0))
            failures.add_metric(own, one.failures)
            lag.add_metric(own, one.waiting)
            for name in _STATES:
                state.add_metric([*own, name], float(name == (monitor.state if monitor else "learning")))
            if monitor is None:
                continue
            found = _entropy(monitor.counts)
            for bound in ("value", "low", "high"):
                nats.add_metric([*own, bound], getattr(found, bound))
            if monitor.reading is not None:
                evidence.add_metric(own, monitor.reading.evidence)
                threshold.add_metric(own, monitor.reading.threshold)
        yield from (goals, failures, lag, state, nats, evidence, threshold)


@lru_cache(maxsize=1_000)
def _entropy(counts: tuple[float, ...]) -> Estimate:
    return entropy(counts)
