# SPDX-License-Identifier: Apache-2.0
"""The command `unterbau`: parse, call, render. It decides nothing.

This is the one edge where errors become messages and exit codes (the table in docs/exit-codes.md). Results
go to standard output, progress and errors to standard error; with --format json an error is the result, too.

Each verb loads what it works with when it runs.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unterbau import __version__
from unterbau.cli import verbs
from unterbau.cli.frame import (
    EXITS,
    OUT,
    Context,
    Exports,
    F,
    Verbs,
    asks_for_json,
    bounded,
    command,
    complain,
    exports,
    late_writes,
    probe_wait,
)
from unterbau.errors import Exit, Interrupted, LocalError, UnterbauError, UsageError
from unterbau.schemas import ALL

if TYPE_CHECKING:
    from unterbau.reference import CloudStatus
    from unterbau.switch.close import Closed, Confirm, Question
    from unterbau.switch.drill import Words


RUBBISH = 50_000
"""So many new things are made until it is looked for what none of them needs any more (Python: 700)."""


def plain(status: CloudStatus) -> dict[str, Any]:
    """A cloud's status as plain data."""
    import dataclasses

    return {**dataclasses.asdict(status), "memory_bytes": status.memory_bytes}


def main() -> None:
    """Entry point: run, and turn any error of ours into one message and its exit code.

    A command makes many things that stay, above all while it loads, and then the process ends: so rubbish is looked for
    rarely, and at the end no more, which is a fifth of a short command's time.
    """
    gc.set_threshold(RUBBISH)
    atexit.register(gc.freeze)
    try:
        result = cli.main(standalone_mode=False, prog_name="unterbau")
        code = int(result) if isinstance(result, int) else Exit.HELD
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.ClickException as error:
        code = misused(error)
    except (click.Abort, KeyboardInterrupt):
        code = tell(Interrupted("stopped before anything was under way", "Run the same command again."))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.HELD
    except UnterbauError as error:
        code = tell(error)
    except OSError as error:
        code = tell(
            LocalError(f"{error.filename or 'this machine'}: {error.strerror or error}", "Mend it and run again.")
        )
    sys.exit(int(code))


def tell(error: UnterbauError) -> Exit:
    """One message for people: what, and what to do. Where the result would have been JSON, the error is one, too."""
    _result(error.told())
    complain(error)
    return error.exit


def misused(error: click.ClickException) -> Exit:
    """What click says of a wrong command line, in the same two forms."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command_ = context.command_path if context is not None else "unterbau"
    _result(UsageError(error.format_message(), f"{command_} --help").told())
    error.show()
    return Exit.USAGE


def _result(told: dict[str, object]) -> None:
    if asks_for_json(sys.argv[1:]):
        click.echo(json.dumps(told, indent=2))


@click.group(
    cls=Verbs, epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="unterbau")
def cli() -> None:
    """The foundation as software you can stand up, judge, prove, and leave.

    Which clouds there are: those of your clouds.yaml, and those that `unterbau cloud up` made.
    """


# --- cloud -------------------------------------------------------------------------------------------------


@cli.group(cls=Verbs)
def cloud() -> None:
    """A real OpenStack cloud on this machine, without containers and without root."""


@command(cloud, "up")
@click.argument("name")
@click.option("--force-upload", is_flag=True,
              help="Let tenants upload attached volumes to images (cinder's enable_force_upload).")  # fmt: skip
@click.option(
    "--with",
    "with_",
    metavar="PARTS",
    help="guests,ovn: servers that run, and networks that carry packets. Needs Debian packages, and user namespaces "
    "or root; decided when the cloud is made.",
)
@click.option("--install", "install_packages", is_flag=True, help="Install the Debian packages that --with needs.")  # fmt: skip
@click.option("--image", type=click.Choice(["debian"]),
              help="Have this image, too: made by debootstrap, once (some minutes). Needs guests.")  # fmt: skip
def cloud_up(
    context: Context, name: str, force_upload: bool, with_: str | None, install_packages: bool, image: str | None
) -> None:
    """Bring up the cloud NAME; make it first if there is none. Does nothing if it runs."""
    from unterbau import reference

    parts = None if with_ is None else tuple(with_.split(","))
    status = reference.up(
        name, progress=context.face.say, force_upload=force_upload, with_=parts, install_packages=install_packages,
        debian=image == "debian",
    )  # fmt: skip
    context.show(lambda: context.face.say(f"unterbau cloud env {name}   shows how to reach it"), plain(status))


@command(cloud, "down")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def cloud_down(context: Context, names: tuple[str, ...]) -> None:
    """Stop clouds. Their state stays; `up` brings them back with their servers as they were."""
    from unterbau import reference

    for name in names:
        reference.down(name)
        context.face.say(f"cloud {name} is down")
    context.show(lambda: None, {"down": names})


@command(cloud, "status")
@click.argument("name", required=False)
def cloud_status(context: Context, name: str | None) -> Exit:
    """The truth about each service of NAME, or of all clouds: asked of processes and ports."""
    from unterbau import reference
    from unterbau.reference import words

    found = [reference.status(name)] if name else reference.names()
    context.show(lambda: words.cloud_services(found), [plain(s) for s in found])
    return Exit.HELD if all(s.state in ("running", "stopped") for s in found) else Exit.FAILED


@command(cloud, "list")
def cloud_list(context: Context) -> None:
    """The clouds of this machine."""
    from unterbau import reference
    from unterbau.reference import words

    found = reference.names()
    context.show(lambda: words.clouds(found), [plain(s) for s in found])


@command(cloud, "env")
@click.argument("name")
@click.option("--identity", help="NAME (default), NAME-reader or NAME-admin.")
def cloud_env(context: Context, name: str, identity: str | None) -> None:
    """Print what `openstack`, `rclone` and an S3 client need (it holds passwords): `eval "$(...)"`."""
    from unterbau import reference

    lines = reference.env(name, identity)
    context.show(lambda: click.echo(lines.rstrip("\n")), {"shell": lines})


@command(cloud, "enter", context_settings={"allow_interspersed_args": False})
@click.argument("name")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...", type=click.UNPROCESSED)
def cloud_enter(context: Context, name: str, words: tuple[str, ...]) -> None:
    """Run COMMAND where the floating IPs of NAME answer: enter NAME curl http://ADDRESS/

    A cloud that was made without root has them in a network of its own; else this machine reaches them, and so does COMMAND.
    """
    from unterbau import reference

    reference.enter(name, words[words[0] == "--" :])


@command(cloud, "logs")
@click.argument("name")
@click.argument("service", required=False)
@click.option("-n", "--lines", type=click.IntRange(1), default=50, show_default=True, help="How many last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
def cloud_logs(context: Context, name: str, service: str | None, lines: int, follow: bool) -> None:
    """The last lines of the logs of NAME, or of one service."""
    from unterbau import reference
    from unterbau.face import printable

    for line in reference.logs(name, service, lines=lines, follow=follow):
        if context.stop.is_set():
            return
        click.echo(json.dumps({"line": line}) if context.json else printable(line))


@command(cloud, "wipe")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def cloud_wipe(context: Context, name: str, yes: bool) -> None:
    """Remove the cloud NAME with everything in it. Stops it first."""
    from unterbau import reference

    reference.status(name)
    if not yes and click.prompt("Type the cloud's name to remove it with all its state", err=True) != name:
        raise UsageError("the name does not match; nothing was removed")
    reference.wipe(name)
    context.face.say(f"cloud {name} is gone")
    context.show(lambda: None, {"wiped": name})


@command(cloud, "seed")
@click.argument("name")
@click.option("--tenant", type=click.Choice(["fachverfahren"]), default="fachverfahren", show_default=True)
@click.option("--seed", "number", type=int, default=1, show_default=True, help="Same number, same content.")
def cloud_seed(context: Context, name: str, tenant: str, number: int) -> None:
    """Plant a small but honest administration workload in NAME, with tenant rights alone."""
    from unterbau import wiring

    planted = wiring.plant(name, number, context.face)
    context.show(lambda: context.face.say(f"{tenant} stands in {name}: {len(planted.refs)} things"), planted)


# --- the main job ------------------------------------------------------------------------------------------


def map_option(function: F) -> F:
    """`--map`."""
    return click.option("--map", "choices", multiple=True, metavar="KIND:NAME=NAME",
                        help="Choose where names do not decide: external:SOURCE=TARGET for an external network.")(function)  # fmt: skip


def allow_option(function: F) -> F:
    """`--allow-opening`."""
    return click.option("--allow-opening", "allowed", multiple=True, metavar="ID",
                        help="Let something be open that was closed; the plan names each with its id.")(function)  # fmt: skip


def probe_options(function: F) -> F:
    """`--probe`, `--probes`: the command gets `looking` and `probes_file`."""
    looked = click.option(
        "--probe",
        "looking",
        is_flag=True,
        help="Connect to what SOURCE opens to the world, a few times a second, and plan to ask what answers.",
    )
    return click.option("--probes", "probes_file", type=click.Path(path_type=Path, dir_okay=False),
                        help="Also ask what this file says (docs/probes.md).")(looked(function))  # fmt: skip


def _decided(
    choices: tuple[str, ...], allowed: tuple[str, ...], headers: bool, limit_seconds: float | None, looking: bool,
    probes_file: Path | None, helper_file: Path | None = None,
) -> Words:  # fmt: skip
    """What the command line decides. Raises UsageError for a file that is none of probes, or of helpers."""
    from unterbau.switch import answered
    from unterbau.switch.drill import Words

    probes = answered.read_probes(probes_file) if probes_file else ()
    helper = answered.read_helper(helper_file) if helper_file else None
    return Words(choices, allowed, headers, limit_seconds, probes, str(probes_file or ""), helper, looking)


def headers_option(function: F) -> F:
    """`--headers`."""
    return click.option("--headers", is_flag=True,
                        help="Read the headers of every object, also of more than 100: a request for each.")(function)  # fmt: skip


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""Of a duration on the command line, in seconds."""


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds of `45s`, `90m`, `12h`, `30d`."""
    if value is None:
        return None
    number, unit = value[:-1], value[-1:]
    if unit not in UNITS or not (number.isascii() and number.isdecimal()) or not int(number):
        raise click.BadParameter(f"{value!r} is no duration; write a whole number and s, m, h or d, such as 30d")
    return float(int(number) * UNITS[unit])


def limit_option(function: F) -> F:
    """`--limit`."""
    return click.option("--limit", "limit_seconds", callback=_duration, metavar="DURATION",
                        help="How long move and verification may take (30d, 12h, 90m): compared with what is predicted.")(function)  # fmt: skip


@command(cli, "census")
@bounded
@click.argument("cloud_name", metavar="CLOUD")
@headers_option
@click.option(
    "--objects", "objects_file", type=OUT, help="Write the objects of crowded containers to this file, a line each."
)
def census_(context: Context, cloud_name: str, headers: bool, objects_file: Path | None) -> Exit:
    """Read everything that the project owns in CLOUD, read-only. What cannot be read is named."""
    from unterbau import files, wiring
    from unterbau.switch import census
    from unterbau.switch.report import terminal

    cloud = wiring.open_cloud(cloud_name)
    with files.passing("census") as passing:
        place = objects_file or passing / "listed.jsonl"
        taken = census.take(cloud, now=wiring.now, progress=context.face.count, brief=not headers, place=place)
    context.show(lambda: terminal.census(taken), taken)
    return Exit.NOT_SHOWN if taken.not_shown else Exit.HELD


@command(cli, "plan")
@bounded
@click.argument("source")
@click.argument("target")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the plan to this file.")
@map_option
@allow_option
@headers_option
@limit_option
@probe_options
@click.option(
    "--helper",
    "helper_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Let --cut-over carry only changed blocks of volumes, by a guest on each side that this file names (docs/move.md).",
)
def plan_(
    context: Context, source: str, target: str, output: Path | None, choices: tuple[str, ...],
    allowed: tuple[str, ...], headers: bool, limit_seconds: float | None, looking: bool, probes_file: Path | None,
    helper_file: Path | None,
) -> Exit:  # fmt: skip
    """Choose a fate for every object of SOURCE on TARGET, before anything is written."""
    from unterbau import files, wiring
    from unterbau.switch import drill as drills
    from unterbau.switch.report import terminal
    from unterbau.verdict import Outcome, exit_code

    decided = _decided(choices, allowed, headers, limit_seconds, looking, probes_file, helper_file)
    tools = wiring.tools(context.face, context.stop)
    folder = drills.start(source, target, keep=True, tools=tools)
    with folder.locked():
        work = drills.Drill(folder, tools)
        work.begin_again()
        if not drills.is_begun(folder):
            folder.plan.unlink(missing_ok=True)
        work.census(decided)
        made = work.plan(decided)
    if output is not None:
        files.write(output, folder.plan.read_bytes(), mode=0o644)
    context.show(lambda: terminal.plan(made), made)
    context.face.say(f"the plan: {output or folder.plan}")
    outcomes = [c.outcome for c in made.checks] + [Outcome.NOT_SHOWN for e in made.entries if not e.fate.moves]
    return exit_code(outcomes)


@command(cli, "move")
@bounded
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option(
    "--pre-copy",
    "cut",
    flag_value="pre-copy",
    help="Copy what wants no stopped source, and no more: neither disks nor servers.",
)
@click.option(
    "--cut-over",
    "cut",
    flag_value="cut-over",
    help="Stop the servers of the source, carry what changed since, then disks and servers.",
)
@allow_option
@probe_wait
@late_writes
def move_(
    context: Context, plan_file: Path, cut: str | None, allowed: tuple[str, ...], probe_wait: float, late_seconds: float
) -> Exit:  # fmt: skip
    """Create on the target what PLAN says. Killed or stopped at any moment, the same command finishes it."""
    from unterbau import wiring
    from unterbau.switch import drill as drills
    from unterbau.switch import folders
    from unterbau.switch.report import terminal

    plan = drills.read_plan(plan_file)
    folder = folders.folder(plan.run)
    folder.load()
    tools = wiring.tools(context.face, context.stop, late_seconds, probe_wait)
    work = drills.Drill(folder, tools)
    with folder.locked(), work.alone():
        work.adopt(plan_file)
        result = work.move(
            drills.Words(allowed=allowed), "pre-copy" if cut == "pre-copy" else "cut-over" if cut else ""
        )
    seen = work.outage()
    context.show(lambda: terminal.moved(result, seen), result)
    if cut == "pre-copy" and result.complete:
        context.face.say(f"What is left stops servers of {folder.load().source}: unterbau move {plan_file} --cut-over")
    if allowed:
        context.face.say(f"the plan with what you allowed, for `verify --plan`: {folder.plan}")
    if result.complete:
        return Exit.NOT_SHOWN if result.swept.named else Exit.HELD
    return Exit.FAILED


@command(cli, "verify")
@bounded
@click.argument("source")
@click.argument("target")
@click.option(
    "--plan", "plan_file", type=click.Path(path_type=Path), help="Accept the differences that this plan declares."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write all verdicts to this file (JSON).")
@click.option("--drill", "of", type=click.Path(path_type=Path, file_okay=False), hidden=True)
@click.option("--all", "everything", is_flag=True, help="Show what held, too.")
@click.option(
    "--answers",
    "answers_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What SOURCE answered to the plan's probes before it stopped (`unterbau probe -o`).",
)
@probe_wait
@exports
@late_writes
def verify_(
    context: Context, source: str, target: str, plan_file: Path | None, output: Path | None, of: Path | None,
    everything: bool, answers_file: Path | None, probe_wait: float, exports: Exports, late_seconds: float,
) -> Exit:  # fmt: skip
    """Compare SOURCE and TARGET by our own enumeration and hashes, whoever moved the tenant.

    Reader rights show structure, images and objects; volumes and secrets need the role member.
    """
    from unterbau import files, wiring
    from unterbau.switch import answered, child, folders, verify
    from unterbau.switch import drill as drills
    from unterbau.switch.probes.running import of_both
    from unterbau.switch.report import terminal, told
    from unterbau.verdict import exit_code

    plan = drills.read_plan(plan_file) if plan_file else None
    recorded = answered.read_answers(answers_file) if answers_file else None
    left, right = wiring.open_cloud(source), wiring.open_cloud(target)
    face = context.face
    if recorded is not None:
        answered.demand_of(recorded, left.identity(), str(answers_file))
    asked = of_both(wiring.prober(context.stop), recorded.answers if recorded else None, probe_wait, face.count)
    watch = drills.Stopwatch()
    with child.bound(of, context.stop, face.say):
        seen = verify.look(
            left, right, plan, work=folders.verifications(), now=wiring.now, stop=context.stop, count=face.count,
            passed=face.bytes, late_seconds=late_seconds, say=face.say, asked=asked, place=output, spent=watch.note,
        )  # fmt: skip
        if output is not None:
            files.write(output, seen.model_dump_json(indent=1).encode())
        watch.keep(plan, source, target, seen)
    exports.write(lambda: told.document(seen, seen.verdicts))
    for name in seen.left_behind:
        context.face.say(f"left behind, since the cloud would not delete it: {name}; the next verification tries again")
    context.show(lambda: terminal.verdicts(seen.verdicts, plan, everything=everything), seen)
    return exit_code(v.outcome for v in seen.verdicts)


@command(cli, "probe")
@bounded
@click.argument("cloud_name", metavar="CLOUD")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), help="Ask what this plan says.")
@click.option(
    "--probes",
    "probes_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ask what this file says (docs/probes.md).",
)
@click.option("-o", "--output", type=OUT, help="Also write the answers to this file, for `verify --answers`.")
@click.option(
    "--to", "target", metavar="TARGET",
    help="Ask both, five times a second, until TARGET answers as CLOUD did: how long nobody answered.",
)  # fmt: skip
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="With --to: no longer than that."
)
@click.option("--drill", "of", type=click.Path(path_type=Path, file_okay=False), hidden=True)
def probe_(
    context: Context, cloud_name: str, plan_file: Path | None, probes_file: Path | None, output: Path | None, target: str | None,
    seconds: float | None, of: Path | None,
) -> Exit:  # fmt: skip
    """Ask from outside what the application in CLOUD answers, and record it: before a source stops.

    At most four questions a second go to one address (five with --to). Nobody logs in but for a `command` of the file; of what is answered only hashes are kept.
    """
    from unterbau import files, wiring
    from unterbau.switch import answered, child
    from unterbau.switch import drill as drills
    from unterbau.switch.report import terminal
    from unterbau.verdict import exit_code

    if (plan_file is None) == (probes_file is None):
        raise UsageError("say what to ask", "--plan PLAN, or --probes FILE")
    if target is not None:
        if plan_file is None:
            raise UsageError(
                "--to needs the plan: it says what is asked, and what becomes of it on TARGET", "--plan PLAN"
            )
        return _handed_over(context, (cloud_name, target), plan_file, output, seconds, of)
    if seconds is not None:
        raise UsageError("--for says how long both are asked", "Name the other one: --to TARGET.")
    given = answered.read_probes(probes_file) if probes_file else drills.read_plan(plan_file or Path()).probes
    with child.bound(of, context.stop, context.face.say):
        found, outcomes = answered.ask(
            wiring.open_cloud(cloud_name),
            given,
            str(probes_file or plan_file),
            wiring.prober(context.stop),
            context.face,
        )
        if output is not None:
            files.write(output, found.model_dump_json(indent=1).encode())
    context.show(lambda: terminal.answers(found, given), found)
    return exit_code(outcomes)


def _handed_over(
    context: Context,
    names: tuple[str, str],
    plan_file: Path,
    output: Path | None,
    seconds: float | None,
    of: Path | None,
) -> Exit:
    """`probe --to`."""
    from unterbau import files, wiring
    from unterbau.switch import child, handover
    from unterbau.switch import drill as drills
    from unterbau.switch.report import terminal

    plan, source, target = drills.read_plan(plan_file), *map(wiring.open_cloud, names)
    with child.bound(of, context.stop, context.face.say, lock=child.WATCH):
        earlier = handover.read_watched(output) if of is not None and output is not None and output.exists() else None
        found = handover.watch(
            source, target, plan, wiring.prober(context.stop), context.face, seconds=seconds, earlier=earlier,
            keep=lambda seen: files.write(output, seen.model_dump_json(indent=1).encode()) if output else None,
        )  # fmt: skip
    context.show(lambda: terminal.outage(found), found)
    return Exit.HELD if found.seconds() is not None else Exit.NOT_SHOWN


@command(cli, "close")
@bounded
@click.argument("run")
@click.option("--target", "side", flag_value="target", help="Remove what the drill made on the target.")
@click.option("--source", "side", flag_value="source", help="Empty the source after a verified move.")
@click.option("--marks", "side", flag_value="marks", help="Take our marks off what was kept on the target.")
@click.option(
    "--bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The verified bundle (for --source)."
)
@click.option(
    "--accept-loss", "accepted", multiple=True, metavar="ID",
    help="Delete at the source what this loss keeps: its id (REF.FIELD), or KIND.FIELD for all of a kind. Repeatable.",
)  # fmt: skip
@late_writes
def close_(
    context: Context, run: str, side: str | None, bundle: Path | None, accepted: tuple[str, ...], late_seconds: float
) -> Exit:  # fmt: skip
    """Clean up after the drill RUN: its target, or, after a verified move, the source, or our marks."""
    from unterbau import wiring
    from unterbau.switch import drill as drills
    from unterbau.switch import folders
    from unterbau.switch.close import Closed, MarksClosing, SourceClosing, TargetClosing
    from unterbau.switch.report import terminal

    if side is None:
        raise UsageError("say what to close", "--target, --source, or --marks")
    folder = folders.folder(run)
    told = folder.load()
    tools = wiring.tools(context.face, context.stop, late_seconds)
    with folder.locked(), drills.Drill(folder, tools).alone("source" if side == "source" else "target"):
        if side == "marks":
            marks = MarksClosing(folder, tools).take_off()
            context.show(lambda: terminal.marks(marks.taken_off, marks.left), marks)
            return Exit.FAILED if marks.left else Exit.HELD
        if side == "target":
            if accepted:
                raise UsageError("a loss is accepted for the source", "Leave --accept-loss out, or name --source.")
            if told.keep and folder.bundle.exists():  # verified and kept: production
                taken = TargetClosing(folder, tools).take_back(_ask(context, "target", told.target))
                folder.save(folder.load().model_copy(update={"finished": True, "failed": False}))
                return _show_closed(context, taken)
            closed = drills.Drill(folder, tools).close_target()
            folder.save(folder.load().model_copy(update={"finished": True, "failed": False}))
            result = Closed(
                deleted=closed.deleted, kept={}, rest=closed.rest, swept=closed.swept, remainder=closed.verdict
            )
            context.show(lambda: terminal.closed(drills.remainder(closed.rest), {}), result)
            return closed.exit
        if bundle is None:
            raise UsageError("emptying a source demands the verified bundle", f"--bundle {folder.bundle}")
        ask = _ask(context, "source", told.source)
        return _show_closed(context, SourceClosing(folder, tools).empty(bundle, accepted, ask))


def _ask(context: Context, side: str, name: str) -> Confirm:
    """Says what goes, and demands the typed name of the cloud."""

    def confirm(question: Question) -> None:
        say = context.face.say
        going = len(question.going) + sum(question.objects.values())
        say(f"{going} things go, {len(question.kept)} stay (named at the end)")
        for thing, how in question.protected.items():
            say(f"{thing} is {how}: that is lifted")
        for one in question.losses:
            say(f"lost for good, as you accepted: {one.id}: {one.why}")
        for line in question.unseen:
            say(f"not shown, and goes: {line}")
        what = "to delete what was verified" if side == "source" else "to delete what the drill made there"
        if click.prompt(f"Type the {side}'s name ({name}) {what}", err=True) != name:
            raise UsageError("the name does not match; nothing was deleted")

    return confirm


def _show_closed(context: Context, closed: Closed) -> Exit:
    from unterbau.switch import drill as drills
    from unterbau.switch.report import terminal

    context.show(lambda: terminal.closed(drills.remainder(closed.rest), closed.kept), closed)
    if closed.evidence:
        context.face.say(f"evidence: {closed.evidence}")
    return Exit.NOT_SHOWN if closed.stayed else Exit.HELD


@command(cli, "drill")
@bounded
@click.argument("source", required=False)
@click.argument("target", required=False)
@click.option("--keep", is_flag=True, help="Keep what was made on the target (the default is a rehearsal).")
@click.option("--boot", is_flag=True, help="Let the servers of a rehearsal run, within their own networks alone.")
@click.option("--report", "report_file", type=click.Path(path_type=Path, dir_okay=False), help="Copy the report here.")
@click.option(
    "--language", type=click.Choice(["de", "en"]), default="en", show_default=True, help="Of the report, at first."
)
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), help="Obey this plan; do not make one.")
@click.option("--plan-output", type=click.Path(path_type=Path), help="Also write the plan to this file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write all verdicts to this file (JSON).")
@click.option("--all", "everything", is_flag=True, help="Show what held, too.")
@exports
@map_option
@allow_option
@headers_option
@limit_option
@probe_options
@probe_wait
@late_writes
@click.option("--list", "listing", is_flag=True, help="Show the drills of this machine.")
def drill_(
    context: Context, source: str | None, target: str | None, keep: bool, boot: bool, report_file: Path | None, language: str,
    plan_file: Path | None, plan_output: Path | None, output: Path | None, everything: bool, choices: tuple[str, ...],
    allowed: tuple[str, ...], headers: bool, limit_seconds: float | None, looking: bool, probes_file: Path | None,
    probe_wait: float, listing: bool, exports: Exports, late_seconds: float,
) -> Exit:  # fmt: skip
    """The whole of it: census, plan, move, verify, clean up, signed evidence, report."""
    from unterbau import files, wiring
    from unterbau.switch import drill as drills
    from unterbau.switch import folders
    from unterbau.switch.report import terminal, told
    from unterbau.switch.report.ending import ending
    from unterbau.switch.verify import Contents
    from unterbau.verdict import exit_code

    if listing:
        found = folders.drills()
        context.show(lambda: terminal.drills(found), [s.model_dump(mode="json") for _, s in found])
        return Exit.HELD
    if source is None or target is None:
        raise UsageError(
            "a drill needs a SOURCE and a TARGET", f"Known clouds: {', '.join(wiring.cloud_names()) or 'none'}"
        )
    if keep and boot:
        raise UsageError("--boot is of a rehearsal, and with --keep what ran at the source runs at the target",
                         "Leave one of them out.")  # fmt: skip
    if plan_file is not None and choices:
        raise UsageError("--map chooses while a plan is made, and --plan names one that is made",
                         "Leave one of them out; `unterbau plan` takes --map.")  # fmt: skip
    if plan_file is not None and (looking or probes_file):
        raise UsageError("--probe and --probes say what is asked while a plan is made, and --plan names one that is made",
                         "Leave one of them out; `unterbau plan` takes --probe and --probes.")  # fmt: skip
    decided = _decided(choices, allowed, headers, limit_seconds, looking, probes_file)
    folder, verdicts = drills.drill(
        source, target, keep=keep, boot=boot, tools=wiring.tools(context.face, context.stop, late_seconds, probe_wait),
        language=language, words=decided, plan_file=plan_file, plan_output=plan_output,
    )  # fmt: skip
    for path, data in ((report_file, folder.report), (output, folder.verdicts)):
        if path is not None:
            files.write(path, data.read_bytes(), mode=0o644)
    exports.write(
        lambda: told.document(Contents.model_validate_json(folder.verdicts.read_bytes()), verdicts, folder.run)
    )
    plan = drills.read_plan(folder.plan)
    steps = drills.failures(folder)
    shown = {"run": folder.run, "bundle": str(folder.bundle), "report": str(report_file or folder.report)}
    context.show(
        lambda: terminal.verdicts(verdicts, plan, steps, everything=everything),
        shown | {"ending": ending(plan, verdicts, steps).model_dump(mode="json"),
                 "verdicts": [v.model_dump(mode="json") for v in verdicts]},
    )  # fmt: skip
    context.face.say(f"evidence: {folder.bundle}")
    context.face.say(f"report:   {report_file or folder.report}")
    if folder.load().failed:
        context.face.say("Mend the cause and run the same command again: it goes on from there.")
        context.face.say(f"Or take it back: unterbau close {folder.run} --target")
    elif keep:
        context.face.say("What was made carries our marks (tags, metadata), which applications can see.")
        context.face.say(f"Take them off: unterbau close {folder.run} --marks")
    return exit_code(v.outcome for v in verdicts)


@cli.group("evidence", cls=Verbs)
def evidence_() -> None:
    """Signed bundles of drills."""


@command(evidence_, "check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="Id of the key that must have signed it.")
@click.option(
    "--report", "report_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the report of the bundle."
)
@click.option("--language", type=click.Choice(["de", "en"]), default="en", show_default=True)
@exports
def evidence_check(
    context: Context, file: Path, key: str | None, report_file: Path | None, language: str, exports: Exports
) -> Exit:
    """Judge the bundle FILE again, offline: its signature, its chain, and every verdict from its contents."""
    from unterbau import files
    from unterbau.cli import judge, prove
    from unterbau.evidence.opening import open_bundle
    from unterbau.judge import evidence as judgements
    from unterbau.prove import evidence as proofs
    from unterbau.switch import evidence
    from unterbau.switch.report import html, terminal, told
    from unterbau.verdict import Outcome, exit_code

    opened = open_bundle(file, trusted_key=key)
    if opened.kind == proofs.KIND:
        return prove.check(context, opened, report_file, exports, language)
    if opened.kind == judgements.KIND:
        return judge.check(context, opened, report_file, exports, "de" if language == "de" else "en")
    checked = evidence.check_opened(opened)
    if report_file is not None:
        files.write(report_file, html.render(checked, opened.digest, language).encode(), mode=0o644)
    bundle = checked.bundle
    exports.write(lambda: told.document(bundle.verification, (*checked.verdicts, *checked.today), bundle.context.run))
    context.show(lambda: terminal.checked(checked), checked)
    if not checked.signer_trusted:
        context.face.say(f"not shown: whose key {checked.signer} is; name the one you trust with --key")
    return exit_code([checked.outcome, *([] if checked.signer_trusted else [Outcome.NOT_SHOWN])])


@command(evidence_, "redact")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The redacted bundle."
)
@click.option("--salt", "salt_file", type=click.Path(path_type=Path, dir_okay=False),
              help="The salt's file: used if it is there, made if not (default: OUTPUT.salt). Keep it to yourself.")  # fmt: skip
@click.option("--key", help="Id of the key that must have signed it.")
def evidence_redact(context: Context, file: Path, output: Path, salt_file: Path | None, key: str | None) -> Exit:
    """Make a bundle for auditors of the drill's bundle FILE: no names, addresses, ids or hashes, and it still checks."""
    import secrets

    from unterbau import files, wiring
    from unterbau.evidence import signing_key
    from unterbau.evidence.opening import open_bundle
    from unterbau.reference.layout import data_home
    from unterbau.switch import evidence
    from unterbau.switch.evidence import redact as redaction
    from unterbau.switch.report import terminal
    from unterbau.verdict import exit_code

    opened = open_bundle(file, trusted_key=key)
    place = salt_file or output.with_name(output.name + ".salt")
    salt = place.read_bytes() if place.exists() else secrets.token_bytes(redaction.SALT_BYTES)
    if len(salt) != redaction.SALT_BYTES:
        raise UsageError(f"{place}: a salt has {redaction.SALT_BYTES} bytes", "Name another file; a new one is made.")
    with files.writing(output, mode=0o644) as out:
        redaction.redact_into(out, opened, salt, signing_key(data_home() / "keys"), wiring.now())
        files.write(place, salt)
    checked = evidence.check(output)
    context.show(lambda: terminal.checked(checked), checked)
    context.face.say(f"redacted: {output}; its salt, which no auditor needs: {place}")
    return exit_code([checked.outcome])


verbs.register(cli)


@command(cli, "doctor")
@click.argument("clouds", nargs=-1, metavar="[CLOUD...]")
def doctor_(context: Context, clouds: tuple[str, ...]) -> Exit:
    """What is missing for which verb: on this machine, or in each CLOUD. It only reads, and says what to do."""
    from unterbau import wiring
    from unterbau.doctor import report
    from unterbau.verdict import exit_code

    found = [wiring.examine(name) for name in clouds] if clouds else [wiring.examine_machine()]
    plain = [f.model_dump(mode="json") for f in found]
    context.show(lambda: report.findings(found), plain if len(plain) > 1 else found[0])
    return exit_code(f.outcome for one in found for f in one.findings)


@command(cli, "schema")
@click.argument("what", type=click.Choice(sorted(ALL)))
def schema(context: Context, what: str) -> None:
    """Print the JSON schema of what --format json gives."""
    from unterbau import schemas

    click.echo(json.dumps(schemas.schema(what), indent=2))


@command(cli, "completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(context: Context, shell: str) -> None:
    """Print the completion script of a shell: `eval "$(unterbau completion bash)"`."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # click knows the three
        raise UsageError(f"no completion for {shell}")
    script = kind(cli, {}, "unterbau", "_UNTERBAU_COMPLETE").source()
    context.show(lambda: click.echo(script), {"shell": script})
