# SPDX-License-Identifier: Apache-2.0
"""How HTML pages are made from the templates of a package: everything escaped, nothing undefined. Each verb's report calls it.

The one place that opens a template engine, so that no page can be made without escaping. It knows no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unterbau.face import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(package: str) -> Environment:
    """For the folder `templates` of that package; `printable` is a filter for what comes from clouds and files."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # what makes no page need not wait for it

    made = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["printable"] = lambda text: printable(str(text))
    return made
