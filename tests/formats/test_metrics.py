"""The API server's metrics about deprecated APIs."""

import pytest

from formats.metrics import removed_apis
from tests.said import saying

SAMPLE = (
    'apiserver_requested_deprecated_apis{{group="{}",removed_release="{}",resource="{}",'
    'subresource="",version="{}"}} {}'
)
LINES = [
    SAMPLE.format("networking.example", "1.37", "widgets", "v1beta1", 1),
    SAMPLE.format("policy.example", "1.36", "rules", "v1beta2", 1),
    SAMPLE.format("", "", "endpoints", "v1", 1),
    SAMPLE.format("old.example", "1.36", "things", "v1beta1", 0),
]


def test_what_goes_away_until_a_minor_is_named_with_its_release() -> None:
    assert removed_apis(LINES, 35) == []
    assert removed_apis(LINES, 36) == ["rules of policy.example/v1beta2 (removed in 1.36)"]
    assert len(removed_apis(LINES, 37)) == 2


@pytest.mark.parametrize("line", ["apiserver_requested_deprecated_apis 1", "up{} 1", ""])
def test_anything_else_is_not_taken_for_a_sample(line: str) -> None:
    with saying("FMT001"):
        removed_apis([line], 36)
