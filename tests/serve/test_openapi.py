"""Whatever the API's description allows, and what it does not, is answered without a fault of ours."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from proxied import served
from serving import FLAGS, serving, told


@schemathesis.serializer("application/x-protobuf")
def _as_bytes(_, value):
    """Whatever is made as a body of protobuf, as bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


async def _model_server(_):
    """A model server that answers whatever is asked."""
    return JSONResponse({"choices": [{"message": {"role": "assistant", "content": "g1 said"}}]})


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The description of a running service before a model server, with a stream that there is."""
    upstream = Starlette(routes=[Route("/{path:path}", _model_server, methods=["POST"])])
    with (
        served(upstream) as url,
        serving(tmp_path_factory.mktemp("serve") / "serve.db", *FLAGS, "--proxy", f"{url}/v1") as one,
    ):
        one.tell(told(200))
        one.wait_for(200)
        yield schemathesis.openapi.from_url(f"{one.url}/openapi.json")


def test_no_request_is_a_fault_of_ours(schema):
    """No request that is made from the description, valid or not, is answered with 5xx."""
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
        )
        @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
        def check(case):
            case.call_and_validate(checks=[not_a_server_error])

        check()
        tried += 1

    assert tried >= 34
