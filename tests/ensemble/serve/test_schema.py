"""The interface keeps what its own OpenAPI says, whatever it is sent."""

import pytest

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from fakes import FakeVoter, image_panel
from hypothesis import HealthCheck, settings

from ensemble.serve.access import Access
from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits

pytestmark = pytest.mark.slow

PANEL = image_panel(FakeVoter("a", {"0": "购物车页面"}))
APP = create_app(PANEL, Limits(max_pictures=3), access=Access(named=("testserver",)), page=False)
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_schema_holds(case: "schemathesis.Case") -> None:
    # What a rule refuses is valid by the schema: tags and pictures must match, base64 must hold a picture.
    case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])
