# SPDX-License-Identifier: Apache-2.0
"""The options of `judge`, `facts`, `prove`, `map` and `images`, and their help. What they do is loaded when they run.

`unterbau.cli` adds them; the work of each stands in the module of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from unterbau.cli.frame import EXITS, OUT, Context, Day, Verbs, bounded, command, exports, late_writes
from unterbau.defaults import LOOK_SECONDS, SCOPE
from unterbau.errors import Exit

Decorator = Callable[[Any], Any]
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

rules_option = click.option(
    "--rules", "rule_names", multiple=True, metavar="NAME|FILE", help="A rule set; may be repeated."
)
at_option = click.option("--at", type=Day(), help="Judge as of this day (default: today).")
own_option = click.option(
    "--catalogue", "own", multiple=True, type=FILE, help="A technology file of your own; takes precedence."
)


def register(group: click.Group) -> None:
    """Add the verbs to the program."""
    _add(group, "judge", judge, JUDGING)
    _facts(group)
    _add(group, "prove", prove, PROVING)
    _map(group)
    _images(group)


def _add(group: click.Group, name: str, function: Callable[..., Any], options: Sequence[Decorator]) -> None:
    made: Any = function
    for option in reversed(options):
        made = option(made)
    command(group, name)(made)


# --- judge


def judge(context: Context, **asked: Any) -> Exit:
    """What STACK is made of, by stated criteria, with cited facts: no score.

    STACK is what you have: a stack.yaml, an SBOM (CycloneDX, SPDX), Compose, Quadlet, Kubernetes, Helm, Ansible,
    OpenTofu, a package list, or a name of the catalogue (redis@7.4). Several are judged as one. Without --rules all rule sets that come with the program
    judge it, side by side.
    """
    from unterbau.cli.judge import judge_

    return judge_(context, **asked)


JUDGING = [
    click.argument("stacks", nargs=-1, required=True, metavar="STACK..."),
    rules_option,
    at_option,
    click.option("--fail-on", type=click.Choice(["failed", "not-shown"]),
                 help="failed: exit 0 although something was not shown. not-shown: the table below (default)."),
    click.option("--diff", is_flag=True, help="Two stacks: what the change does to each rule."),
    click.option("--since", type=click.Path(path_type=Path, exists=True), metavar="DIR|BUNDLE",
                 help="What changed since an earlier judging: parts, facts, rules, time, each apart."),
    own_option,
    click.option("--history", "histories", multiple=True, metavar="TECHNOLOGY=FILE",
                 help="A git history, for rules about maintenance."),
    click.option("--evidence", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
                 metavar="BUNDLE", help="A bundle of drill or prove, for rules about duties; may be repeated."),
    click.option("--key", "keys", multiple=True, metavar="ID", help="Of whom --evidence counts; may be repeated."),
    click.option("--all", "everything", is_flag=True, help="Show every finding and every part, too."),
    exports,
    click.option("--sbom", type=OUT, help="Also write CycloneDX with our facts, for Dependency-Track."),
    click.option("--bundle", type=OUT, help="Also write the signed bundle (`unterbau evidence check`)."),
    click.option("--html", type=OUT, help="Also write one page for people, in German and English."),
    click.option("--language", type=click.Choice(["de", "en"]), default="en", show_default=True,
                 help="Of the page, at first."),
]  # fmt: skip


# --- facts


class _FactVerbs(Verbs):
    """`facts TECHNOLOGY` shows; `facts VERB` does something else. No technology may be called like a verb."""

    default = "show"


def show(context: Context, **asked: Any) -> Exit:
    """The facts about TECHNOLOGY (or TECHNOLOGY@VERSION), each with its source; --stale: what is too old."""
    from unterbau.cli.judge import facts_

    return facts_(context, **asked)


def refresh(context: Context, **asked: Any) -> Exit:
    """Read public data sets and write what they say beside the catalogue, with page, commit and age of the copy.

    Known: endoflife.json (endoflife.date), openstack-series.yaml (openstack/releases), cncf-landscape.json,
    debian.csv and ubuntu.csv (distro-info-data), and the SPDX list that comes with the program. What people
    wrote is not touched; `facts check` shows where the two contradict each other.
    """
    from unterbau.cli.judge import refresh_

    return refresh_(context, **asked)


def check(context: Context, **asked: Any) -> Exit:
    """Where sources contradict each other: a person and an importer, or two importers. Nothing is overwritten."""
    from unterbau.cli.judge import check_facts

    return check_facts(context, **asked)


def audit(context: Context, **asked: Any) -> Exit:
    """Compare what the catalogue says it read with stored copies: the hash of the text, and the quotation in it."""
    from unterbau.cli.judge import audit_

    return audit_(context, **asked)


def _kinds(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of facts, which the catalogue names."""
    if given:
        from unterbau.catalogue.model import KINDS

        for one in given:
            if one not in KINDS:
                raise click.BadParameter(f"{one!r} is not one of {', '.join(sorted(KINDS))}")
    return given


def _facts(group: click.Group) -> None:
    @group.group("facts", cls=_FactVerbs, epilog=EXITS)
    def facts() -> None:
        """The catalogue's facts with their sources: `facts TECHNOLOGY`, refresh, check, audit."""

    names = click.argument("technologies", nargs=-1, metavar="[TECHNOLOGY...]")
    _add(facts, "show", show, [
        click.argument("technology", required=False, metavar="[TECHNOLOGY[@VERSION]]"),
        click.option("--stale", is_flag=True, help="Facts that have expired, or do within 60 days."),
        at_option,
        own_option,
    ])  # fmt: skip
    _add(facts, "refresh", refresh, [
        click.option("--from", "folder", type=FOLDER, help="Copies of the data sets, with SOURCES.md."),
        click.option("--to", type=FOLDER, help="Where to write (default: the catalogue that is in use)."),
        click.option("--dated", "days", multiple=True, metavar="FILE=DAY", help="Of which day a copy is."),
    ])  # fmt: skip
    _add(facts, "check", check, [names, own_option])
    _add(facts, "audit", audit, [
        names,
        click.option("--from", "folder", type=FOLDER, required=True, help="Stored copies, under any name."),
        click.option("--kind", "kinds", multiple=True, metavar="KIND", callback=_kinds, help="Only facts of this kind; may be repeated."),
        click.option("--sample", type=click.IntRange(min=1), help="So many, drawn by --seed."),
        click.option("--seed", type=int, default=0, show_default=True),
        own_option,
    ])  # fmt: skip


# --- prove


def prove(context: Context, **asked: Any) -> Exit:
    """SCS conformance of each CLOUD (a name of clouds.yaml, or NAME@REGION), read-only unless --write is given.

    One look of at most ten requests; every verdict follows from what it saw, and --from judges that again offline.
    """
    from unterbau.cli.prove import prove_

    return prove_(context, **asked)


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


PROVING = [
    click.argument("clouds", nargs=-1, metavar="[CLOUD...]"),
    click.option("--scope", default=SCOPE, show_default=True, help="The certificate scope."),
    click.option("--version", help="One version, or `all`; default: those in force at the date."),
    at_option,
    click.option("--write", "writing", is_flag=True,
                 help="Also run the five test cases that make something, and remove it again."),
    late_writes,
    bounded,
    click.option("--from", "from_", multiple=True, type=FILE,
                 metavar="FILE", help="Judge this inventory offline instead of a cloud; may be repeated."),
    click.option("--save", type=OUT, help="Write the inventory, for --from."),
    click.option("--timeout", "seconds", type=click.FloatRange(1, 600), default=LOOK_SECONDS, show_default=True,
                 help="Seconds for each section."),
    click.option("--tls/--no-tls", default=True, show_default=True, help="Look at the endpoints' TLS, too."),
    click.option("--all", "everything", is_flag=True, help="Show what held, too."),
    click.option("--reference-verdict", "reference", is_flag=True,
                 help="Also show what the SCS reference suite would say where it differs."),
    click.option("--watch", type=Interval(), metavar="INTERVAL", help="Again every 30s, 15m, 6h, ... until Ctrl-C."),
    exports,
    click.option("--scs-report", type=OUT, help="Also write the report for the SCS compliance monitor (YAML)."),
    click.option("--html", type=OUT, help="Also write one page for people, in German and English."),
    click.option("--language", type=click.Choice(["de", "en"]), default="en", show_default=True,
                 help="Of the page, at first."),
    click.option("--fix-plan", "fixes", type=FOLDER, metavar="FOLDER",
                 help="Also write what mends the failures: openstack commands, flavor and image files."),
    click.option("--bundle", type=OUT, help="Also write the signed bundle (`unterbau evidence check`)."),
]  # fmt: skip


# --- map


def build(context: Context, **asked: Any) -> Exit:
    """Make the static site in a folder: open its index.html, or publish it as it is."""
    from unterbau.cli import map as work

    return work.build(context, **asked)


def export(context: Context, **asked: Any) -> Exit:
    """Write data.yml of CNCF's landscape2, which the official map is made with."""
    from unterbau.cli import map as work

    return work.export(context, **asked)


def import_(context: Context, **asked: Any) -> Exit:
    """Read the official map's JSON, and match its entries with the catalogue."""
    from unterbau.cli import map as work

    return work.import_(context, **asked)


def diff(context: Context, **asked: Any) -> Exit:
    """What a change request adds to the official map: each technology before and after."""
    from unterbau.cli import map as work

    return work.diff(context, **asked)


def _map(group: click.Group) -> None:
    @group.group("map", cls=Verbs)
    def map_() -> None:
        """The catalogue as a site by layers; for and against the D-Stack's official map."""

    request = click.option("--request", default="alasca-229", show_default=True, help="The change request.")
    argument = click.argument("map_file", metavar="FULL.JSON", type=FILE)
    _add(map_, "build", build, [
        click.option("-o", "--output", "folder", required=True, type=FOLDER),
        rules_option,
        at_option,
        click.option("--official", "map_file", type=FILE, help="The official map's full.json: also make the diff's page."),
        request,
    ])  # fmt: skip
    _add(map_, "export", export, [
        click.option("--landscape2", "target", required=True, type=OUT, help="The file to write."),
        rules_option,
        at_option,
    ])  # fmt: skip
    _add(map_, "import", import_, [argument])
    _add(map_, "diff", diff, [argument, request, rules_option, at_option])


# --- images


def images_list(context: Context, **asked: Any) -> Exit:
    """The images of the catalogue, and what CLOUD has of them."""
    from unterbau.cli import images as work

    return work.list_(context, **asked)


def images_add(context: Context, **asked: Any) -> Exit:
    """Bring the newest build of NAME from its vendor into CLOUD, after its checksum was compared.

    It belongs to the project alone, unless --visibility says otherwise. Killed, the same command goes on.
    """
    from unterbau.cli import images as work

    return work.add(context, **asked)


def images_sync(context: Context, **asked: Any) -> Exit:
    """Renew what `images add` brought into CLOUD. Older builds are renamed and hidden; none is deleted."""
    from unterbau.cli import images as work

    return work.sync(context, **asked)


def _images(group: click.Group) -> None:
    @group.group("images", cls=Verbs)
    def images() -> None:
        """Vendors' images in a cloud: Alpine, Debian, Ubuntu, CentOS Stream, NixOS, and your own catalogue."""

    cloud = click.argument("cloud_name", metavar="CLOUD")
    own = click.option("--catalogue", "own", type=FILE, help="A catalogue of your own in place of ours.")
    _add(images, "list", images_list, [bounded, cloud, own])
    _add(images, "add", images_add, [
        bounded,
        cloud,
        click.argument("name", metavar="NAME"),
        click.option("--visibility", type=click.Choice(["private", "shared", "community", "public"]), default="private",
                     show_default=True, help="Who else sees it."),
        own,
        late_writes,
    ])  # fmt: skip
    _add(images, "sync", images_sync, [bounded, cloud, own, late_writes])
