# SPDX-License-Identifier: Apache-2.0
"""The work of `unterbau prove`: look, judge, render. It decides nothing. `verbs` has its options.

`prove.collect` looks, `prove.proof` judges, `prove.report` and `prove.output` show. Each cloud is asked for its token first, with
as little loaded as that wants: what looks, judges and shows is loaded while the clouds answer, and so is what is kept of the standards.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unterbau import __version__, files, wiring
from unterbau.cli.frame import Context, Exports, complain, tell_left_out
from unterbau.errors import CloudError, ConfigError, Exit, LocalError, UnterbauError, UsageError

if TYPE_CHECKING:
    from unterbau.cloud.survey import Item, Subject, Surveyed
    from unterbau.evidence.opening import Opened
    from unterbau.prove.inventory import Inventory, TlsProbe
    from unterbau.prove.proof import Proof, Question
    from unterbau.verdict.assessment import Document

TOOL = f"unterbau {__version__}"
TURN_SECONDS = 0.0005
"""So long a thread computes until another one that waits has its turn (Python: 0.005)."""


def prove_(
    context: Context, clouds: tuple[str, ...], scope: str, version: str | None, at: date | None, writing: bool,
    late_seconds: float, from_: tuple[Path, ...], save: Path | None, seconds: float, tls: bool, everything: bool, reference: bool,
    watch: float | None, exports: Exports, scs_report: Path | None, html: Path | None, language: str, fixes: Path | None, bundle: Path | None,
) -> Exit:  # fmt: skip
    """`unterbau prove`. What the options mean stands with them, in `verbs`."""
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
        from unterbau.prove.proof import Question

        return Question(scope=scope, version=version, at=moment or wiring.now())

    def once() -> Exit:
        inventories, errors = (
            _look(context, clouds, late_seconds if writing else None, seconds, tls)
            if clouds
            else ([_read(p) for p in from_], [])
        )
        from unterbau.prove.proof import prove
        from unterbau.verdict import exit_code

        found = [prove(i, question()) for i in inventories]
        if found:
            exports.write(lambda: _document(found))
            if html is not None:
                from unterbau.prove import report

                files.write(html, report.html(found, language).encode(), mode=0o644)
            secrets = wiring.secrets(clouds[0].partition("@")[0]) if clouds and bundle else ()
            _write_single(found[0], save, scs_report, fixes, bundle, secrets)
        elif len(errors) == 1:
            raise errors[0]

        def rendered() -> None:
            from unterbau.prove import report

            report.proofs(found, everything=everything, reference=reference)

        context.show(rendered, _plain(found, errors))
        for error in errors:
            complain(error)
        return errors[0].exit if errors else exit_code(p.outcome for p in found)

    return _watch(context, once, clouds, question, seconds, tls, watch) if watch else once()


def _look(
    context: Context, clouds: Sequence[str], late_seconds: float | None, seconds: float, tls: bool
) -> tuple[list[Inventory], list[UnterbauError]]:
    """The inventories of those clouds that could be entered, and the errors of the others.

    `late_seconds`: also write, and give the cloud so long for what it did not answer; None: only look.
    """

    def one(name: str, cloud: Surveyed) -> Inventory | UnterbauError:
        from unterbau.prove.collect import collect

        try:
            seen = collect(cloud, now=wiring.now, tool=TOOL, seconds=seconds, **_probe(cloud, tls))
            if late_seconds is None:
                return seen
            from unterbau.prove import write
            from unterbau.switch import folders

            section = write.run(
                wiring.open_trial(name), now=wiring.now, folder=folders.root().parent / "prove", stop=context.stop,
                say=context.face.say, patience=write.Patience(late=late_seconds),
            )  # fmt: skip
            return seen.model_copy(update={"sections": {**seen.sections, "write_results": section}})
        except CloudError as error:
            return error

    with _short_turns(), ThreadPoolExecutor(max_workers=min(8, len(clouds))) as pool:
        looks = [_known(pool, one, name, alone=len(clouds) == 1) for name in clouds]
        _prepare(tls, shown=not context.json)
        found = [look.result() for look in looks]
    return [f for f in found if not isinstance(f, UnterbauError)], [f for f in found if isinstance(f, UnterbauError)]


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """While many threads wait for answers and one loads: what an answer sets going does not wait for what is loaded."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _known(
    pool: ThreadPoolExecutor, look: Callable[[str, Surveyed], Inventory | UnterbauError], name: str, *, alone: bool
) -> Future[Inventory | UnterbauError]:
    """A look that has begun; at one of several clouds that clouds.yaml does not know, its error. Raises that of one `alone`.

    Finding the cloud is not the thread's work: it loads what a cloud is spoken to with, and `_prepare` is to follow that.
    """
    try:
        return pool.submit(look, name, wiring.survey(name))
    except (CloudError, ConfigError) as error:
        if alone and isinstance(error, ConfigError):
            raise
        unknown: Future[Inventory | UnterbauError] = Future()
        unknown.set_result(error)
        return unknown


def _prepare(tls: bool, *, shown: bool) -> None:
    """Load what will be wanted in its order, which takes about as long as a cloud takes to answer."""
    from unterbau.prove import collect  # noqa: F401 - so that it is there

    if tls:
        from unterbau.prove import handshake  # noqa: F401 - so that it is there
    from unterbau import locale
    from unterbau.prove import data, proof  # noqa: F401 - so that it is there

    data.load()
    locale.catalogue("en")
    if shown:
        from unterbau.prove import report  # noqa: F401 - so that it is there


def _probe(cloud: Surveyed, tls: bool) -> dict[str, Any]:
    """What looks at the endpoints' TLS, if that is wanted."""
    if not tls:
        return {}

    def probe(subject: Subject, catalog: tuple[Item, ...]) -> tuple[TlsProbe, ...]:
        from unterbau.prove import handshake

        return handshake.look(subject, catalog, trust=cloud.trust)

    return {"probe": probe}


def _document(found: Sequence[Proof]) -> Document:
    from unterbau.prove import output

    return output.document(found)


def _read(path: Path) -> Inventory:
    from unterbau.prove.inventory import Inventory

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
        import yaml

        from unterbau.prove import output

        told = yaml.safe_dump(output.scs_report(proof), sort_keys=False, allow_unicode=True)
        files.write(scs_report, told.encode(), mode=0o644)
    if fixes is not None:
        from unterbau.prove import fix_plan

        fixes.mkdir(parents=True, exist_ok=True)
        for name, text in fix_plan.render(proof, cloud=_operator(proof.inventory.subject.name)).items():
            files.write(fixes / name, text.encode(), mode=0o755 if name.endswith(".sh") else 0o644)
    if bundle is not None:
        from unterbau.evidence import signing_key
        from unterbau.prove import evidence as proofs
        from unterbau.reference.layout import data_home

        signer = signing_key(data_home() / "keys")
        sealed = proofs.seal_proof(proof, signer=signer, sealed=wiring.now(), secrets=secrets)
        files.write(bundle, sealed, mode=0o644)


def _operator(name: str) -> str:
    """The administrator of an embedded cloud; of another one we know none, and the script asks."""
    admin = f"{name.removesuffix('-reader')}-admin"
    return admin if admin in wiring.cloud_names() else ""


def _plain(found: Sequence[Proof], errors: Sequence[UnterbauError]) -> Any:
    """One proof, or a list of all; a cloud that could not be entered stands in it as its error."""
    if len(found) == 1 and not errors:
        return found[0]
    return [*(p.model_dump(mode="json") for p in found), *(e.told() for e in errors)]


def _watch(
    context: Context, once: Callable[[], Exit], clouds: Sequence[str], question: Callable[[], Question],
    seconds: float, tls: bool, interval: float,
) -> Exit:  # fmt: skip
    """Again and again until Ctrl-C: the whole once, then what changed, each look kept in the history."""
    from unterbau.cloud.waiting import closing
    from unterbau.prove import history
    from unterbau.prove.proof import prove
    from unterbau.switch import folders
    from unterbau.verdict import exit_code

    last = Exit.NOT_SHOWN
    folder = folders.root().parent / "prove" / "history"
    while not context.stop.is_set():
        with closing():
            inventories, errors = _look(context, clouds, None, seconds, tls)
        for error in errors:
            context.face.say(f"{wiring.now():%Y-%m-%d %H:%M:%S}  {error.what}")
        found = [prove(i, question()) for i in inventories]
        for proof in found:
            for line in history.append(folder, proof):
                said = {"at": f"{wiring.now():%Y-%m-%d %H:%M:%S}", "cloud": proof.inventory.subject.name, "line": line}
                click.echo(json.dumps(said) if context.json else "{at}  {cloud}: {line}".format(**said))
        last = exit_code(p.outcome for p in found) if found else Exit.CLOUD
        context.stop.wait(interval)
    return last


def check(context: Context, opened: Opened, report_file: Path | None, exports: Exports, language: str = "en") -> Exit:
    """`evidence check` for the bundle of a proof."""
    from unterbau.prove import evidence as proofs
    from unterbau.prove import report
    from unterbau.verdict import Outcome, exit_code

    checked = proofs.check_opened(opened)
    if report_file is not None:
        files.write(report_file, report.html([checked.proof], language).encode(), mode=0o644)
    exports.write(lambda: _document([checked.proof]))
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
