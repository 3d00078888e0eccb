# SPDX-License-Identifier: Apache-2.0
"""`unterbau prove`: parse, look, judge, render. It decides nothing.

`prove.collect` looks, `prove.proof` judges, `report.conformance` and `prove.output` show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml

from unterbau import __version__, files, wiring
from unterbau.cli.frame import OUT, Context, Day, Exports, bounded, command, exports, late_writes, tell_left_out
from unterbau.errors import CloudError, Exit, LocalError, UnterbauError, UsageError
from unterbau.evidence import signing_key
from unterbau.evidence.opening import Opened
from unterbau.prove import evidence as proofs
from unterbau.prove import fix_plan, handshake, history, output, report
from unterbau.prove.collect import SECONDS, collect
from unterbau.prove.evaluate import SCOPE
from unterbau.prove.inventory import Inventory
from unterbau.prove.proof import Proof, Question, prove
from unterbau.reference.layout import data_home
from unterbau.switch import folders
from unterbau.verdict import Outcome, exit_code

TOOL = f"unterbau {__version__}"


def prove_(
    context: Context, clouds: tuple[str, ...], scope: str, version: str | None, at: date | None, writing: bool,
    late_seconds: float, from_: tuple[Path, ...], save: Path | None, seconds: float, tls: bool, everything: bool, reference: bool,
    watch: float | None, exports: Exports, scs_report: Path | None, html: Path | None, fixes: Path | None, bundle: Path | None,
) -> Exit:  # fmt: skip
    """SCS conformance of each CLOUD (a name of clouds.yaml, or NAME@REGION), read-only unless --write is given.

    One look of at most ten requests; every verdict follows from what it saw, and --from judges that again offline.
    """
    if bool(clouds) == bool(from_):
        raise UsageError(
            "name clouds, or inventories with --from", "unterbau prove CLOUD  or  unterbau prove --from FILE"
        )
    if from_ and (writing or watch):
        raise UsageError("--write and --watch need a cloud, not an inventory")
    single = [o for o in (scs_report, bundle, save, fixes) if o is not None]
    if single and len(clouds) + len(from_) > 1:
        raise UsageError("--scs-report, --bundle, --save and --fix-plan are about one cloud", "Call it once for each.")
    moment = datetime(at.year, at.month, at.day, tzinfo=UTC) if at else None

    def question() -> Question:
        return Question(scope=scope, version=version, at=moment or wiring.now())

    def once() -> Exit:
        inventories, errors = (
            _look(context, clouds, late_seconds if writing else None, seconds, tls)
            if clouds
            else ([_read(p) for p in from_], [])
        )
        found = [prove(i, question()) for i in inventories]
        if found:
            exports.write(lambda: output.document(found))
            if html is not None:
                files.write(html, report.html(found).encode(), mode=0o644)
            secrets = wiring.secrets(clouds[0].partition("@")[0]) if clouds and bundle else ()
            _write_single(found[0], save, scs_report, fixes, bundle, secrets)
            shown = found if len(found) > 1 else found[0]
            context.show(lambda: report.proofs(found, everything=everything, reference=reference), _plain(shown))
        if errors:
            for error in errors[1:]:
                context.face.say(f"{error.what}")
            raise errors[0]
        return exit_code(p.outcome for p in found)

    return _watch(context, once, clouds, question, seconds, tls, watch) if watch else once()


def _look(
    context: Context, clouds: Sequence[str], late_seconds: float | None, seconds: float, tls: bool
) -> tuple[list[Inventory], list[UnterbauError]]:
    """The inventories of those clouds that could be entered, and the errors of the others.

    `late_seconds`: also write, and give the cloud so long for what it did not answer; None: only look.
    """

    def one(name: str) -> Inventory | UnterbauError:
        try:
            cloud = wiring.survey(name)
            probe = partial(handshake.look, trust=cloud.trust) if tls else (lambda subject, catalog: ())
            seen = collect(cloud, now=wiring.now, tool=TOOL, seconds=seconds, probe=probe)
            if late_seconds is None:
                return seen
            from unterbau.prove import write

            section = write.run(
                wiring.open_trial(name), now=wiring.now, folder=folders.root().parent / "prove", stop=context.stop,
                say=context.face.say, patience=write.Patience(late=late_seconds),
            )  # fmt: skip
            return seen.model_copy(update={"sections": {**seen.sections, "write_results": section}})
        except CloudError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(8, len(clouds))) as pool:
        found = list(pool.map(one, clouds))
    return [f for f in found if isinstance(f, Inventory)], [f for f in found if isinstance(f, UnterbauError)]


def _read(path: Path) -> Inventory:
    try:
        return Inventory.from_json(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", "Make one: unterbau prove CLOUD --save FILE") from None
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}", "Mend the file's permissions.") from None


def _write_single(
    proof: Proof, save: Path | None, scs_report: Path | None, fixes: Path | None, bundle: Path | None,
    secrets: Sequence[str],
) -> None:  # fmt: skip
    if save is not None:
        files.write(save, proof.inventory.to_json().encode(), mode=0o644)
    if scs_report is not None:
        told = yaml.safe_dump(output.scs_report(proof), sort_keys=False, allow_unicode=True)
        files.write(scs_report, told.encode(), mode=0o644)
    if fixes is not None:
        fixes.mkdir(parents=True, exist_ok=True)
        for name, text in fix_plan.render(proof, cloud=_operator(proof.inventory.subject.name)).items():
            files.write(fixes / name, text.encode(), mode=0o755 if name.endswith(".sh") else 0o644)
    if bundle is not None:
        signer = signing_key(data_home() / "keys")
        sealed = proofs.seal_proof(proof, signer=signer, sealed=wiring.now(), secrets=secrets)
        files.write(bundle, sealed, mode=0o644)


def _operator(name: str) -> str:
    """The administrator of an embedded cloud; of another one we know none, and the script asks."""
    admin = f"{name.removesuffix('-reader')}-admin"
    return admin if admin in wiring.cloud_names() else ""


def _plain(shown: Proof | Sequence[Proof]) -> Any:
    return shown if isinstance(shown, Proof) else [p.model_dump(mode="json") for p in shown]


def _watch(
    context: Context, once: Callable[[], Exit], clouds: Sequence[str], question: Callable[[], Question],
    seconds: float, tls: bool, interval: float,
) -> Exit:  # fmt: skip
    """Again and again until Ctrl-C: the whole once, then what changed, each look kept in the history."""
    last = Exit.NOT_SHOWN
    folder = folders.root().parent / "prove" / "history"
    while not context.stop.is_set():
        inventories, errors = _look(context, clouds, None, seconds, tls)
        for error in errors:
            context.face.say(f"{wiring.now():%Y-%m-%d %H:%M:%S}  {error.what}")
        found = [prove(i, question()) for i in inventories]
        for proof in found:
            for line in history.append(folder, proof):
                click.echo(f"{wiring.now():%Y-%m-%d %H:%M:%S}  {proof.inventory.subject.name}: {line}")
        last = exit_code(p.outcome for p in found) if found else Exit.CLOUD
        context.stop.wait(interval)
    return last


def check(context: Context, opened: Opened, report_file: Path | None, exports: Exports) -> Exit:
    """`evidence check` for the bundle of a proof."""
    checked = proofs.check_opened(opened)
    if report_file is not None:
        files.write(report_file, report.html([checked.proof]).encode(), mode=0o644)
    exports.write(lambda: output.document([checked.proof]))
    context.show(lambda: report.proofs([checked.proof]), checked)
    if checked.then is not None:
        context.face.say(
            f"the bundle was judged by data about the standards of {checked.then.data}: {checked.then.outcome}; above, by "
            "those of this program; the stricter one decides"
        )
    tell_left_out(context, checked.left_out)
    if not checked.signer_trusted:
        context.face.say(f"not shown: whose key {checked.signer} is; name the one you trust with --key")
    return exit_code([checked.outcome] if checked.signer_trusted else [checked.outcome, Outcome.NOT_SHOWN])


class Interval(click.ParamType):  # type: ignore[type-arg]  # see `Day`
    """`30s`, `15m`, `6h`, `1d`."""

    name = "interval"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        number, unit = value[:-1], value[-1:]
        if not number.isdigit() or unit not in "smhd" or not int(number):
            self.fail(f"{value!r} is no interval; write e.g. 30s, 15m, 6h, 1d", param, ctx)
        return float(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit])


def register(group: click.Group) -> None:
    """Add the command to the program."""
    options = [
        click.argument("clouds", nargs=-1, metavar="[CLOUD...]"),
        click.option("--scope", default=SCOPE, show_default=True, help="The certificate scope."),
        click.option("--version", help="One version, or `all`; default: those in force at the date."),
        click.option("--at", type=Day(), help="Judge as of this day (default: today)."),
        click.option("--write", "writing", is_flag=True,
                     help="Also run the five test cases that make something, and remove it again."),
        late_writes,
        bounded,
        click.option("--from", "from_", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
                     metavar="FILE", help="Judge this inventory offline instead of a cloud; may be repeated."),
        click.option("--save", type=OUT, help="Write the inventory, for --from."),
        click.option("--timeout", "seconds", type=click.FloatRange(1, 600), default=SECONDS, show_default=True,
                     help="Seconds for each section."),
        click.option("--tls/--no-tls", default=True, show_default=True, help="Look at the endpoints' TLS, too."),
        click.option("--all", "everything", is_flag=True, help="Show what held, too."),
        click.option("--reference-verdict", "reference", is_flag=True,
                     help="Also show what the SCS reference suite would say where it differs."),
        click.option("--watch", type=Interval(), metavar="INTERVAL", help="Again every 30s, 15m, 6h, ... until Ctrl-C."),
        exports,
        click.option("--scs-report", type=OUT, help="Also write the report for the SCS compliance monitor (YAML)."),
        click.option("--html", type=OUT, help="Also write one page for people."),
        click.option("--fix-plan", "fixes", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
                     help="Also write what mends the failures: openstack commands, flavor and image files."),
        click.option("--bundle", type=OUT, help="Also write the signed bundle (`unterbau evidence check`)."),
    ]  # fmt: skip
    function: Any = prove_
    for option in reversed(options):
        function = option(function)
    command(group, "prove")(function)
