"""The proxy's unit: quoting, hardening."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.kubectl_proxy import accept_hosts, unit
from formats.systemd import command_line

UNIT = unit("192.168.1.32", 8080, accept_hosts(["192.168.1.0/24"]), "/etc/kubernetes/admin.conf")


def unquote(line: str) -> list[str]:
    """As systemd reads it: quotes and C escapes first, then %% and $$."""
    words, word, quoted, escaped, begun = [], "", False, False, False
    for sign in line:
        if escaped:
            word, escaped = word + sign, False
        elif sign == "\\":
            escaped = True
        elif sign == '"':
            quoted, begun = not quoted, True
        elif sign == " " and not quoted:
            words += [word] if word or begun else []
            word, begun = "", False
        else:
            word += sign
    words += [word] if word or begun else []
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def test_expression_survives_systemd() -> None:
    (line,) = [line for line in UNIT.splitlines() if line.startswith("ExecStart=")]
    words = unquote(line.removeprefix("ExecStart="))
    assert words == [
        "/usr/bin/kubectl",
        "proxy",
        "--address=192.168.1.32",
        "--port=8080",
        "--kubeconfig=%d/kubeconfig",
        "--accept-hosts=" + accept_hosts(["192.168.1.0/24"]),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "LoadCredential=kubeconfig:/etc/kubernetes/admin.conf",
    ],
)
def test_service_has_no_rights_of_its_own(line: str) -> None:
    assert line in UNIT.splitlines()


def test_line_feed_is_refused() -> None:
    with pytest.raises(ValueError, match="line feed"):
        command_line(["a\nb"])


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12)))
def test_words_come_through_as_they_are(words: list[str]) -> None:
    assert unquote(command_line(words)) == words
