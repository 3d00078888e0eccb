# SPDX-License-Identifier: Apache-2.0
"""What an operator runs to mend what failed: `openstack` commands, and files for OSISM's flavor and image managers. Pure.

`cli.prove --fix-plan` writes what `render` returns; nobody here runs it. `fix.sh` mends what a version demands,
`advice.sh` what it recommends. A line that only a person can complete (whose value is a promise or a fact that no
machine knows) is a comment. Commands need an administrator of the cloud.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from unterbau.prove.inventory import Inventory, Item
from unterbau.prove.judges.frame import mapping, text
from unterbau.prove.proof import Proof
from unterbau.prove.verdicts import CaseOutcome, CaseVerdict, Finding, Fix, Level

_REPLACES = ("recreate-flavor", "rename-flavor")
_DOWNLOADS = {
    "ubuntu": (
        "https://cloud-images.ubuntu.com/releases/{codename}/",
        "release/ubuntu-{version}-server-cloudimg-amd64.img",
    ),
    "debian": ("https://cloud.debian.org/images/cloud/{codename}/", "latest/debian-{version}-genericcloud-amd64.qcow2"),
}
"""Distribution -> source of scs-0104, and the file below it (x86_64)."""
_IMAGE = {
    "architecture": "x86_64", "hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi", "hw_rng_model": "virtio",
    "replace_frequency": "monthly", "provided_until": "none", "uuid_validity": "last-3",
}  # fmt: skip
"""Properties of a new image: the last three are promises, which the operator changes if need be."""
_MIN_DISK, _MIN_RAM = 8, 512


@dataclass
class _Work:
    """The fixes of one level, merged: one command for each object."""

    fixes: dict[tuple[str, str], Fix] = field(default_factory=dict)
    why: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    by_hand: list[str] = field(default_factory=list)

    def take(self, case: CaseVerdict, finding: Finding) -> None:
        if finding.fix is None:
            self.by_hand.append(f"{case.case}: {finding.object}: {finding.mend}")
            return
        key = _key(finding.fix)
        there = self.fixes.get(key)
        self.fixes[key] = finding.fix if there is None else _merged(there, finding.fix)
        self.why.setdefault(key, []).append(case.case)


def render(proof: Proof, cloud: str = "") -> dict[str, str]:
    """File name -> contents; a file with nothing to say is left out. `cloud`: whose rights the commands use."""
    must, should = _work(proof, Level.MUST), _work(proof, Level.SHOULD)
    for key in must.fixes.keys() & should.fixes.keys():  # the demand's command does the advice's work, too
        must.fixes[key] = _merged(must.fixes[key], should.fixes.pop(key))
    found = {
        "fix.sh": _script(proof, must, cloud, "what is demanded"),
        "advice.sh": _script(proof, should, cloud, "what is recommended"),
        "flavors.yaml": _flavors(must, should),
        "images.yaml": _images([*must.fixes.values(), *should.fixes.values()]),
    }
    return {name: contents for name, contents in found.items() if contents}


def _work(proof: Proof, level: Level) -> _Work:
    work = _Work()
    for case in proof.cases:
        if case.outcome is CaseOutcome.FAILED and case.level is level:
            for finding in case.findings:
                work.take(case, finding)
    return work


def _key(fix: Fix) -> tuple[str, str]:
    """Fixes with equal keys are about the same object, and become one."""
    if fix.action.endswith("-default-rule") and not fix.target:
        return fix.action, str(sorted(fix.values.items()))
    kind = "flavor" if fix.action.endswith("-flavor") else fix.action
    return kind, fix.target or fix.name or str(fix.values.get("type", ""))


def _merged(one: Fix, other: Fix) -> Fix:
    """Both in one. What makes a flavor anew takes in what only sets properties."""
    first, second = (one, other) if one.action in _REPLACES or other.action not in _REPLACES else (other, one)
    values = dict(first.values)
    for key, value in second.values.items():
        if isinstance(value, dict):
            values[key] = {**value, **mapping(values.get(key))}
        elif isinstance(value, list):
            there = values.get(key)
            values[key] = [*(there if isinstance(there, list) else []), *value]
        else:
            values.setdefault(key, value)
    return first.model_copy(update={"values": values})


# --- the script


def _script(proof: Proof, work: _Work, cloud: str, what: str) -> str:
    if not (work.fixes or work.by_hand):
        return ""
    subject = proof.inventory.subject
    lines = [
        "#!/bin/bash",
        _comment(f"Mends {what} by {proof.report.scope_name} {', '.join(v.version for v in proof.report.versions)}"),
        _comment(f"in {subject.name} ({subject.auth_url}, region {subject.region or '-'}), seen {proof.inventory.collected_at:%Y-%m-%d %H:%M} UTC."),
        "# Read it before you run it. It needs an administrator of the cloud. Then: unterbau prove again.",
        "set -euo pipefail",
        f"export OS_CLOUD={shlex.quote(cloud)}" if cloud else ": \"${OS_CLOUD:?name an administrator of clouds.yaml}\"",
    ]  # fmt: skip
    for key, fix in work.fixes.items():
        cases = list(dict.fromkeys(work.why[key]))
        more = f" and {len(cases) - 3} more" if len(cases) > 3 else ""
        lines += ["", _comment(f"{', '.join(cases[:3])}{more}"), *_commands(fix, proof.inventory)]
    if work.by_hand:
        lines += ["", "# By hand:", *(_comment(line) for line in work.by_hand)]
    return "\n".join(lines) + "\n"


def _commands(fix: Fix, inventory: Inventory) -> Iterator[str]:
    match fix.action:
        case "create-flavor":
            yield _create_flavor(fix.name, fix.values)
        case "recreate-flavor" | "rename-flavor":
            yield from _replace_flavor(fix, inventory)
        case "set-flavor":
            yield from _set_flavor(fix)
        case "set-image":
            yield from _set_image(fix)
        case "hide-image":
            yield _line("image", "set", "--hidden", fix.target)
        case "add-image":
            yield from _add_image(fix)
        case "replace-image":
            yield _comment(
                f"By hand: register a newer build of {fix.name} than {fix.values.get('source') or 'this one'}, then:"
            )
            yield _comment(_line("image", "set", "--hidden", fix.target))
        case "set-volume-type":
            yield _line("volume", "type", "set", "--description", str(fix.values.get("description", "")), fix.target)
        case "delete-default-rule":
            yield _line("default", "security", "group", "rule", "delete", fix.target)
        case "create-default-rule":
            yield _default_rule(fix.values)
        case "add-service":
            yield _comment(f"By hand: run a service of the type {fix.values.get('type')}, and register it:")
            yield _comment(f"openstack service create {fix.values.get('type')}; openstack endpoint create ...")
        case _:
            yield _comment(f"By hand: {fix.action} {fix.name or fix.target}")


def _line(*words: str) -> str:
    return shlex.join(["openstack", *words])


def _comment(told: str) -> str:
    """One line, whatever the cloud's names hold."""
    return "# " + "".join(c if c.isprintable() else "?" for c in told)


def _properties(specs: Mapping[str, Any]) -> list[str]:
    return [word for key, value in specs.items() for word in ("--property", f"{key}={value}")]


def _create_flavor(name: str, values: Mapping[str, Any]) -> str:
    figures = ["--vcpus", str(values["vcpus"]), "--ram", str(values["ram"]), "--disk", str(values["disk"])]
    return _line("flavor", "create", *figures, *_properties(mapping(values.get("extra_specs"))), name)


def _replace_flavor(fix: Fix, inventory: Inventory) -> Iterator[str]:
    """Nova changes no figures: the flavor is made anew. Servers keep the figures that they were made with."""
    there = next((f for f in inventory.section("flavors").items if text(f, "id") == fix.target), None)
    name = str(fix.values.get("name") or "")
    if there is None or not name:
        yield _comment(f"By hand: give the flavor {fix.name} ({fix.target}) a name that follows the standard.")
        return
    values = {**_figures(there), **{k: v for k, v in fix.values.items() if k in ("vcpus", "ram", "disk")}}
    values["extra_specs"] = {**mapping(there.get("extra_specs")), **mapping(fix.values.get("extra_specs"))}
    unset = fix.values.get("unset")
    for gone in unset if isinstance(unset, list) else ():
        values["extra_specs"].pop(gone, None)
    yield _comment(f"replaces {fix.name} ({fix.target}); servers keep what they were made with")
    yield _line("flavor", "delete", fix.target)
    yield _create_flavor(name, values)


def _figures(flavor: Item) -> dict[str, Any]:
    return {key: flavor.get(key) or 0 for key in ("vcpus", "ram", "disk")}


def _set_flavor(fix: Fix) -> Iterator[str]:
    specs, unset = mapping(fix.values.get("extra_specs")), fix.values.get("unset")
    if specs:
        yield _line("flavor", "set", *_properties(specs), fix.target)
    for key in unset if isinstance(unset, list) else ():
        yield _line("flavor", "unset", "--property", str(key), fix.target)


def _set_image(fix: Fix) -> Iterator[str]:
    told = {**{k: v for k, v in fix.values.items() if k != "properties"}, **mapping(fix.values.get("properties"))}
    known = {key: value for key, value in told.items() if value is not None}
    if known:
        yield _comment(f"image {fix.name}: proposals; say what is true")
        yield _line("image", "set", *_image_options(known), fix.target)
    for key in told.keys() - known.keys():
        yield _comment(f"openstack image set {_image_options({key: 'VALUE'})[0]} {key}=VALUE {fix.target}")


def _image_options(values: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for key, value in values.items():
        option = {"min_disk": "--min-disk", "min_ram": "--min-ram"}.get(key)
        words += [option, str(value)] if option else ["--property", f"{key}={value}"]
    return words


def _add_image(fix: Fix) -> Iterator[str]:
    download = _download(fix)
    if not download:
        yield _comment(f"By hand: register {fix.name} from {fix.values.get('source')} with the properties of scs-0102.")
        return
    file = download.rpartition("/")[2]
    quoted = shlex.quote(file)
    properties = {**_IMAGE, **mapping(fix.values.get("properties")), **_origin(fix, download)}
    yield shlex.join(["curl", "--fail", "--location", "--remote-time", "--output", file, download])
    create = _line(
        "image", "create", "--public", "--disk-format", "qcow2", "--container-format", "bare", "--file", file,
        "--min-disk", str(_MIN_DISK), "--min-ram", str(_MIN_RAM), *_properties(properties),
    )  # fmt: skip
    built = f'--property image_build_date="$(date --utc --reference {quoted} +%F)"'
    yield f"{create} {built} {shlex.quote(fix.name)}"
    yield _comment("If another image of this name is there, hide it: openstack image set --hidden ID")


def _download(fix: Fix) -> str:
    """The file of the distribution that is the image; empty if it is none that we know."""
    properties = mapping(fix.values.get("properties"))
    distro, source = str(properties.get("os_distro", "")), str(fix.values.get("source", ""))
    known = _DOWNLOADS.get(distro)
    if known is None or properties.get("os_purpose") != "generic":
        return ""
    base, _, _ = known[0].partition("{")
    return source + known[1].format(version=properties.get("os_version", "")) if source.startswith(base) else ""


def _origin(fix: Fix, download: str) -> dict[str, str]:
    distro = str(mapping(fix.values.get("properties")).get("os_distro", ""))
    source = str(fix.values.get("source", ""))
    return {"image_source": download, "image_description": source, "image_original_user": distro}


def _default_rule(values: Mapping[str, Any]) -> str:
    words = [f"--{values.get('direction', 'egress')}", "--ethertype", str(values.get("ethertype", "IPv4"))]
    if values.get("remote_group_id"):
        words += ["--remote-group", str(values["remote_group_id"])]
    words += ["--for-default-sg"] if values.get("used_in_default_sg") else []
    words += ["--for-custom-sg"] if values.get("used_in_non_default_sg") else []
    return _line("default", "security", "group", "rule", "create", *words)


# --- OSISM's managers


def _flavors(must: _Work, should: _Work) -> str:
    """The definitions that openstack-flavor-manager reads (`--url FILE`), of flavors that are missing."""
    lists = {name: [_definition(f) for f in work.fixes.values() if f.action == "create-flavor"]
             for name, work in (("mandatory", must), ("recommended", should))}  # fmt: skip
    if not any(lists.values()):
        return ""
    reference = [
        {"field": "name", "mandatory_prefix": "SCS-"}, {"field": "cpus"}, {"field": "ram"}, {"field": "disk"},
        {"field": "public", "default": True}, {"field": "disabled", "default": False},
    ]  # fmt: skip
    return _yaml({"reference": reference, **lists}, "For openstack-flavor-manager: flavors that are missing.")


def _definition(fix: Fix) -> dict[str, Any]:
    values = fix.values
    return {"name": fix.name, "cpus": values["vcpus"], "ram": values["ram"], "disk": values["disk"]} | mapping(
        values.get("extra_specs")
    )


def _images(fixes: Iterable[Fix]) -> str:
    """The definitions that openstack-image-manager reads, of images that are missing and that we know a file of."""
    found = [_image(fix, download) for fix in fixes if fix.action == "add-image" and (download := _download(fix))]
    if not found:
        return ""
    head = "For openstack-image-manager: images that are missing. Fill in `versions` from latest_url."
    return _yaml({"images": found}, head)


def _image(fix: Fix, download: str) -> dict[str, Any]:
    folder, _, _ = download.rpartition("/")
    distro = str(mapping(fix.values.get("properties")).get("os_distro", ""))
    sums = "SHA256SUMS" if distro == "ubuntu" else "SHA512SUMS"
    return {
        "name": fix.name,
        "enable": True,
        "shortname": fix.name.lower().replace(" ", "-"),
        "format": "qcow2",
        "login": distro,
        "min_disk": _MIN_DISK,
        "min_ram": _MIN_RAM,
        "status": "active",
        "visibility": "public",
        "multi": True,
        "meta": {**_IMAGE, **mapping(fix.values.get("properties")), "image_description": str(fix.values.get("source"))},
        "tags": [],
        "latest_checksum_url": f"{folder}/{sums}",
        "latest_url": download,
        "versions": [],
    }


def _yaml(value: Any, head: str) -> str:
    return f"# {head}\n---\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)}"
