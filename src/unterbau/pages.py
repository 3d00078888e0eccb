# SPDX-License-Identifier: Apache-2.0
"""How HTML pages are made from the templates of a package: everything escaped, nothing undefined. Each verb's report calls it.

The one place that opens a template engine, so that no page can be made without escaping. A page is in both languages,
and its style sheet shows one (`input.lang`). It knows no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unterbau.face import printable
from unterbau.verdict import Words, words

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def environment(package: str) -> Environment:
    """For the folder `templates` of that package; `printable` is a filter for what comes from clouds and files.

    `t(de, en)` is a text and `said(reason)` a reason in both languages.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # what makes no page need not wait for it

    made = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["printable"] = lambda text: printable(str(text))
    made.globals["t"] = both
    made.globals["said"] = said
    return made


def both(de: str, en: str) -> Markup:
    """A text in both languages; the style sheet shows one."""
    from markupsafe import Markup, escape

    de, en = printable(de), printable(en)
    if de == en:
        return escape(en)
    return Markup('<span lang="de">{}</span><span lang="en">{}</span>').format(de, en)


def said(told: Words) -> Markup:
    """A reason in both languages; what others said, as they said it."""
    return both(words(told, "de"), words(told, "en"))
