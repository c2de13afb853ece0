"""Whatever the API's description allows, and what it does not, is answered without a fault of ours."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from serving import serving, told


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The description of a running service, with a stream that there is."""
    with serving(tmp_path_factory.mktemp("serve") / "serve.db") as one:
        one.tell(told(200))
        one.wait_for(200)
        yield schemathesis.openapi.from_url(f"{one.url}/openapi.json")


def test_no_request_is_a_fault_of_ours(schema):
    """No request that is made from the description, valid or not, is answered with 5xx."""
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
        )
        @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
        def check(case):
            case.call_and_validate(checks=[not_a_server_error])

        check()
        tried += 1

    assert tried >= 18
