# SPDX-License-Identifier: Apache-2.0
"""What holds of all our data, whatever room it is of."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

import unterbau
from unterbau.verdict import Model

SERVICES = "unterbau.reference.runtime"
"""Loaded by the services, in an environment of theirs."""


def _all(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """What is derived from a class in the rooms that are loaded."""
    for one in base.__subclasses__():
        if one.__module__.startswith("unterbau."):
            yield one
        yield from _all(one)


def _models() -> list[type[BaseModel]]:
    """Of every room, whatever other tests load."""
    for module in pkgutil.walk_packages(unterbau.__path__, "unterbau."):
        if not module.name.startswith(SERVICES) and not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    return sorted(set(_all(Model)), key=repr)


@pytest.mark.parametrize("model", _models(), ids=lambda m: m.__qualname__)
def test_what_a_field_is_when_nothing_is_told_is_what_it_may_be(model: type[BaseModel]) -> None:
    """Defaults are not validated when an object is made: one of another type would show itself only where it is used."""
    for field in model.model_fields.values():
        if not field.is_required():
            default = field.get_default(call_default_factory=True, validated_data={})
            may_be: Any = field.annotation
            TypeAdapter(may_be).validate_python(default, strict=True)
