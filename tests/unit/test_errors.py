# SPDX-License-Identifier: Apache-2.0
"""The tree of errors, its drawing and the documented exit codes agree."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from unterbau import errors

DOCS = Path(__file__).parents[2] / "docs" / "exit-codes.md"
CLASSES = {
    name: cls for name, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.UnterbauError)
}


def test_the_drawing_shows_every_error_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d)", errors.__doc__ or ""))
    assert drawn == {name: str(int(c.exit)) for name, c in CLASSES.items() if name != "UnterbauError"}


def test_the_page_names_every_error_beside_its_code() -> None:
    rows = re.findall(r"^\| (\d) \|[^|]*\|([^|]*)\|$", DOCS.read_text(), re.M)
    told = {name: code for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {name: str(int(c.exit)) for name, c in CLASSES.items() if name != "UnterbauError"}


def test_an_error_says_what_and_what_to_do() -> None:
    error = errors.Unreachable("no answer", "check the network")
    assert (str(error), error.remedy, error.kind) == ("no answer", "check the network", "Unreachable")
    assert error.transient and not errors.Forbidden("no").transient
