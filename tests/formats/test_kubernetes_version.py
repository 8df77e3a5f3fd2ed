"""Versions of Kubernetes, asked for and packaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.kubernetes_version import (
    DesiredVersion,
    Release,
    newest,
    parse_desired,
    parse_package,
    parse_reported,
)
from tests.said import saying

NUMBERS = st.integers(0, 200)


@pytest.mark.parametrize("text", ["1.36", "1.36.4", "1.100"])
def test_minors_and_releases_are_read(text: str) -> None:
    assert str(parse_desired(text)) == text


@pytest.mark.parametrize("text", ["", "1", "latest", "1.36.x", "1.36.4-1.1", "1.36.4.1", ">=1.36"])
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    with saying("SET005 1.36"):
        parse_desired(text)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_release_fits_itself_and_its_minor_and_no_other(
    major: int, minor: int, patch: int
) -> None:
    release = Release(major, minor, patch)
    assert parse_package(f"{release}-1.1") == release
    assert parse_desired(str(release)).fits(release)
    assert DesiredVersion(major, minor).fits(release)
    assert not DesiredVersion(major, minor + 1).fits(release)
    assert not DesiredVersion(major, minor, patch + 1).fits(release)


def test_versions_are_numbers_and_not_words() -> None:
    there = ["1.36.10-1.1", "1.36.9-1.1", "1.36.2-2.1", "1.35.12-1.1"]
    assert newest(parse_desired("1.36"), there[::-1]) == "1.36.10-1.1"
    assert newest(parse_desired("1.35"), there) == "1.35.12-1.1"


def test_of_two_builds_the_one_that_apt_names_first_is_taken() -> None:
    assert newest(parse_desired("1.36.2"), ["1.36.2-2.1", "1.36.2-1.1"]) == "1.36.2-2.1"


def test_what_is_not_there_is_none() -> None:
    assert newest(parse_desired("1.36.9"), ["1.36.4-1.1", "nonsense"]) is None
    assert newest(parse_desired("1.36"), []) is None


@pytest.mark.parametrize(
    ("wanted", "there", "older"),
    [
        ("1.36", "1.37.0-1.1", True),
        ("1.36", "1.36.4-1.1", False),
        ("1.36", "1.35.9-1.1", False),
        ("1.36.3", "1.36.4-1.1", True),
        ("1.36.4", "1.36.3-1.1", False),
    ],
)
def test_a_step_back_is_known(wanted: str, there: str, older: bool) -> None:
    release = parse_package(there)
    assert release is not None
    assert parse_desired(wanted).is_older_than(release) is older


@pytest.mark.parametrize("version", ["", "1.36", "kubelet", "1:1.36.4"])
def test_a_package_version_has_three_numbers(version: str) -> None:
    assert parse_package(version) == (Release(1, 36, 4) if version.startswith("1:") else None)


@pytest.mark.parametrize("text", ["v1.36.4", "v1.36.4+stand-in", "v1.36.4-rc.1"])
def test_what_a_part_reports_is_read(text: str) -> None:
    assert parse_reported(text) == Release(1, 36, 4)


@pytest.mark.parametrize("text", ["", "1.36.4", "v1.36", "3.6.8-0"])
def test_a_report_that_is_none_is_refused(text: str) -> None:
    with saying("FMT001"):
        parse_reported(text)


def test_the_way_to_a_later_release_has_every_minor() -> None:
    assert Release(1, 36, 4).minors_to(Release(1, 38, 0)) == ["1.36", "1.37", "1.38"]
    assert Release(1, 36, 4).minors_to(Release(1, 36, 9)) == ["1.36"]
