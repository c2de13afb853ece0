"""A classifier behind Ray Serve: as many replicas as the work needs, one core each.

    serve run ethostat.scaling.deployment:app classifier=builtin most=8

`serve` is Ray's own command; `classifier` is what --classifier takes, `taxonomy` what --taxonomy takes, `least` and
`most` are replicas. `ethostat serve --classifier ray://HOST:8000/` then asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ethostat.classifiers import Classifier, attempt
from ethostat.errors import EthostatError, InvalidInput
from ethostat.judges import open_classifier
from ethostat.judges.served import Served
from ethostat.judges.wire import Answer, Question, Reply, answer_of, response_from
from ethostat.scaling.cluster import imported_ray
from ethostat.taxonomies import load_taxonomy
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

_TOGETHER = 2
"""Batches that one replica has before another is started."""


class Asked(msgspec.Struct):
    """Responses, and the hash of the classifier whose verdicts are wanted."""

    classifier: str
    questions: list[Question]


def app(arguments: Mapping[str, str]) -> Any:
    """The application for `serve run`. Raises InvalidInput for numbers of replicas that cannot be.

    `least` (1) to `most` (4) replicas of `classifier` ("builtin"), each on `cores` (1).
    """
    spec, taxonomy = arguments.get("classifier", "builtin"), arguments.get("taxonomy")
    least, most = int(arguments.get("least", 1)), int(arguments.get("most", 4))
    if not 0 <= least <= most or most < 1:
        raise InvalidInput(f"replicas must be from 0 to most, most at least 1; got least {least}, most {most}")
    goals = FIVE_GOALS if taxonomy is None else load_taxonomy(taxonomy)
    imported_ray()
    from ray import serve

    deployed = serve.deployment(
        Replica,
        name="classifier",
        ray_actor_options={"num_cpus": float(arguments.get("cores", 1))},
        max_ongoing_requests=2 * _TOGETHER,
        autoscaling_config={"min_replicas": least, "max_replicas": most, "target_ongoing_requests": _TOGETHER},
    )
    return deployed.bind(spec, goals.to_dict())


class Replica:
    """One classifier; it says who it is, and gives verdicts on batches."""

    def __init__(self, spec: str, taxonomy: Mapping[str, Any]) -> None:
        self._classifier: Classifier = open_classifier(spec, taxonomy=Taxonomy.from_dict(taxonomy), threads=1)
        self._decoder = msgspec.msgpack.Decoder(Asked)

    async def __call__(self, request: Any) -> Any:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        said: Served | Reply
        if request.method == "GET":
            one = self._classifier
            said = Served(one.name, one.hash, one.taxonomy.hash)
        else:
            said = await run_in_threadpool(self._reply, await request.body())
        return Response(msgspec.msgpack.encode(said), media_type="application/msgpack")

    def _reply(self, body: bytes) -> Reply:
        try:
            asked = self._decoder.decode(body)
        except msgspec.DecodeError:
            return Reply([], "a body that is no batch of this version")
        if asked.classifier != self._classifier.hash:
            return Reply([], f"another classifier runs here now: {self._classifier.name}")
        try:
            answers: list[Answer] = [
                answer_of(one) for one in attempt(self._classifier, [response_from(one) for one in asked.questions])
            ]
        except EthostatError as error:
            return Reply([], f"{type(error).__name__}: {error}")
        return Reply(answers)
