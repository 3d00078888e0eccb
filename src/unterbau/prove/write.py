# SPDX-License-Identifier: Apache-2.0
"""The test cases that must make something: entropy and FIPS in a server, secrets, backup and restore, encryption.

`cli.prove --write` calls `run`; judges read the section that it returns. Everything is made by steps of a saga whose
journal holds the name and mark of a thing before the thing is made; all of it is removed again, and nothing else is. What
a killed run left, the next one removes first. What could not be tried is said, and is no verdict.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from pydantic import JsonValue, SecretBytes

from unterbau import files
from unterbau.cloud.port import Cloud
from unterbau.defaults import LATE_SECONDS
from unterbau.errors import (
    Broken,
    CloudError,
    Failed,
    Forbidden,
    Interrupted,
    NotFound,
    Unreachable,
    Unsupported,
)
from unterbau.prove.guest import WORD
from unterbau.prove.inventory import Item, Section, Status
from unterbau.prove.judges.scs_0114 import advertised
from unterbau.saga import (
    Attempt,
    Journal,
    JsonObject,
    Marker,
    Momentary,
    Outputs,
    Progress,
    RetryPolicy,
    Step,
    forget,
    insist,
    remaining,
    unwind,
)
from unterbau.saga import run as run_saga
from unterbau.tenant.kinds import (
    NOTHING,
    Attachment,
    Backup,
    Flavor,
    Image,
    Kind,
    Ref,
    Resource,
    Secret,
    Server,
    Volume,
    ref,
)
from unterbau.tenant.kinds import Source as Origin
from unterbau.verdict import Reason, Words, joined


class Trial(Cloud, Protocol):
    """A cloud on which one can try more than a mover needs. `cloud.openstack` implements it."""

    def restore(self, backup_id: str, volume_id: str) -> None:
        """Restore a backup onto an existing volume; `settle` the volume afterwards."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how much to write."""

    settle: timedelta = timedelta(minutes=10)
    console: timedelta = timedelta(minutes=6)
    quiet: timedelta = timedelta(seconds=120)
    """A console that says nothing new for so long is given up."""
    pause: float = 5.0
    payload: int = 4 << 20
    """Bytes that are written, backed up and compared."""
    late: float = LATE_SECONDS
    """Seconds for which the cloud may still finish a write that it did not answer."""


@dataclass(frozen=True)
class _Tools:
    cloud: Trial
    run: str
    now: Callable[[], datetime]
    stop: threading.Event
    patience: Patience
    say: Callable[[str], None]


def run(
    cloud: Trial,
    *,
    now: Callable[[], datetime],
    folder: Path,
    stop: threading.Event,
    say: Callable[[str], None] = lambda line: None,
    patience: Patience | None = None,
) -> Section:
    """Carry the four through, clean up, and return the section `write_results`.

    `folder` keeps the journal while it is needed. Raises Interrupted when it was stopped (everything is removed
    then, too), AuthFailed, Unreachable, LocalError.
    """
    files.make_folder(folder)
    identity = cloud.identity()
    place = hashlib.sha256("\n".join([identity.auth_url, identity.region, identity.project_id]).encode()).hexdigest()[
        :12
    ]
    name = f"w{secrets.token_hex(4)}"
    tools = _Tools(cloud, name, now, stop, patience or Patience(), say)

    def remove(intent: JsonObject, output: JsonObject | None) -> None:
        _delete(tools, Kind(str(intent["kind"])), str(intent["marker"]), str((output or {}).get("id") or ""))

    runs = Momentary(folder, f"write-{place}", remove, now, stop, tools.patience.late, say)
    killed, left_earlier = runs.take_up()
    for left in left_earlier:
        say(f"left behind by an earlier run, and not to be deleted now: {left}")
    steps, missing = _steps(tools)
    path = runs.journal(name)
    with Journal(path, now=now) as journal:
        result = run_saga(
            steps, journal, plan=name, workers=4, stop=stop, retry=RetryPolicy(deadline_s=60.0),
            late_seconds=tools.patience.late,
        )  # fmt: skip
        outputs, errors = dict(journal.status.outputs), dict(journal.status.errors)
        tidied = unwind(steps, journal, plan=name)
        left_behind = remaining(journal)
        if not result.interrupted:
            left_behind += runs.sweep(journal)
        certain = tidied.complete and not journal.doubts
    for left in left_behind:
        say(f"left behind, since the cloud would not delete it: {left}; the next run with --write tries again")
    if certain:
        forget(path)
    if not result.interrupted:
        runs.finish(killed)
    if result.interrupted:
        raise Interrupted("stopped while writing; what was made is removed", "Run the same command again.")
    items = _items(outputs, errors, missing, identity.roles, deleted=tidied.complete)
    return Section(
        status=Status.SEEN,
        items=tuple(items),
        reason=joined(Reason.of("prove.write.left-behind", what=n) for n in left_behind),
    )


# --- steps


@dataclass(frozen=True)
class _Make:
    """Make one thing, wait for it, and remove it in the end. What it ended as is its output, not a failure."""

    tools: _Tools
    name: str
    kind: Kind
    wish: Callable[[str, Outputs], tuple[Resource, Origin]]
    """From the mark (which is the name, too) and the outputs so far."""
    needs: tuple[str, ...] = ()
    then: Callable[[str], JsonObject] = lambda id_: {}
    """What is done to it before it can settle."""

    def intend(self, done: Outputs) -> JsonObject:
        """Name and mark, durable before anything is made."""
        mark = Marker(run=self.tools.run, node=self.name).tag()
        return {"kind": self.kind.value, "name": mark, "marker": mark}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """Find or make."""
        _demand(done, self.needs)
        mark = str(intent["marker"])
        wish, origin = self.wish(mark, done)
        try:
            id_ = insist(lambda: self.tools.cloud.ensure(wish, mark, source=origin), progress)
        except (Forbidden, NotFound, Unsupported) as error:
            return {"status": f"refused: {error.what}"[:300]}
        return {"id": id_, **self.then(id_), "status": _settle(self.tools, ref(self.kind, id_))}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Remove it."""
        _delete(self.tools, self.kind, str(intent["marker"]), str((output or {}).get("id") or ""))


@dataclass(frozen=True)
class _Do:
    """Something that makes nothing."""

    tools: _Tools
    name: str
    work: Callable[[Outputs, Progress], JsonObject]
    needs: tuple[str, ...] = ()

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing needs to be durable."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Do it."""
        _demand(done, self.needs)
        return self.work(done, progress)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Nothing was made."""


@dataclass(frozen=True)
class _Keys:
    """Create, see and delete a secret, and note what the key manager answered."""

    tools: _Tools
    name: str = "key-manager"
    needs: tuple[str, ...] = ()

    def intend(self, done: Outputs) -> JsonObject:
        """The name; it is the secret's mark."""
        mark = Marker(run=self.tools.run, node=self.name).tag()
        return {"kind": Kind.SECRET.value, "name": mark, "marker": mark}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """HTTP numbers of the three; 403 where the policy says no."""
        cloud, mark = self.tools.cloud, str(intent["marker"])
        wish = _secret(mark)
        try:
            id_ = cloud.ensure(wish, mark)
            cloud.write_secret(id_, wish, SecretBytes(secrets.token_bytes(32)))
        except Forbidden:
            if not _allowed(lambda: cloud.lookalikes(wish)):  # it was made, but a later step of making it was refused
                return {"create": 403}
        listed = _allowed(lambda: cloud.lookalikes(wish))
        told: JsonObject = {"create": 201, "list": 403 if listed is None else 200, "listed": bool(listed)}
        for id_ in listed or ():
            gone = _allowed(lambda i=id_: cloud.delete(ref(Kind.SECRET, i), self.tools.patience.settle) or True)  # type: ignore[misc,func-returns-value]
            told["delete"] = 403 if gone is None else 204
        return told

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Remove it if it is still there."""
        _delete(self.tools, Kind.SECRET, str(intent["marker"]), "")


def _secret(mark: str) -> Secret:
    return Secret(id="-", name=mark, content_type="application/octet-stream")


def _allowed(ask: Callable[[], Any]) -> Any:
    """The answer, or None if the policy forbids it."""
    try:
        return ask()
    except Forbidden:
        return None


def _demand(done: Outputs, needs: Sequence[str]) -> None:
    """What this step builds on ended well. (Failed is not tried again, and is no finding of its own.)"""
    for name in needs:
        status = done[name].get("status", "available")
        if status not in ("available", "active", "ACTIVE"):
            raise Failed(f"{name}: {status}")


def _settle(tools: _Tools, reference: Ref) -> str:
    """The status in which it ended. What vanished is made anew by the next try (a failed upload deletes its image)."""
    try:
        return str(getattr(tools.cloud.settle(reference, tools.patience.settle), "status", ""))
    except Broken:
        status = str(getattr(tools.cloud.read(reference), "status", ""))
        if not status:
            raise
        return status


def _delete(tools: _Tools, kind: Kind, mark: str, id_: str) -> None:
    """By id if we know it, else by the mark that nobody else's things carry."""
    cloud = tools.cloud
    if id_:
        ids: Sequence[str] = [id_]
    elif kind is Kind.SECRET:
        ids = cloud.lookalikes(_secret(mark))
    else:
        ids = [r.id for r in cloud.listing(kind).resources if mark in (r.marker, r.name)]
    for found in ids:
        cloud.delete(ref(kind, found), tools.patience.settle)


# --- the three groups


def _steps(tools: _Tools) -> tuple[list[Step], dict[str, Words]]:
    """The steps, and why a test has none."""
    kinds = set(tools.cloud.kinds())
    steps: list[Step] = [_Keys(tools)] if Kind.SECRET in kinds else []
    missing: dict[str, Words] = {}
    if {Kind.VOLUME, Kind.BACKUP, Kind.IMAGE} <= kinds:
        steps += _backup(tools)
    else:
        missing["backup"] = Reason.of("prove.write.no-storage")
    if Kind.VOLUME in kinds:
        steps += _encryption(tools)
    try:
        steps += _server(tools)
    except CloudError as error:
        missing["server"] = error.what
    return steps, missing


def _encryption(tools: _Tools) -> Iterator[Step]:
    """A volume of each type that advertises encryption tells whether it is encrypted."""
    try:
        types = tools.cloud.surroundings().offering.volume_types
    except CloudError:
        return
    for type_ in types:
        if "encrypted" in (advertised({"description": type_.description}) or ()):
            name = f"{ENCRYPTED} {type_.name}"

            def volume(mark: str, done: Outputs, type_name: str = type_.name) -> tuple[Resource, Origin]:
                return Volume(id="-", name=mark, status="", size_gib=1, volume_type=type_name), NOTHING

            def ask(done: Outputs, progress: Progress, made: str = name) -> JsonObject:
                there = tools.cloud.read(ref(Kind.VOLUME, str(done[made]["id"])))
                return {"encrypted": there.encrypted} if isinstance(there, Volume) else {}

            yield _Make(tools, name, Kind.VOLUME, volume)
            yield _Do(tools, f"look at {name}", ask, (name,))


def payload(mark: str, size: int) -> bytes:
    """Bytes that no compression shortens, the same for the same mark."""
    return hashlib.shake_256(mark.encode()).digest(size)


def _backup(tools: _Tools) -> Iterator[Step]:
    """Known bytes -> image -> volume -> backup -> another volume -> image -> compare; the first volume is read, too."""
    size = tools.patience.payload

    def image(mark: str, done: Outputs) -> tuple[Resource, Origin]:
        wish = Image(
            id="-", name=mark, status="queued", disk_format="raw", container_format="bare", visibility="private"
        )
        return wish, NOTHING

    def fill(id_: str) -> JsonObject:
        data = payload(tools.run, size)
        found = Image(id=id_, name="", status="queued", visibility="private")
        tools.cloud.write_image(found, [data], size)
        return {"sha256": hashlib.sha256(data).hexdigest()}

    def volume(source: str = "") -> Callable[[str, Outputs], tuple[Resource, Origin]]:
        return lambda mark, done: (
            Volume(id="-", name=mark, status="", size_gib=1),
            Origin(image_id=str(done[source]["id"])) if source else NOTHING,
        )

    def backup(mark: str, done: Outputs) -> tuple[Resource, Origin]:
        return Backup(id="-", name=mark, status="", volume_id=str(done["volume"]["id"]), size_gib=1), NOTHING

    def restore(done: Outputs, progress: Progress) -> JsonObject:
        target = str(done["target"]["id"])
        there = tools.cloud.read(ref(Kind.VOLUME, target))
        if getattr(there, "status", "") != "restoring-backup":  # an earlier try of this step may have begun it
            tools.cloud.restore(str(done["backup"]["id"]), target)
        return {"status": _restored(tools, target)}

    def reading(of: str) -> Callable[[str, Outputs], tuple[Resource, Origin]]:
        return lambda mark, done: (image(mark, done)[0], Origin(volume_id=str(done[of]["id"])))

    def compare(of: str) -> Callable[[Outputs, Progress], JsonObject]:
        return lambda done, progress: {"sha256": _beginning(tools, str(done[of]["id"]), size)}

    yield _Make(tools, "image", Kind.IMAGE, image, then=fill)
    yield _Make(tools, "volume", Kind.VOLUME, volume("image"), ("image",))
    yield _Make(tools, "backup", Kind.BACKUP, backup, ("volume",))
    yield _Make(tools, "target", Kind.VOLUME, volume())
    yield _Do(tools, "restore", restore, ("backup", "target"))
    for of, name, after in (("volume", "written", "backup"), ("target", "restored", "restore")):
        yield _Make(tools, f"{name} image", Kind.IMAGE, reading(of), (of, after))
        yield _Do(tools, f"{name} bytes", compare(f"{name} image"), (f"{name} image",))


def _restored(tools: _Tools, volume_id: str) -> str:
    """Until the restore is over. Cinder may say `available` for a moment before it begins."""
    end = time.monotonic() + tools.patience.settle.total_seconds()
    time.sleep(min(tools.patience.pause, 1.0))
    while time.monotonic() < end:
        if tools.stop.is_set():
            raise Interrupted("stopped during a restore")
        there = tools.cloud.read(ref(Kind.VOLUME, volume_id))
        status = str(getattr(there, "status", "gone"))
        if status != "restoring-backup":
            return status
        time.sleep(min(tools.patience.pause, 2.0))
    raise Unreachable(f"volume {volume_id}: still restoring after {tools.patience.settle}")


def _beginning(tools: _Tools, image_id: str, size: int) -> str:
    """Hash of the first bytes of an image."""
    digest, left = hashlib.sha256(), size
    with tools.cloud.image_bytes(image_id) as stream:
        for chunk in stream:
            digest.update(chunk[:left])
            left -= min(left, len(chunk))
            if not left:
                return digest.hexdigest()
    raise Broken(f"image {image_id} is shorter than {size} bytes")


def _server(tools: _Tools) -> list[Step]:
    """A server without any network, which tells of itself on its console. Raises NotFound without image or flavor."""
    offering = tools.cloud.surroundings().offering
    own = [r for r in tools.cloud.listing(Kind.IMAGE).resources if isinstance(r, Image)]
    image = _suited([*offering.images, *own])
    flavor = _smallest(offering.flavors, image)
    steps: list[Step] = []
    needs: tuple[str, ...] = ()
    if not flavor.disk_gib:
        gib = max(image.min_disk_gib, -(-(image.size_bytes or 0) // 2**30), 8)

        def root(mark: str, done: Outputs) -> tuple[Resource, Origin]:
            wish = Volume(
                id="-", name=mark, status="", size_gib=gib, bootable=True, image_metadata=dict(image.properties)
            )  # fmt: skip
            return wish, Origin(image_id=image.id)

        steps.append(_Make(tools, "root", Kind.VOLUME, root))
        needs = ("root",)

    def server(mark: str, done: Outputs) -> tuple[Resource, Origin]:
        disks: tuple[Attachment, ...] = ()
        if needs:
            disks = (Attachment(id="-", server_id="-", volume_id=str(done["root"]["id"]), boot_index=0),)
        wish = Server(
            id="-", name=mark, status="", flavor=flavor, image_id=None if needs else image.id, config_drive=True
        )  # fmt: skip
        return wish, Origin(disks=disks, user_data=user_data())

    def listen(done: Outputs, progress: Progress) -> JsonObject:
        id_ = str(done["server"]["id"])
        return {"image": image.name, "server": id_, **_listen(tools, id_, progress)}

    return [
        *steps,
        _Make(tools, "server", Kind.SERVER, server, needs),
        _Do(tools, "console", listen, ("server",)),
    ]


def user_data() -> str:
    """What the server runs at its first boot, if it has a Python."""
    program = resources.files("unterbau.prove").joinpath("guest.py").read_text(encoding="utf-8")
    return (
        f"#!/bin/sh\ncat > /run/unterbau.py <<'UNTERBAU'\n{program}\nUNTERBAU\n"
        "for python in python3 /usr/libexec/platform-python python; do\n"
        '  command -v "$python" && exec "$python" /run/unterbau.py\ndone\n'
    )


def _suited(images: Sequence[Image]) -> Image:
    """A public image that most likely runs cloud-init and Python; of a distribution's releases the newest."""
    public = [i for i in images if i.visibility == "public" and not i.hidden and i.status == "active"]
    if not public:
        raise NotFound("the cloud has no public image to make a server from")
    known = ("debian", "ubuntu", "almalinux", "rocky", "centos", "fedora", "opensuse")

    def rank(image: Image) -> tuple[bool, bool, int, list[int], str]:
        distro = image.properties.get("os_distro", "").lower()
        place = known.index(distro) if distro in known else len(known)
        figures = re.findall(r"\d+", image.properties.get("os_version") or image.name)
        newest_first = [-int(figure) for figure in figures[:4]]  # a kernel before 5.18 says nothing about entropy
        odd = image.properties.get("os_purpose", "generic") != "generic"
        return odd, distro not in known, place, newest_first, image.name

    return min(public, key=rank)


def _smallest(flavors: Sequence[Flavor], image: Image) -> Flavor:
    """The smallest flavor that the image fits into; one without a disk boots from a volume."""
    fit = [
        f for f in flavors
        if f.ram_mib >= max(image.min_ram_mib, 512) and (not f.disk_gib or f.disk_gib >= max(image.min_disk_gib, 8))
    ]  # fmt: skip
    if not fit:
        raise NotFound(f"the cloud has no flavor that the image {image.name} fits into")
    return min(fit, key=lambda f: (f.ram_mib, f.vcpus, f.disk_gib, f.name))


_SAID = re.compile(rf"{WORD} (\{{[^\n\r]*\}}) ([0-9a-f]{{8}})")


def heard(console: str) -> dict[str, JsonValue] | None:
    """What the server said, if it came through unharmed."""
    for text, check in _SAID.findall(console):
        if f"{zlib.crc32(text.encode()) & 0xFFFFFFFF:08x}" == check:
            told: dict[str, JsonValue] = json.loads(text)
            return told
    return None


def _listen(tools: _Tools, server_id: str, progress: Progress) -> JsonObject:
    begun = fresh = time.monotonic()
    before = ""
    patience = tools.patience
    while True:
        console = tools.cloud.console(server_id)
        told = heard(console)
        if told is not None:
            return {**told, "console": f"sha256:{hashlib.sha256(console.encode()).hexdigest()}"}
        clock = time.monotonic()
        if console != before:
            before, fresh = console, clock
        if clock - begun > patience.console.total_seconds() or clock - fresh > patience.quiet.total_seconds():
            return {"error": _kept(Reason.of("prove.write.mute", seconds=round(clock - begun)))}
        progress(int(clock - begun), None)
        tools.stop.wait(patience.pause)


# --- results


def _items(
    outputs: Outputs,
    errors: Mapping[str, JsonObject],
    missing: Mapping[str, Words],
    roles: Sequence[str],
    *,
    deleted: bool,
) -> Iterator[Item]:
    console = outputs.get("console", {})
    why = missing.get("server") or _why(outputs, errors, ("root", "server", "console"))
    common: Item = {k: console[k] for k in ("image", "server", "console", "kernel") if k in console}
    error = console.get("error") or _kept(why)
    for test, keys in (("entropy", ("entropy_avail",)), ("fips", ("blocks", "failures"))):
        yield {
            "test": test,
            **common,
            **{k: console[k] for k in keys if k in console},
            **({"error": error} if error else {}),
        }
    if "key-manager" in outputs or "key-manager" in errors:
        item: Item = {"test": "key-manager", "roles": list(roles), **outputs.get("key-manager", {})}
        yield item | ({"error": _kept(_message(errors["key-manager"]))} if "key-manager" in errors else {})
    yield _backup_item(outputs, errors, missing.get("backup", ""), deleted=deleted)
    for step in outputs.keys() | errors.keys():
        made, found, name = step.partition(f"{ENCRYPTED} ")
        if found and not made:
            why = _why(outputs, errors, (step, f"look at {step}"))
            told = outputs.get(f"look at {step}", {})
            yield {"test": "encryption", "type": name, **told, **({"error": _kept(why)} if why else {})}


ENCRYPTED = "volume of type"
_STAGES = {"volume": "volume", "backup": "backup", "restore": "restored"}
"""Steps whose bad end is a finding -> what the item calls them."""


def _backup_item(outputs: Outputs, errors: Mapping[str, JsonObject], missing: Words, *, deleted: bool) -> Item:
    item: Item = {"test": "backup", "deleted": deleted}
    for step, key in _STAGES.items():
        if step in outputs:
            item[key] = outputs[step].get("status")
    for key, step in (("written_sha256", "written bytes"), ("restored_sha256", "restored bytes")):
        if step in outputs:
            item[key] = outputs[step].get("sha256")
    uploaded = outputs.get("image", {}).get("sha256")
    if "written_sha256" in item and item["written_sha256"] != uploaded:
        return item | {"error": _kept(Reason.of("prove.write.not-held"))}
    stages = ("image", "volume", "target", "backup", "restore", "written image", "written bytes", "restored image")
    why = missing or _why(outputs, errors, (*stages, "restored bytes"))
    return item | ({"error": _kept(why)} if why else {})


def _why(outputs: Outputs, errors: Mapping[str, JsonObject], steps: Sequence[str]) -> Words:
    """The first thing that could not be tried. What ended badly is a result of its own, and no reason here."""
    for name in steps:
        if name in errors and errors[name].get("kind") != "Failed":
            return Reason.of("about", what=name, reason=_message(errors[name]))
        status = str(outputs.get(name, {}).get("status", ""))
        if name not in _STAGES and status not in ("", "available", "active", "ACTIVE"):
            return Reason.of("about", what=name, reason=status)
    return ""


def _message(error: JsonObject) -> Reason:
    return Reason.of("cloud.said", kind=str(error.get("kind")), what=str(error.get("message")))


def _kept(why: Words) -> JsonValue:
    """As it stands in an item, and `told_as` reads it."""
    return why if isinstance(why, str) else why.model_dump(mode="json")
