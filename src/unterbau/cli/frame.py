# SPDX-License-Identifier: Apache-2.0
"""What every command of `unterbau` has in common: options, the face, exit codes in the help, stopping.

The modules of this package use it; it knows no verb.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from unterbau import files
from unterbau.cloud import bounds as limits
from unterbau.cloud.bounds import Bounds
from unterbau.cloud.waiting import heeding
from unterbau.errors import Exit
from unterbau.face import Face
from unterbau.saga import LATE_SECONDS
from unterbau.verdict.assessment import Document
from unterbau.verdict.exports import FORMS

OUT = click.Path(path_type=Path, dir_okay=False)
F = TypeVar("F", bound=Callable[..., Any])

EXITS = """\b
Exit codes:
  0  everything held
  1  something failed
  2  wrong usage or bad input
  3  nothing failed, but something was not shown
  4  a cloud could not be reached or refused us
  5  interrupted; the same command resumes"""


class Libraries(logging.Handler):
    """Takes what libraries would print on the terminal, and what we asked a cloud again: counted, and told once.

    With --verbose line by line.
    """

    def __init__(self, face: Face) -> None:
        super().__init__(logging.WARNING)
        self._face, self._counts = face, Counter[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler`; never raises."""
        name = record.name.partition(".")[0]
        self._counts["python" if name == "py" else name] += 1
        with suppress(TypeError, ValueError):  # arguments that do not fit the text are the library's own fault
            self._face.detail(f"{record.name}: {record.getMessage()}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """As long as a command runs, also for warnings of Python."""
        root = logging.getLogger()
        root.addHandler(self)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.removeHandler(self)
            again = self._counts.pop("unterbau", 0)
            if again:
                self._face.say(f"asked again after no answer or a fault: {again} (-v shows it)")
            if self._counts:
                told = ", ".join(f"{name} {count}" for name, count in sorted(self._counts.items()))
                self._face.say(
                    f"libraries warned of what they then mended themselves, or we report: {told} (-v shows it)"
                )


class Context:
    """What every command has: the format of its result, its face, and whether it should stop."""

    def __init__(self, format_: str, quiet: bool, verbose: bool) -> None:
        self.json = format_ == "json"
        self.face = Face(quiet=quiet, verbose=verbose)
        self.stop = threading.Event()

    def show(self, rendered: Callable[[], None], data: BaseModel | Any) -> None:
        """Print the result: as JSON if asked for, else rendered for people."""
        if not self.json:
            rendered()
            return
        model = isinstance(data, BaseModel)
        click.echo(data.model_dump_json(indent=2) if model else json.dumps(data, indent=2, default=str))


def command(group: click.Group, name: str, **settings: Any) -> Callable[[F], click.Command]:
    """A command of a group with the options that every command takes, and the exit codes in its help."""

    def decorate(function: F) -> click.Command:
        @click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text",
                      show_default=True, help="Text for people, JSON by the published schema for machines.")  # fmt: skip
        @click.option("-q", "--quiet", is_flag=True, help="No progress; results and errors only.")
        @click.option("-v", "--verbose", is_flag=True, help="Say more while working.")
        @functools.wraps(function)
        def wrapped(format_: str, quiet: bool, verbose: bool, bounds: Bounds | None = None, **arguments: Any) -> Any:
            context = Context(format_, quiet, verbose)
            with (
                context.face,
                Libraries(context.face).listening(),
                stopping(context.stop),
                heeding(context.stop, context.face.say, bounds),
            ):
                return function(context, **arguments)

        return group.command(name, epilog=EXITS, **settings)(wrapped)

    return decorate


def tell_left_out(context: Context, fields: Sequence[str]) -> None:
    """Say which fields of a bundle this version could not read."""
    if fields:
        context.face.say(
            f"not shown: fields of a newer version, which this one does not know: {', '.join(fields[:20])}"
        )


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask to stop; a second one ends at once (nothing is lost: the journal is durable)."""

    def handler(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(Exit.INTERRUPTED)
        stop.set()
        click.echo("\nstopping after the steps under way; once more to stop at once", err=True)

    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _bounds(context: click.Context, option: click.Parameter, told: str | None) -> Bounds | None:
    """The bounds as read; who is started by this process keeps them, too."""
    if told is None:
        return None
    read = limits.read(told)
    os.environ[BOUNDS] = told
    return read


BOUNDS = "UNTERBAU_BOUNDS"
bounded = click.option(
    "--bounds", callback=_bounds, envvar=BOUNDS, metavar="NAME=NUMBER,...",
    help="How long a cloud may take for a request, and how much it may answer (docs/bad-days.md): "
    + ", ".join(f"{name}={field.default:g}" for name, field in Bounds.model_fields.items()) + ".",
)  # fmt: skip
late_writes = click.option(
    "--late-writes", "late_seconds", type=click.FloatRange(0, 86400), default=LATE_SECONDS, show_default=True,
    metavar="SECONDS",
    help="How long a cloud may still finish a write that it did not answer: the end waits so long after the last of them.",
)  # fmt: skip
"""Of every command that writes in a cloud."""


class Exports:
    """Where a command writes what it found for other tools: a path for each of `FORMS`, if it was asked for."""

    def __init__(self, paths: Mapping[str, Path | None]) -> None:
        self._paths = {form: path for form, path in paths.items() if path is not None}

    def write(self, document: Callable[[], Document]) -> None:
        """Write what was asked for."""
        made = document() if self._paths else None
        for form, path in self._paths.items():
            if made is not None:
                files.write(path, FORMS[form](made), mode=0o644)


def exports(function: F) -> F:
    """`--junit`, `--sarif`, `--oscal`: the command gets `exports`, an `Exports`."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, exports=Exports({form: options.pop(form) for form in FORMS}), **options)

    told: Any = wrapped
    for form, what in reversed(_EXPORTED.items()):
        told = click.option(f"--{form}", type=OUT, help=f"Also write {what}.")(told)
    decorated: F = told
    return decorated


_EXPORTED = {"junit": "JUnit XML", "sarif": "SARIF 2.1.0", "oscal": "OSCAL assessment results"}


class Day(click.ParamType):  # type: ignore[type-arg]  # a generic since click 8.4 only
    """A day, ISO 8601."""

    name = "date"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """`2027-05-31`."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write e.g. 2027-05-31", param, ctx)
