# SPDX-License-Identifier: Apache-2.0
"""Version ranges: what people really write, and laws over generated versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unterbau.catalogue.versions import exhaustive, parse, parse_range, within
from unterbau.errors import UsageError


@pytest.mark.parametrize(
    ("version", "limits", "inside"),
    [
        ("7.2.5", "<=7.2", True),
        ("7.2.5", "<7.4", True),
        ("7", "<7.4", None),
        ("5:7.0.15-1~deb12u1", "<7.4", True),
        ("1!2.0.post1", ">=2", True),
        ("7.4.0-rc1", "<7.4", False),
        ("7.4.0rc1", ">=7.4", True),
        ("v8.0.1-alpine", ">=8", True),
        ("latest", "<7", None),
        (None, "<7", None),
        (None, "*", True),
        ("7.4", ">=7.4.0", True),
        ("7.4", "7.4.2", None),
        ("7.5", "7.4.2", False),
        ("7", "!=8", True),
        ("1.6.0-rc1", ">=1.6.0-rc1", True),
        ("1.6.0-beta1", ">=1.6.0-rc1", False),
        ("RELEASE.2024-05-10T01-41-38Z", ">=2021.05", True),
        ("2025.1", ">=2024.1,<2025.2", True),
        ("9f3c2ab", "<7", None),
        ("1.33.1+k3s1", ">=1.33,<1.34", True),
        ("8.4.3-r0", "7 || >=8.4", True),
    ],
)
def test_what_people_write(version: str | None, limits: str, inside: bool | None) -> None:
    assert within(version, limits) is inside


@pytest.mark.parametrize("text", ["", "<", "<<7", "7 8", "latest", ">=7,"])
def test_a_wrong_range_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="version range"):
        parse_range(text)


numbers = st.lists(st.integers(0, 50), min_size=1, max_size=4).map(lambda ns: ".".join(map(str, ns)))


@pytest.mark.thorough
@given(numbers, numbers)
def test_below_and_from_are_opposites(version: str, bound: str) -> None:
    below, above = within(version, f"<{bound}"), within(version, f">={bound}")
    assert (below, above) in [(True, False), (False, True), (None, None)]
    assert within(version, f"<={bound}") in (None, not within(version, f">{bound}"))


@pytest.mark.thorough
@given(numbers, numbers, st.integers(0, 50))
def test_a_more_precise_version_never_contradicts(version: str, bound: str, more: int) -> None:
    for operator in ("<", "<=", ">", ">=", "=", "!="):
        rough, fine = within(version, operator + bound), within(f"{version}.{more}", operator + bound)
        assert rough is None or rough == fine


@pytest.mark.thorough
@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    parse(text)


def test_what_covers_everything() -> None:
    assert exhaustive(["<7.4", ">=7.4,<8", ">=8"])
    assert not exhaustive(["<7.4", ">=8"])
    assert not exhaustive(["<7.4", ">=7.4,<8"])
