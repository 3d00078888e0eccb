# SPDX-License-Identifier: Apache-2.0
"""YAML that is nested to no end is bad input like any other, wherever a person may hand it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from unterbau import catalogue
from unterbau.cloud import openstack
from unterbau.errors import ConfigError, PlanError, UsageError
from unterbau.judge import rules
from unterbau.switch import planning

DEEP = ["[" * 20_000, "a: " + "{a: " * 10_000, "- " * 10_000 + "x"]


@pytest.mark.parametrize("text", DEEP, ids=["sequences", "mappings", "blocks"])
def test_it_is_refused_and_nothing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text(text)
    with pytest.raises(PlanError):
        planning.load(text)
    with pytest.raises(UsageError):
        catalogue.load([file])
    with pytest.raises(UsageError):
        rules.load((str(file),))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    with pytest.raises(ConfigError):
        openstack.connect("any")
