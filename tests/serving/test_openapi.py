"""Requests that schemathesis makes from the server's OpenAPI document."""

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis")
positive_data_acceptance = pytest.importorskip(
    "schemathesis.specs.openapi.checks"
).positive_data_acceptance
pytestmark = pytest.mark.slow


def test_no_request_of_the_document_breaks_the_server_or_the_document(make_app):
    app = make_app()
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) >= 8
    for operation in operations:

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answers(case):
            response = case.call()
            assert response.status_code < 500
            # no schema can say which bytes are an image
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

        answers()
