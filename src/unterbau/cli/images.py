# SPDX-License-Identifier: Apache-2.0
"""`images`: what the options of `unterbau.cli.verbs` do."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml

from unterbau import nesting, wiring
from unterbau.cli.frame import Context
from unterbau.errors import Exit, UsageError
from unterbau.images import adding, model, words
from unterbau.verdict import Outcome


def _catalogue(own: Path | None) -> model.Catalogue:
    """The catalogue that comes with the program, or a person's. Raises UsageError."""
    try:
        text = own.read_bytes() if own else resources.files(model.__package__).joinpath("catalogue.yaml").read_bytes()
        nesting.measure(text, nesting.VALUES)
        plain = yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise UsageError(f"{own}: {error.strerror}", "Name a catalogue of images.") from None
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(
            f"{own}: no YAML: {' '.join(str(error).split())[:200]}", "docs/images.md shows a catalogue."
        ) from None
    return model.read(plain, str(own or "the catalogue of images"))


def list_(context: Context, cloud_name: str, own: Path | None) -> Exit:
    """Entries, and what the cloud has."""
    catalogue = _catalogue(own)
    told = adding.seen(wiring.image_tools(cloud_name, context.face, context.stop), catalogue)
    context.show(lambda: words.images(told), told)
    return Exit.HELD


def add(context: Context, cloud_name: str, name: str, visibility: str, own: Path | None, late_seconds: float) -> Exit:
    """One entry."""
    entry = _catalogue(own).entry(name)
    tools = wiring.image_tools(cloud_name, context.face, context.stop, late_seconds)
    return _show(context, model.MadeAll(cloud=cloud_name, images=(adding.add(tools, entry, visibility),)))


def sync(context: Context, cloud_name: str, own: Path | None, late_seconds: float) -> Exit:
    """All that are there."""
    catalogue = _catalogue(own)
    tools = wiring.image_tools(cloud_name, context.face, context.stop, late_seconds)
    return _show(context, model.MadeAll(cloud=cloud_name, images=tuple(adding.sync(tools, catalogue))))


def _show(context: Context, told: model.MadeAll) -> Exit:
    context.show(lambda: words.made(told), told)
    failed = [one.error for one in told.images if one.error is not None]
    if failed:
        return Exit(int(failed[0]["exit"]))
    return Exit.HELD if all(one.signature is Outcome.HELD for one in told.images) else Exit.NOT_SHOWN
