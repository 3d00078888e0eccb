# SPDX-License-Identifier: Apache-2.0
"""scs-0102 image metadata, v1.1 and v2: what the provider's public images say of themselves, and how fresh they are.

https://docs.scs.community/standards/scs-0102-v1-image-metadata. The text is about images "managed by the service
provider, provided for public consumption": visibility `public`. Community, shared and private images belong to
tenants and are not judged. Where the text points to OpenStack's list of properties, that list counts. How fresh
images are is judged at the time at which they were seen, whatever date the report is about.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil

from pydantic import JsonValue

from unterbau.prove.inventory import Item
from unterbau.prove.judges import suite
from unterbau.prove.judges.frame import (
    NOTHING_TO_JUDGE,
    Decision,
    Judge,
    View,
    conclude,
    named,
    not_applicable,
    not_shown,
    number,
    one_of,
    run,
    text,
)
from unterbau.prove.verdicts import Finding, Fix
from unterbau.verdict import Reason, Words

GIB = 2**30
ARCHITECTURES = [
    "aarch64",
    "alpha",
    "armv7l",
    "cris",
    "i686",
    "ia64",
    "lm32",
    "loongarch64",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mips64",
    "mips64el",
    "mipsel",
    "openrisc",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64le",
    "ppcemb",
    "risc-v",
    "riscv32",
    "riscv64",
    "s390",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "unicore32",
    "x86_64",
    "xtensa",
    "xtensaeb",
]
"""`architecture` of Glance's useful image properties and Nova's list of machine types."""
DISK_BUSES = ["fdc", "ide", "lxc", "sata", "scsi", "uml", "usb", "virtio", "xen"]
HYPERVISORS = ["esxi", "hyper-v", "hyperv", "ironic", "kvm", "lxc", "qemu", "uml", "vmware", "vz", "xen", "zvm"]
PURPOSES = ["generic", "oldgeneric", "minimal", "k8snode", "gpu", "network", "custom"]
FREQUENCIES: dict[str, int | None] = {
    "daily": 1,
    "weekly": 7,
    "monthly": 31,
    "quarterly": 92,
    "yearly": 366,
    "critical_bug": None,
    "never": None,
}
"""Days of the period (the longest month, quarter, year); None: no period."""
GRACE = timedelta(days=3)
"""Up to 3 days late is no violation ("Image updating")."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_judged(image: Item) -> bool:
    """Public and usable: the provider's."""
    return image.get("visibility") == "public" and text(image, "status") in ("active", "")


def public(view: View) -> tuple[Item, ...]:
    """The images that the standards about images speak of."""
    return tuple(image for image in view.items("images") if is_judged(image))


def visible(view: View) -> tuple[Item, ...]:
    """Those of them that a list shows."""
    return tuple(image for image in public(view) if not image.get("os_hidden"))


def reference_sees(view: View) -> list[Item]:
    """The images that the reference suite judges: listed ones, community images too."""
    return [
        i for i in view.items("images") if i.get("visibility") in ("public", "community") and not i.get("os_hidden")
    ]


def parse_day(value: str) -> date | None:
    """`YYYY-MM-DD` as a date; None for anything else."""
    try:
        return date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        return None


def parse_time(value: str) -> datetime | None:
    """`YYYY-MM-DD[ hh:mm[:ss]]` or an ISO time, in UTC; None for anything else (and for years that no image has)."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    known = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return known if 1970 <= known.year < 9000 else None


@dataclass(frozen=True)
class Rule:
    """One property: what is required, what the reference suite accepts where it differs (None: it breaks off), what we
    propose.
    """

    required: Words
    accepts: Callable[[Item], bool]
    reference: Callable[[Item], bool | None] | None = None
    reference_why: Words = ""
    propose: Callable[[Item], JsonValue] = lambda _: None
    key: str = ""
    """The key in Glance, if it is not the name of the rule."""


def _one_of(key: str, words: list[str], unset: bool = False) -> Callable[[Item], bool]:
    return lambda image: (unset and not text(image, key)) or text(image, key) in words


def _present(key: str) -> Callable[[Item], bool]:
    return lambda image: bool(text(image, key).strip())


def _any_text(key: str) -> Callable[[Item], bool]:
    return lambda image: bool(text(image, key))


def _absent_or(key: str, words: list[str]) -> Callable[[Item], bool]:
    return lambda image: image.get(key) is None or text(image, key) in words


def _needed_disk(image: Item) -> int:
    return max(1, ceil(max(number(image, "size") or 0, number(image, "virtual_size") or 0) / GIB))


def _enough_disk(image: Item) -> bool:
    return (number(image, "min_disk") or 0) >= _needed_disk(image)


def _reference_disk(image: Item) -> bool | None:
    disk, size = number(image, "min_disk"), number(image, "size")
    if not disk:
        return False
    return None if size is None else disk * GIB >= size


def _is_until(image: Item) -> bool:
    value = text(image, "provided_until")
    return value in ("none", "notice") or parse_day(value) is not None


def _is_validity(image: Item) -> bool:
    value = text(image, "uuid_validity")
    if value in ("none", "notice", "forever") or re.fullmatch(r"last-[1-9][0-9]*", value):
        return True
    return parse_day(value) is not None


def _is_source(image: Item) -> bool:
    value = text(image, "image_source")
    return value == "private" or bool(re.fullmatch(r"(?:https?|ftps?)://[^\s/]+(?:/\S*)?", value))


def _is_build_date(image: Item) -> bool:
    value = text(image, "image_build_date")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?", value):
        return False
    built, made = parse_time(value), parse_time(text(image, "created_at"))
    return built is not None and (made is None or built <= made)


def _reference_validity(image: Item) -> bool:
    value = text(image, "uuid_validity")
    if image.get("uuid_validity") is None or value in ("none", "notice", "forever"):
        return True
    return (value.startswith("last-") and value[5:].isdecimal()) or suite.read_time(value) is not None


def _reference_build_date(image: Item) -> bool:
    built, made = suite.read_time(text(image, "image_build_date")), suite.registered(text(image, "created_at"))
    return built is not None and made is not None and built <= made


def _reference_hours(image: Item) -> bool:
    value = text(image, "hotfix_hours")
    return not value or value.isdecimal()


def _is_distro(image: Item) -> bool:
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9._+-]*", text(image, "os_distro")))


def _created_day(image: Item) -> JsonValue:
    return text(image, "created_at")[:10] or None


BLANK = Reason.of("prove.suite.blank")
RULES: dict[str, Rule] = {
    "architecture": Rule(
        Reason.of("prove.prop.architecture"),
        _one_of("architecture", ARCHITECTURES),
        _one_of("architecture", ["x86_64", "aarch64", "risc-v"]),
        Reason.of("prove.suite.architecture"),
    ),
    "hash_algo": Rule(one_of(["sha256", "sha512"]), _one_of("os_hash_algo", ["sha256", "sha512"]), key="os_hash_algo"),
    "min_disk": Rule(
        Reason.of("prove.prop.min-disk"),
        _enough_disk,
        _reference_disk,
        Reason.of("prove.suite.min-disk"),
        _needed_disk,
    ),
    "min_ram": Rule(
        Reason.of("prove.prop.min-ram"),
        lambda image: (number(image, "min_ram") or 0) > 0,
        propose=lambda _: 512,
    ),
    "os_version": Rule(Reason.of("prove.prop.version"), _present("os_version"), _any_text("os_version"), BLANK),
    "os_distro": Rule(
        Reason.of("prove.prop.distribution"),
        _is_distro,
        _any_text("os_distro"),
        Reason.of("prove.suite.any-text"),
        lambda image: text(image, "os_distro").strip().lower().replace(" ", "-") or None,
    ),
    "os_purpose": Rule(one_of(PURPOSES), _one_of("os_purpose", PURPOSES), propose=lambda _: "custom"),
    "hw_disk_bus": Rule(
        Reason.of("prove.prop.disk-bus"),
        _one_of("hw_disk_bus", DISK_BUSES),
        _absent_or("hw_disk_bus", ["virtio", "scsi"]),
        Reason.of("prove.suite.disk-bus"),
        lambda _: "scsi",
    ),
    "hypervisor_type": Rule(
        Reason.of("prove.prop.hypervisor"),
        _one_of("hypervisor_type", HYPERVISORS, unset=True),
        _absent_or("hypervisor_type", ["qemu", "kvm", "xen", "hyper-v", "esxi"]),
        Reason.of("prove.suite.hypervisor"),
    ),
    "hw_rng_model": Rule(
        Reason.of("prove.prop.rng"),
        _one_of("hw_rng_model", ["virtio"], unset=True),
        _absent_or("hw_rng_model", ["virtio"]),
        Reason.of("prove.suite.rng"),
    ),
    "image_build_date": Rule(
        Reason.of("prove.prop.build-date"),
        _is_build_date,
        _reference_build_date,
        Reason.of("prove.suite.build-date"),
        _created_day,
    ),
    "image_original_user": Rule(
        Reason.of("prove.prop.login"), _present("image_original_user"), _any_text("image_original_user"), BLANK
    ),
    "image_source": Rule(
        Reason.of("prove.prop.source"),
        _is_source,
        lambda image: text(image, "image_source") == "private" or suite.is_address(text(image, "image_source")),
        Reason.of("prove.suite.source"),
        lambda _: "private",
    ),
    "image_description": Rule(
        Reason.of("prove.prop.description"), _present("image_description"), _any_text("image_description"), BLANK
    ),
    "replace_frequency": Rule(
        one_of(FREQUENCIES), _one_of("replace_frequency", list(FREQUENCIES)), propose=lambda _: "never"
    ),
    "provided_until": Rule(
        Reason.of("prove.prop.until"),
        _is_until,
        _any_text("provided_until"),
        Reason.of("prove.suite.any-text"),
        lambda _: "none",
    ),
    "uuid_validity": Rule(
        Reason.of("prove.prop.validity"),
        _is_validity,
        _reference_validity,
        Reason.of("prove.suite.validity"),
        lambda _: "none",
    ),
    "hotfix_hours": Rule(
        Reason.of("prove.prop.hours"),
        lambda image: not text(image, "hotfix_hours") or number(image, "hotfix_hours") is not None,
        _reference_hours,
        Reason.of("prove.suite.hours"),
    ),
}


def prop(name: str) -> Judge:
    """The judge of one property."""
    rule = RULES[name]
    key = rule.key or name

    def judge(view: View) -> Decision:
        images = public(view)
        broken = [image for image in images if not rule.accepts(image)]
        decision = conclude(
            (_property_finding(view, image, key, rule) for image in broken),
            len(images),
            Reason.of("prove.image.keep-it", count=len(images)),
            Reason.of("prove.no-images"),
        )
        theirs = reference_sees(view)
        accepted = [(rule.reference or rule.accepts)(i) for i in theirs]
        return decision.but(None if None in accepted else all(accepted), _why(rule, images, theirs))

    judge.__doc__ = f"`{name}`, as `RULES` says."
    return judge


def _why(rule: Rule, ours: tuple[Item, ...], theirs: list[Item]) -> Words:
    if not theirs:
        return NOTHING_TO_JUDGE
    if any(i.get("visibility") == "community" and not (rule.reference or rule.accepts)(i) for i in theirs):
        return Reason.of("prove.suite.community")
    return rule.reference_why or Reason.of("prove.suite.other-images", theirs=len(theirs), ours=len(ours))


def _property_finding(view: View, image: Item, key: str, rule: Rule) -> Finding:
    value = rule.propose(image)
    target, name = text(image, "id"), text(image, "name")
    option = {"min_disk": "--min-disk {}", "min_ram": "--min-ram {}"}.get(key, f"--property {key}={{}}")
    command = f"openstack image set {option.format('VALUE' if value is None else value)} {target}"
    values = {"properties": {key: value}} if key not in ("min_disk", "min_ram") else {key: value}
    return view.finding(
        named("image", image),
        Reason.of("prove.key-says", key=key, value=text(image, key))
        if text(image, key)
        else Reason.of("prove.key-absent", key=key),
        rule.required,
        run(command) if value is None else Reason.of("prove.image.proposal", command=command),
        Fix(action="set-image", target=target, name=name, values=values),
    )


# -- how fresh


def published(image: Item) -> datetime | None:
    """When the image was registered; for lack of that, when it was built."""
    return parse_time(text(image, "created_at")) or parse_time(text(image, "image_build_date"))


def due(image: Item) -> datetime | None:
    """Until when the image must have been replaced (three days of grace included); None: no promise binds."""
    days = FREQUENCIES.get(text(image, "replace_frequency"))
    made, until = published(image), text(image, "provided_until")
    if days is None or made is None or until == "none":
        return None
    deadline = made + timedelta(days=days) + GRACE
    end = parse_day(until)
    # The promise ends with `provided_until`: a replacement that would be due later is not owed.
    return None if end and deadline.date() > end else deadline


def recency(view: View) -> Decision:
    """A visible public image is not older than its period, and no two have one name."""
    images, now = visible(view), view.inventory.collected_at
    undecided = [text(i, "name") for i in images if text(i, "replace_frequency") not in FREQUENCIES or not published(i)]
    fresh = [i for i in images if _is_fresh(i, now)]
    stale = [i for i in images if not _is_fresh(i, now) and not _is_rotated(i, fresh)]
    findings = [_stale(view, image) for image in stale] + _twins(view, images)
    if not findings and undecided:
        decision = not_shown(Reason.of("prove.image.no-promise", names=undecided), len(images))
    else:
        decision = conclude(
            findings,
            len(images),
            Reason.of("prove.image.fresh", count=len(images)),
            Reason.of("prove.no-images"),
            Reason.of("prove.image.upstream") if stale else "",
        )
    return decision.but(*_reference_recency(view, now))


def _is_fresh(image: Item, now: datetime) -> bool:
    deadline, end = due(image), parse_day(text(image, "provided_until"))
    return deadline is None or now <= deadline or (end is not None and now.date() > end)


_ROTATED = re.compile(
    r"(?i)[\s()\[\]_.,:;-]*(?:(?:old|prev(?:ious)?|obsolete|outdated|deprecated|archived?|rotated|build|version|v|\d+)"
    r"[\s()\[\]_.,:;-]*)+"
)
"""What may be left of a name beside that of the fresh image: a date, a patch level, a word for "no longer this one"."""


def _is_rotated(image: Item, fresh: Iterable[Item]) -> bool:
    """Whether an image was renamed when a fresh one took its place ("Image updating": how, is a recommendation only).

    It is told by what it is (a general purpose image of the same distribution, version and architecture), else by a
    name that adds nothing to the fresh one's but a date, a patch level or a word for "old".
    """
    return any(text(other, "name") != text(image, "name") and _replaces(other, image) for other in fresh)


def _replaces(fresh: Item, old: Item) -> bool:
    keys = ("os_distro", "os_version", "architecture")
    alike = [text(fresh, key) == text(old, key) for key in keys if text(fresh, key) and text(old, key)]
    if not all(alike):
        return False
    general = text(fresh, "os_purpose") == "generic" and text(old, "os_purpose") in ("generic", "oldgeneric")
    if general and len(alike) == len(keys):
        return True
    name, before = text(fresh, "name"), text(old, "name")
    return bool(name) and name in before and bool(_ROTATED.fullmatch(before.replace(name, "", 1)))


def _stale(view: View, image: Item) -> Finding:
    deadline, made = due(image), published(image)
    return view.finding(
        named("image", image),
        Reason.of("prove.image.stale", made=f"{made:%Y-%m-%d}") if made else Reason.of("prove.image.not-replaced"),
        Reason.of("prove.image.replace", often=text(image, "replace_frequency"), by=f"{deadline:%Y-%m-%d}")
        if deadline
        else Reason.of("prove.image.replaced"),
        Reason.of("prove.image.newer-build"),
        Fix(
            action="replace-image",
            target=text(image, "id"),
            name=text(image, "name"),
            values={"source": text(image, "image_source")},
        ),
    )


def _twins(view: View, images: tuple[Item, ...]) -> list[Finding]:
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for image in images:
        groups[text(image, "name"), text(image, "architecture")].append(image)
    found = []
    for (name, _), group in sorted(groups.items()):
        ordered = sorted(group, key=lambda i: text(i, "created_at"))
        for old in ordered[:-1]:
            found.append(
                view.finding(
                    named("image", old),
                    Reason.of("prove.image.twins", number=len(group), name=name),
                    Reason.of("prove.image.hidden-or-renamed"),
                    run(f"openstack image set --hidden {text(old, 'id')}"),
                    Fix(action="hide-image", target=text(old, "id"), name=name),
                )
            )
    return found


def _reference_recency(view: View, now: datetime) -> tuple[bool | None, Words]:
    """What the reference suite says: 1.1 periods since the build; a newer one has the name without its last word."""
    theirs = reference_sees(view)
    by_name = {text(i, "name"): i for i in theirs}
    outdated = {id(i): _reference_outdated(i, now) for i in theirs}
    if None in outdated.values():
        return None, Reason.of("prove.suite.without-until")
    for image in theirs:
        shorter = text(image, "name").rsplit(" ", 1)[0].rstrip()
        newer = by_name.get(shorter) if shorter != text(image, "name") else None
        if outdated[id(image)] and (newer is None or outdated[id(newer)]):
            return False, Reason.of("prove.suite.outdated")
    return True, Reason.of("prove.suite.recency")


def _reference_outdated(image: Item, now: datetime) -> bool | None:
    """Whether it calls an image outdated; None: it breaks off."""
    period = suite.PERIODS.get(text(image, "replace_frequency"))
    if period is None:
        return False
    made = suite.read_time(text(image, "image_build_date")) or suite.registered(text(image, "created_at"))
    if made is not None and now <= made + period * suite.LENIENCE:
        return False
    if image.get("provided_until") is None:
        return None
    if text(image, "provided_until") in ("none", "notice"):
        return False
    until = suite.read_time(text(image, "provided_until"))
    return until is None or now <= until


def uniqueness(view: View) -> Decision:
    """At most one visible public image is generic for an architecture, distribution and version."""
    images = visible(view)
    generic = [image for image in images if text(image, "os_purpose") == "generic"]
    if images and not generic:
        return not_applicable(Reason.of("prove.image.no-generic", count=len(images))).but(True, NOTHING_TO_JUDGE)
    groups: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for image in sorted(generic, key=lambda i: text(i, "created_at")):
        groups[tuple(text(image, key) for key in ("architecture", "os_distro", "os_version"))].append(image)
    findings = [
        view.finding(
            named("image", image),
            Reason.of("prove.image.generic-like", image=named("image", group[-1]), what=" ".join(key)),
            Reason.of("prove.image.one-generic"),
            Reason.of(
                "prove.image.or-hide",
                command=f"openstack image set --property os_purpose=oldgeneric {text(image, 'id')}",
            ),
            Fix(
                action="set-image",
                target=text(image, "id"),
                name=text(image, "name"),
                values={"properties": {"os_purpose": "oldgeneric"}},
            ),
        )
        for key, group in sorted(groups.items())
        for image in group[:-1]
    ]
    return conclude(
        findings,
        len(generic),
        Reason.of("prove.image.generic-differ", count=len(generic)),
        Reason.of("prove.no-images"),
    ).but(
        not any(len(g) > 1 for (_, distro, version), g in groups.items() if distro and version),
        Reason.of("prove.suite.uniqueness"),
    )


JUDGES: dict[str, Judge] = {
    **{f"scs-0102-prop-{name}": prop(name) for name in RULES},
    "scs-0102-image-recency": recency,
    "scs-0102-os_purpose-uniqueness": uniqueness,
}
