"""On a real Ray cluster of two nodes: the same figures, also when one dies; a classifier behind Ray Serve."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from logs import STATED, rows, write

import ethostat as es
from ethostat.errors import ClassifierError
from ethostat.judges.served import ServedClassifier
from ethostat.scaling.cluster import imported_ray
from ethostat.scaling.deployment import app

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own


_PATIENT = ("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S")
"""What Ray Serve gives its proxy to begin, seconds: five are too few where tests run side by side."""


class _Cluster:
    """Two nodes with a core each; `kill` ends the second as a machine ends."""

    def __init__(self) -> None:
        for name in _PATIENT:
            os.environ.setdefault(name, "60")
        self.ray = imported_ray()
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=node)
        self._second = self._cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        self.ray.init(address=self._cluster.address, log_to_driver=False, logging_level="ERROR")

    def kill(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def close(self) -> None:
        self.ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[_Cluster]:
    """Started once for all tests of this file."""
    found = _Cluster()
    yield found
    found.close()


def test_a_classifier_behind_ray_serve_gives_its_own_verdicts(cluster):
    """Name, hash and verdicts are those of what runs there; without a deployment it can be asked later."""
    from ray import serve

    responses = [es.Response(es.Prompt.from_text("q"), f"{goal} \ud800 x", id=goal) for goal in es.FIVE_GOALS.keys]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = ServedClassifier(f"ray://127.0.0.1:{port}/goals")
    with pytest.raises(ClassifierError, match="does not answer"):
        served.classify(responses)

    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(app({"classifier": "goals-in-text", "most": "2", "cores": "0.1"}), name="goals", route_prefix="/goals")
    verdicts = served.classify(responses)
    identity = (served.name, served.hash)
    serve.delete("goals")

    assert verdicts == STATED().classify(responses)
    assert identity == (STATED().name, STATED().hash)
    with pytest.raises(ClassifierError):
        served.classify(responses)
    served.close()
    serve.shutdown()


def test_a_node_that_dies_loses_and_repeats_nothing(cluster, tmp_path):
    """One of two is killed with fragments at work: the groups are those of one process, each part is there once."""
    log, into = write(tmp_path / "log.jsonl", rows(1_200)), tmp_path / "job"
    told: list[es.Stand] = []

    def kill(stand: es.Stand) -> None:
        told.append(stand)
        if stand.done == 3:
            cluster.kill()

    with es.RayCrew() as crew:
        assert crew.size == 2
        spread = es.Spread(crew, str(into), fragment_bytes=10_000, on_progress=kill)
        found = es.measure_groups([str(log)], by=("model", "day"), classifier=STATED, rules=spread)

    alone = es.measure_groups([str(log)], by=("model", "day"), classifier=STATED)
    assert [one.to_dict() for one in found.groups] == [one.to_dict() for one in alone.groups]
    assert [one.done for one in told] == list(range(1, told[-1].fragments + 1))
    assert (told[-1].rows, len(list(into.glob("parts/*")))) == (1_200, told[-1].fragments)
