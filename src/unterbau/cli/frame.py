# SPDX-License-Identifier: Apache-2.0
"""What every command of `unterbau` has in common: options, the face, exit codes in the help, stopping.

The modules of this package use it; it knows no verb. It loads nothing but click: what a command works with is loaded when
the command runs, so that `--help` and `--version` cost next to nothing.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unterbau.defaults import BOUND, LATE_SECONDS, PROBE_WAIT
from unterbau.errors import Exit, UnterbauError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from unterbau.cloud.bounds import Bounds
    from unterbau.verdict.assessment import Document

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


class Context:
    """What every command has: the format of its result, its face, and whether it should stop."""

    def __init__(self, format_: str, quiet: bool, verbose: bool) -> None:
        from unterbau.face import Face

        self.json = format_ == "json"
        self.face = Face(quiet=quiet, verbose=verbose)
        self.stop = threading.Event()

    def show(self, rendered: Callable[[], None], data: BaseModel | Any) -> None:
        """Print the result: as JSON if asked for, else rendered for people."""
        if not self.json:
            rendered()
            return
        from pydantic import BaseModel

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
        def wrapped(
            format_: str, quiet: bool, verbose: bool, bounds: str | None = None, bwlimit: str | None = None,
            tpslimit: float | None = None, **arguments: Any,
        ) -> Any:  # fmt: skip
            from unterbau.cli.libraries import Libraries
            from unterbau.cloud.waiting import heeding

            kept = _bounds(bounds, bwlimit, tpslimit)
            context = Context(format_, quiet, verbose)
            with (
                context.face,
                Libraries(context.face).listening(),
                stopping(context.stop),
                heeding(context.stop, context.face.say, kept),
            ):
                return function(context, **arguments)

        return group.command(name, epilog=EXITS, **settings)(wrapped)

    return decorate


class Verbs(click.Group):
    """A group before whose verb the options may stand that every verb takes: they are the verb's."""

    default = ""
    """The verb that is meant where none is named; empty: none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, with the common options moved behind the verb."""
        common, rest = _leading(args)
        if self.default and (not rest or (rest[0] not in self.commands and rest[0] not in ("-h", "--help"))):
            rest.insert(0, self.default)
        if rest and not rest[0].startswith("-"):
            rest[1:1] = common
        if not rest and asks_for_json(common):
            raise click.UsageError("no command is named", ctx)  # the help, which click gives, is no JSON
        return super().parse_args(ctx, rest)


def _leading(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The common options at the beginning, and what follows them."""
    end = 0
    while end < len(args) and args[end].partition("=")[0] in ("--format", "-q", "--quiet", "-v", "--verbose"):
        end += 2 if args[end] == "--format" else 1
    return list(args[:end]), list(args[end:])


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line wants JSON, wherever the option stands: for errors of the command line itself, too."""
    before = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    told = "text"
    for word, following in pairwise([*before, ""]):
        if word == "--format" or word.startswith("--format="):
            told = following if word == "--format" else word.removeprefix("--format=")
    return told == "json"


def complain(error: UnterbauError) -> None:
    """An error for people, on standard error: what, and what to do."""
    from unterbau.face import first, printable

    lines = [printable(line) for line in error.what.splitlines()]
    click.echo("unterbau: " + "\n".join(lines), err=True)
    for line in first(error.things):
        click.echo(f"  {printable(line)}", err=True)
    if error.remedy:
        click.echo(f"  {printable(error.remedy)}", err=True)


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
        click.echo("\nstopping; what is under way has a second to end; once more to stop at once", err=True)

    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _bounds(told: str | None, bwlimit: str | None, tpslimit: float | None) -> Bounds | None:
    """The bounds as read; who is started by this process keeps them, too. Raises UsageError."""
    if told is None and bwlimit is None and tpslimit is None:
        return None
    from unterbau.cloud.bounds import bandwidth, read

    parts = (told, bwlimit and bandwidth(bwlimit), None if tpslimit is None else f"requests={tpslimit}")
    text = ",".join(part for part in parts if part)
    found = read(text)
    os.environ[BOUNDS] = text
    return found


BOUNDS = "UNTERBAU_BOUNDS"


def bounded(function: F) -> F:
    """A command that speaks to clouds: how long they may take, and how fast we may go."""
    options = (
        click.option(
            "--bounds", envvar=BOUNDS, metavar="NAME=NUMBER,...",
            help="How long a cloud may take for a request, and how much it may answer: "
                 f"{', '.join(BOUND)} (docs/bad-days.md).",
        ),
        click.option("--bwlimit", metavar="RATE", help="At most so many KiB a second to and from each cloud; 10M, UP:DOWN, off."),
        click.option("--tpslimit", metavar="NUMBER", type=click.FloatRange(0, 1e6), help="At most so many requests a second to each cloud; 0: no limit."),
    )  # fmt: skip
    return functools.reduce(lambda made, option: option(made), reversed(options), function)


late_writes = click.option(
    "--late-writes", "late_seconds", type=click.FloatRange(0, 86400), default=LATE_SECONDS, show_default=True,
    metavar="SECONDS",
    help="How long a cloud may still finish a write that it did not answer: the end waits so long after the last of them.",
)  # fmt: skip
"""Of every command that writes in a cloud."""


probe_wait = click.option(
    "--probe-wait", "probe_wait", type=click.FloatRange(0, 86400), default=PROBE_WAIT, show_default=True,
    metavar="SECONDS", help="How long the target's application may take until it answers as the source's did.",
)  # fmt: skip
"""Of every command that asks both sides."""


class Exports:
    """Where a command writes what it found for other tools: a path for each form, if it was asked for."""

    def __init__(self, paths: Mapping[str, Path | None]) -> None:
        self._paths = {form: path for form, path in paths.items() if path is not None}

    def write(self, document: Callable[[], Document]) -> None:
        """Write what was asked for."""
        if not self._paths:
            return
        from unterbau import files
        from unterbau.verdict.exports import FORMS

        made = document()
        for form, path in self._paths.items():
            files.write(path, FORMS[form](made), mode=0o644)


def exports(function: F) -> F:
    """`--junit`, `--sarif`, `--oscal`: the command gets `exports`, an `Exports`."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, exports=Exports({form: options.pop(form) for form in _EXPORTED}), **options)

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
