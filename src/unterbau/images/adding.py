# SPDX-License-Identifier: Apache-2.0
"""Bring a vendor's image into a cloud, and renew it. `cli.images` calls it.

Order: checksums, signature, the image's bytes and their hash; then name and mark durably; then the image, under a dated name until
it is whole; then the older build is renamed and hidden; then the new one gets the name and loses the mark. Killed anywhere, the
same command goes on. Nothing that is whole is deleted here: who uses an older build by its id keeps it.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from unterbau import files, qcow2
from unterbau.cloud.port import Cloud
from unterbau.defaults import LATE_SECONDS
from unterbau.errors import Failed, Forbidden, Interrupted, LocalError, NotFound, UnterbauError, UsageError
from unterbau.images import fetching, signature
from unterbau.images.model import CHECKSUM, Catalogue, Entry, Listed, Made, checksums, is_brought, listing
from unterbau.saga import Attempt, Journal, JsonObject, Marker, Outputs, Progress, forget, insist, peek, run, wait_out
from unterbau.tenant.kinds import Image, Kind, ref
from unterbau.verdict import Outcome, Words

GIB = 2**30
MOST_DISK = 2**44
SETTLE = timedelta(minutes=10)
VISIBILITIES = ("private", "shared", "community", "public")
_PAGES = (b"<!doctype", b"<html", b"<?xml")


@dataclass(frozen=True)
class Tools:
    """What it works with. `folder` keeps journals and downloads."""

    cloud: Cloud
    folder: Path
    now: Callable[[], datetime]
    stop: threading.Event
    say: Callable[[str], None] = lambda line: None
    late_seconds: float = LATE_SECONDS


@dataclass(frozen=True)
class Build:
    """A vendor's newest build, by the checksum file."""

    file: str
    url: str
    checksum: str
    """`sha512:...`"""
    signature: Outcome
    said: Words


def seen(tools: Tools, catalogue: Catalogue) -> Listed:
    """What the cloud has of the catalogue; nothing else is asked."""
    cloud = tools.cloud
    others = [i for i in cloud.surroundings().offering.images if isinstance(i, Image)]
    return listing(cloud.identity().name, catalogue, _own(cloud), others)


def add(tools: Tools, entry: Entry, visibility: str) -> Made:
    """The entry's newest build under the entry's title. An older build is not replaced: `sync` does that.

    Raises UsageError, Failed (checksum, signature), and what vendor and cloud are wrong with.
    """
    with _alone(tools, entry):
        build = _look(entry)
        older = [
            i for i in _added(tools.cloud, entry) if i.properties.get(CHECKSUM) != build.checksum and i.marker is None
        ]
        if any(i.name == entry.title for i in older):
            raise UsageError(f"{entry.name}: an older build is there", "Renew it: unterbau images sync CLOUD.")
        if any(i.name == entry.title and not is_brought(i, entry) for i in _own(tools.cloud)):
            raise UsageError(f"{entry.name}: the project has an image {entry.title} that was not added here",
                             "Rename it, or use it: of two with one name nobody could choose by name.")  # fmt: skip
        return _bring(tools, entry, build, visibility, ())


def sync(tools: Tools, catalogue: Catalogue) -> list[Made]:
    """Renew what `add` brought here. What fails for one entry keeps no other from being renewed. Raises Interrupted."""
    found = []
    for entry in catalogue.entries:
        try:
            before = _added(tools.cloud, entry)
            if not before:
                continue
            with _alone(tools, entry):
                named = next((i for i in before if i.name == entry.title), before[-1])
                found.append(_bring(tools, entry, _look(entry), named.visibility, named.members))
        except Interrupted:
            raise
        except UnterbauError as error:
            found.append(Made(entry=entry.name, did="failed", error=error.told()))
    return found


def _alone(tools: Tools, entry: Entry) -> AbstractContextManager[None]:
    """One process at an entry of a project."""
    files.make_folder(tools.folder)
    path = tools.folder / f"{_place(tools.cloud)}-{entry.name}.lock"
    return files.locked(path, lambda: tools.say(f"another process is at {entry.name}; waiting"))


def _own(cloud: Cloud) -> list[Image]:
    return [i for i in cloud.listing(Kind.IMAGE).resources if isinstance(i, Image)]


def _added(cloud: Cloud, entry: Entry) -> list[Image]:
    """What `add` and `sync` brought of the entry. Raises UsageError where two have its name: nobody can tell which is the copy."""
    found = [i for i in _own(cloud) if is_brought(i, entry)]
    named = [i for i in found if i.name == entry.title]
    if len(named) > 1:
        raise UsageError(f"{entry.name}: {len(named)} images of the project are called {entry.title} and say that they were added here",
                         "Nothing was renamed. Rename the copies.", [i.id for i in named])  # fmt: skip
    return found


def _place(cloud: Cloud) -> str:
    identity = cloud.identity()
    told = "\n".join([identity.auth_url, identity.region, identity.project_id])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


# --- the vendor


def _look(entry: Entry) -> Build:
    """The newest build, as the checksum file names it."""
    if not entry.folder:
        raise UsageError(f"{entry.name}: the catalogue knows no address of it", "; ".join(entry.not_known))
    where = entry.folder + entry.checksums.replace("{file}", entry.file)
    raw = fetching.text(where, entry.hosts)
    if raw.lstrip()[:9].lower().startswith(_PAGES):
        raise Failed(
            f"{where}: a web page came in place of checksums", "Nothing was made. Is that address still the vendor's?"
        )
    told = signature.cannot(entry)
    outcome, said = Outcome.NOT_SHOWN, told
    if not told:
        outcome, said = signature.check(entry, raw, fetching.text(entry.folder + entry.signature, entry.hosts))
    alone = entry.file if "{file}" in entry.checksums else ""
    found = checksums(raw.decode("utf-8", "replace"), entry.algorithm, alone)
    file = entry.chosen(found, where)
    return Build(file, entry.folder + file, f"{entry.algorithm}:{found[file]}", outcome, said)


def _download(path: Path, tools: Tools, entry: Entry, build: Build) -> tuple[date, int]:
    """Read the file whose hash is the vendor's: the day of its build, and the size of its disk in bytes. Nothing else is kept."""
    if not path.exists() or _hash_of(path, entry.algorithm) != build.checksum:
        part = path.with_suffix(".part")
        try:
            with fetching.opened(build.url, entry.hosts) as answer, files.translated(part), part.open("wb") as out:
                tools.say(f"reading {build.file}" + (f", {answer.size_bytes} bytes" if answer.size_bytes else ""))
                for chunk in answer.data:
                    out.write(chunk)
                day = answer.day
            _demand(part, entry, build)
            if day is not None:
                at = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
                os.utime(part, (at, at))
            elif entry.day_of(build.file) is None:
                raise Failed(f"{build.url}: neither its name nor the vendor tells the day of its build",
                             "scs-0102 wants it. Name an entry whose files are dated.")  # fmt: skip
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    with path.open("rb") as image:
        start = image.read(qcow2.HEADER_BYTES)
    try:
        size = qcow2.Header.of(start, MOST_DISK).size
    except qcow2.Unreadable as error:
        path.unlink()
        raise Failed(f"{build.url}: it {error}", "Nothing was made.") from None
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    return entry.day_of(build.file) or modified, size


def _demand(part: Path, entry: Entry, build: Build) -> None:
    """Raises Failed unless its hash is the vendor's."""
    if (got := _hash_of(part, entry.algorithm)) == build.checksum:
        return
    with part.open("rb") as image:
        page = image.read(64).lstrip().lower().startswith(_PAGES)
    what = "a web page came in place of the image" if page else "other bytes came than the vendor's checksum is of"
    raise Failed(f"{build.url}: {what}", "Nothing was made. Run it again; if it stays so, ask the vendor.",
                 (f"announced {build.checksum}", f"came      {got}"))  # fmt: skip


def _hash_of(path: Path, algorithm: str) -> str:
    with files.translated(path), path.open("rb") as image:
        return f"{algorithm}:{hashlib.file_digest(image, algorithm).hexdigest()}"


# --- the cloud


def _bring(tools: Tools, entry: Entry, build: Build, visibility: str, members: Sequence[str]) -> Made:
    before = _added(tools.cloud, entry)
    marker = Marker(run=f"images-{_place(tools.cloud)}", node=f"{entry.name} {build.checksum}").tag()
    journal = tools.folder / f"{_place(tools.cloud)}-{entry.name}-{build.checksum.partition(':')[2][:16]}.db"
    path = journal.with_suffix(".image")
    _take_up(tools, entry, journal)
    done = next((i for i in before if _is_whole(i, entry, build)), None)
    if done is not None and not journal.exists():
        path.unlink(missing_ok=True)
        return _told(entry, build, "current", done)
    day, size = _download(path, tools, entry, build)
    step = _Make(tools, entry, build, marker, visibility, tuple(members), path, day, size)
    with Journal(journal, now=tools.now) as kept:
        result = run([step], kept, plan=marker, workers=1, stop=tools.stop, late_seconds=tools.late_seconds)
        if result.interrupted:
            raise Interrupted(f"stopped while bringing {entry.name}", "Run the same command again.")
        if not result.complete:
            raise step.errors[-1] if step.errors else Failed(f"{entry.name}: {kept.status.errors[step.name]}")
        made = kept.outputs[step.name]
        if wait_out(kept, tools.late_seconds, now=tools.now, stop=tools.stop, say=tools.say):
            _remove(tools, marker, but=str(made["id"]))
    forget(journal)
    path.unlink(missing_ok=True)
    there = tools.cloud.read(ref(Kind.IMAGE, str(made["id"])))
    if not isinstance(there, Image):
        raise NotFound(f"{entry.name}: the image {made['id']} is gone again")
    retired = made["retired"]
    told = _told(entry, build, "renewed" if retired else "added", there)
    return told.model_copy(update={"retired": tuple(retired) if isinstance(retired, list) else ()})


def _is_whole(image: Image, entry: Entry, build: Build) -> bool:
    same = image.properties.get(CHECKSUM) == build.checksum and image.name == entry.title
    return same and image.status == "active" and image.marker is None and not image.hidden


def _told(entry: Entry, build: Build, did: str, image: Image) -> Made:
    return Made.model_validate(
        {"entry": entry.name, "did": did, "id": image.id, "name": image.name, "visibility": image.visibility,
         "build_date": image.properties.get("image_build_date", ""), "checksum": build.checksum,
         "signature": build.signature, "signature_said": build.said}
    )  # fmt: skip


def _take_up(tools: Tools, entry: Entry, ours: Path) -> None:
    """A killed run was at a build that is no longer the newest: what it left unfinished goes, and what it had read."""
    of_entry = re.compile(rf"{re.escape(f'{_place(tools.cloud)}-{entry.name}')}-[0-9a-f]{{16}}\.(db|image|part)")
    for path in sorted(tools.folder.iterdir()):
        if path.stem == ours.stem or not of_entry.fullmatch(path.name):
            continue
        if path.suffix == ".db":
            with suppress(LocalError):  # forgotten meanwhile
                for intent in peek(path).intents.values():
                    _remove(tools, str(intent["marker"]))
            forget(path)
        else:
            path.unlink(missing_ok=True)


def _remove(tools: Tools, marker: str, but: str = "") -> None:
    """Images with this mark that hold nothing go; one that is whole is kept, without the mark."""
    for image in _own(tools.cloud):
        if image.marker == marker and image.id != but:
            if image.status == "active":
                tools.cloud.unmark(image)
            else:
                tools.cloud.delete(image.ref, SETTLE)


@dataclass(frozen=True)
class _Make:
    """Make the image, retire older builds, give it its name."""

    tools: Tools
    entry: Entry
    build: Build
    marker: str
    visibility: str
    members: tuple[str, ...]
    path: Path
    day: date
    disk_bytes: int
    errors: list[UnterbauError] = field(default_factory=list)
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"image {self.entry.name}"

    def intend(self, done: Outputs) -> JsonObject:
        """Name and mark, durable before anything is made."""
        return {
            "kind": Kind.IMAGE.value,
            "name": self._wish().name,
            "marker": self.marker,
            "checksum": self.build.checksum,
        }

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """Find or make, fill, and change names."""
        try:
            return self._made(progress)
        except UnterbauError as error:
            self.errors.append(error)
            raise

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What is unfinished goes."""
        _remove(self.tools, self.marker)

    def _made(self, progress: Attempt) -> JsonObject:
        cloud, wish = self.tools.cloud, self._wish()
        whole = next((i for i in _added(cloud, self.entry) if _is_whole(i, self.entry, self.build)), None)
        id_ = whole.id if whole else insist(lambda: cloud.ensure(wish, self.marker), progress)
        size = self.path.stat().st_size
        if whole is None:
            with self.path.open("rb") as image:
                cloud.write_image(wish.model_copy(update={"id": id_}), _chunks(image, size, progress), size)
        retired = []
        for old in _added(cloud, self.entry):
            other = old.properties.get(CHECKSUM) != self.build.checksum
            if old.id != id_ and other and (not old.hidden or old.name == self.entry.title):
                cloud.write_image(old.model_copy(update={"name": self.entry.dated(old), "hidden": True}), (), None)
                retired.append(old.id)
        final = {"id": id_, "name": self.entry.title, "visibility": self.visibility, "members": self.members}
        try:
            cloud.write_image(wish.model_copy(update=final), (), None)
        except Forbidden as error:
            raise Forbidden(
                error.what, "The image is there, and private: the same command without --visibility finishes it."
            ) from None
        there = cloud.read(ref(Kind.IMAGE, id_))
        if there is not None and there.marker is not None:
            cloud.unmark(there)
        return {"id": id_, "retired": [*retired]}

    def _wish(self) -> Image:
        wish = Image(
            id="-", name="", status="queued", disk_format="qcow2", container_format="bare", visibility="private",
            min_disk_gib=max(self.entry.min_disk_gib, -(-self.disk_bytes // GIB)), min_ram_mib=self.entry.min_ram_mib,
            properties=self.entry.properties(self.day, self.build.url, self.build.checksum),
            tags=(f"os:{self.entry.distro}",),
        )  # fmt: skip
        return wish.model_copy(update={"name": self.entry.dated(wish)})


def _chunks(image: BinaryIO, size: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    while chunk := image.read(fetching.CHUNK):
        done += len(chunk)
        progress(done, size)
        yield chunk
