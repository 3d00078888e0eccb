# SPDX-License-Identifier: Apache-2.0
"""Glance (Image API v2) behind the port, Cinder's upload of a volume to an image, and Nova's of a server's disk. Called by `cloud`.

The marker is a tag from birth. An image that Cinder or Nova uploads cannot be given a tag in that request: it is *named* by the
marker, and is tagged and gets its true name once it is active, by `ensure` or by the `settle` that follows. What Glance,
Cinder or Nova still writes to nobody else touches: of two writes of one row Glance loses one, and then all of the image.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any, Self
from urllib.parse import quote

from unterbau.cloud.openstack.closed import Known, Reading, Table, Told, ignorable, one, truth
from unterbau.cloud.openstack.http import (
    Api,
    Json,
    Stream,
    by_id,
    measured,
    named_by,
    number,
    parallel,
)
from unterbau.cloud.openstack.service import eldest, from_tags, gone, settled, short, wait_gone
from unterbau.cloud.paging import Listed
from unterbau.cloud.port import Listing, Marker, is_marker, said
from unterbau.cloud.waiting import heeded, wait
from unterbau.errors import Broken, CloudError, Conflict, Forbidden, NotFound, Unsupported
from unterbau.tenant.kinds import Image, Kind, Resource, Source, ref
from unterbau.tenant.kinds.image import BY_NAME_TOO
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words, joined

TRANSFER = timedelta(minutes=10)
"""How long an image may take to become active once its data are there."""
_BAD = ("killed", "deleted", "deactivated", "pending_delete")
PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
_API = "https://docs.openstack.org/api-ref/image/v2/index.html#"
TABLE: Table = {
    **ignorable(_API + "list-images", "addresses of this API", "self", "file", "schema", "members[].schema"),
    **ignorable(_API + "list-images", "where this cloud keeps it", "locations", "direct_url", "stores"),
    **ignorable(_API + "list-images", "follows from its data", "virtual_size", "checksum"),
    **ignorable(_API + "list-images", "its history here", "updated_at"),
    **ignorable(_API + "list-image-members", "each project's own answer, and history", "members[].image_id",
                "members[].status", "members[].created_at", "members[].updated_at"),
    **ignorable(_API + "interoperable-image-import", "the state of an import here", "os_glance_failed_import",
                "os_glance_import_task", "os_glance_importing_to_stores", "os_glance_stage_host"),
    **{name: Known("a property that is not set", _API + "image-schemas", (None,)) for name in (
        "kernel_id", "ramdisk_id", "instance_uuid", "architecture", "os_distro", "os_version")},
}  # fmt: skip
"""What the translation below does not read. Every other field with a text is a property of the user's."""
_OWN = frozenset(
    {"id", "name", "status", "disk_format", "container_format", "visibility", "protected", "os_hidden", "min_disk",
     "min_ram", "size", "os_hash_algo", "os_hash_value", "owner", "tags", "created_at", "members"}
)  # fmt: skip


class ImageService:
    """Images of the project. `volumes` is Cinder's Api and `servers` Nova's, for what they upload."""

    KINDS = (Kind.IMAGE,)

    def __init__(
        self, api: Callable[[], Api], volumes: Callable[[], Api], servers: Callable[[], Api], project: Callable[[], str]
    ) -> None:
        self._api, self._volumes, self._servers, self._project = api, volumes, servers, project
        self._lock = threading.Lock()
        self._unfinished: dict[str, tuple[Image, Marker]] = {}
        """Images that Cinder or Nova fills -> what they are to be called and tagged."""
        self._of_servers: dict[str, str] = {}
        """Images that Nova fills -> whose disk that is."""

    # --- reading

    def listing(self, kind: Kind) -> Listing:
        """All images that the project owns, hidden ones included, with their members."""
        listed, reading = self._own(), Reading(kind.value, TABLE)
        notes = short(kind.value, kind, listed.doubt) if listed.doubt else []

        def taken(entry: Json) -> tuple[Image | None, list[NotShown]]:
            whole, hidden = self._with_members(entry)
            return reading.take(ref(kind, by_id(entry)), whole, _image), hidden

        results = parallel(taken, listed.entries)
        return Listing(
            resources=tuple(image for image, _ in results if image is not None),
            not_shown=(*notes, *(note for _, hidden in results for note in hidden), *reading.notes()),
        )

    def _own(self, **query: Any) -> Listed[Json]:
        found, doubts = dict[str, Json](), list[Words]()
        for hidden in ("false", "true"):
            asked = {"owner": self._project(), "visibility": "all", "os_hidden": hidden, **query}
            listed = self._api().listed("/v2/images", "images", **asked)
            found |= {by_id(entry): entry for entry in listed.entries}
            doubts.append(listed.doubt)
        return Listed(tuple(found.values()), joined(doubts))

    def _with_members(self, entry: Json) -> tuple[Json, list[NotShown]]:
        """The entry with the members of a shared image as one more field of it."""
        if entry.get("visibility") != "shared":
            return entry, []
        try:
            listed = self._api().listed(
                f"/v2/images/{by_id(entry)}/members", "members", entry_name=named_by("member_id")
            )
        except CloudError as error:
            return entry, [NotShown(what=f"{ref(Kind.IMAGE, by_id(entry))}.members", reason=said(error))]
        notes = [NotShown(what=f"{ref(Kind.IMAGE, by_id(entry))}.members", reason=listed.doubt)] if listed.doubt else []
        return {**entry, "members": list(listed.entries)}, notes

    def others(self) -> tuple[tuple[Image, ...], list[NotShown]]:
        """Public, community and shared images of others."""
        found = self._api().listed("/v2/images", "images", visibility="all", member_status="all")
        theirs = tuple(e for e in found.entries if e.get("owner") != self._project())
        return Reading("offering.images", TABLE).each(Listed(theirs, found.doubt), _image)

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """The image, or None."""
        entry = self._api().find(f"/v2/images/{id_}")
        return one(ref(kind, id_), self._with_members(entry)[0], _image) if entry else None

    @contextmanager
    def bytes_of(self, image_id: str) -> Iterator[Data]:
        """The image's data. Raises Broken if it breaks off before the size that Glance tells."""
        entry = self._api().find(f"/v2/images/{image_id}")
        if entry is None:
            raise NotFound(f"image {image_id} does not exist")
        with Data(self._api(), image_id, number(entry.get("size"))) as data:
            yield data

    def start_of(self, image_id: str, length: int) -> bytes:
        """The first bytes; a Glance whose store gives no parts is left in the middle of the whole."""
        path = f"/v2/images/{image_id}/file"
        try:
            with self._api().download(path, headers={"Range": f"bytes=0-{length - 1}"}) as stream:
                return _beginning(stream, length)
        except (Conflict, Unsupported):
            with self._api().download(path) as stream:
                return _beginning(stream, length)

    def formats(self) -> tuple[str, ...]:
        """The disk formats that this Glance takes, as its schema says; () if it does not say."""
        try:
            told: Any = self._api().get("/v2/schemas/image")
        except (NotFound, Forbidden):
            return ()
        for key in ("properties", "disk_format", "enum"):
            told = told.get(key) if isinstance(told, dict) else None
        return tuple(sorted(name for name in told or () if isinstance(name, str)))

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """None: images are tagged from birth."""
        return ()

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Find by tag (or, uploaded by Cinder, by name) or create, private and without data."""
        if not isinstance(resource, Image):
            raise Unsupported(f"image: a {resource.own_kind} cannot be made here")
        there = [*self._own(tag=marker).entries, *self._own(name=marker).entries]
        dead = [by_id(e) for e in there if e.get("status") in ("killed", "deleted", "pending_delete")]
        for id_ in dead:
            gone(lambda i=id_: self._api().json("DELETE", f"/v2/images/{i}"))  # type: ignore[misc]
        found = eldest(e for e in there if by_id(e) not in dead)
        if source.volume_id or source.server_id:
            id_ = str(found["id"]) if found else self._uploaded(resource, marker, source)
            with self._lock:
                self._unfinished[id_] = resource, marker
                if source.server_id:
                    self._of_servers[id_] = source.server_id
            if found and found.get("status") == "active":
                self._adopt(id_)
            return id_
        return str(found["id"]) if found else self._create(resource, marker)

    def _create(self, wish: Image, marker: Marker) -> str:
        body: Json = {
            **wish.properties,
            "name": wish.name,
            "visibility": "private",
            "min_disk": wish.min_disk_gib,
            "min_ram": wish.min_ram_mib,
            "tags": [marker, *wish.tags],
        }
        if wish.disk_format:
            body["disk_format"] = wish.disk_format
        if wish.container_format:
            body["container_format"] = wish.container_format
        return str(self._api().json("POST", "/v2/images", body)["id"])

    def _uploaded(self, wish: Image, marker: Marker, source: Source) -> str:
        """The id of what Cinder or Nova begins to upload."""
        if source.server_id:
            return self._save_server(marker, source.server_id)
        return self._upload_volume(wish, marker, source)

    def _save_server(self, marker: Marker, server_id: str) -> str:
        """createImage: Nova makes one after another of a server, and chooses the form itself."""
        busy = Reason.of("wait.idle", server=server_id)
        wait(lambda: True if self._is_idle(server_id) else None, TRANSFER, busy)
        path = f"/servers/{server_id}/action"
        answer = self._servers().json("POST", path, {"createImage": {"name": marker}})
        if told := (answer or {}).get("image_id"):
            return str(told)
        named = eldest(self._own(name=marker).entries)  # before 2.45 a header tells it
        if named is None:
            raise Broken(f"compute: server {server_id}: the image that it was to become is not there")
        return str(named["id"])

    def _is_idle(self, server_id: str) -> bool:
        """Whether Nova does nothing with a server at this moment; one that is gone it does nothing with."""
        entry = self._servers().entry(f"/servers/{server_id}", "server")
        return not entry or entry.get("OS-EXT-STS:task_state") is None

    def _upload_volume(self, wish: Image, marker: Marker, source: Source) -> str:
        upload: Json = {
            "image_name": marker,
            "disk_format": wish.disk_format or "raw",
            "container_format": wish.container_format or "bare",
            "visibility": "private",
            "protected": False,
        }
        if source.force:
            upload["force"] = True
        path = f"/volumes/{source.volume_id}/action"
        answer = self._volumes().json("POST", path, {"os-volume_upload_image": upload})
        return str(answer["os-volume_upload_image"]["image_id"])

    def _adopt(self, id_: str) -> None:
        """Tag what Cinder made and filled, and give it its name."""
        with self._lock:
            wish, marker = self._unfinished.pop(id_, (None, ""))
        if wish is None:
            return
        entry = self._api().find(f"/v2/images/{id_}")
        if entry is None:
            raise Broken(f"image {id_} vanished")
        if entry["name"] == wish.name and marker in entry["tags"]:
            return
        changes = [_replace("tags", sorted({*entry["tags"], marker, *wish.tags}))]
        changes += [_add(k, v) for k, v in wish.properties.items() if entry.get(k) != v]
        self._patch(id_, [*changes, _replace("name", wish.name)])

    def _patch(self, id_: str, changes: list[Json]) -> None:
        self._api().json("PATCH", f"/v2/images/{id_}", changes, headers={"Content-Type": PATCH_TYPE})

    def write(self, image: Image, data: Iterable[bytes], size_bytes: int | None) -> None:
        """Upload data into a queued image, then set name, members, visibility, hidden and protection.

        An upload whose answer was lost may still go on: it ends with all its data, or the image is queued again.
        """
        entry = self._there(image.id)
        if entry["status"] == "saving":
            settled(Kind.IMAGE, image.id, TRANSFER, lambda: self._settled_entry(image.id), ("active", "queued"), _BAD)
            entry = self._there(image.id)
        if entry["status"] == "queued":
            self._api().json(
                "PUT",
                f"/v2/images/{image.id}/file",
                data=measured(data, size_bytes, f"image {image.id}"),
                headers={"Content-Type": "application/octet-stream"},
            )
        elif entry["status"] not in ("active", "importing"):
            raise Conflict(f"image {image.id} takes no data in status {entry['status']}")
        settled(Kind.IMAGE, image.id, TRANSFER, lambda: self._settled_entry(image.id), ("active",), _BAD)
        self._publish(entry, image)

    def _there(self, id_: str) -> Json:
        entry = self._api().find(f"/v2/images/{id_}")
        if entry is None:
            raise NotFound(f"image {id_} does not exist")
        return entry

    def _publish(self, entry: Json, wish: Image) -> None:
        """Name and visibility before members (only a shared image has them), protection last."""
        changes: list[Json] = []
        if wish.name and entry["name"] != wish.name:
            changes.append(_replace("name", wish.name))
        if entry["visibility"] != wish.visibility:
            changes.append(_replace("visibility", wish.visibility))
        if bool(entry.get("os_hidden")) != wish.hidden:
            changes.append(_replace("os_hidden", wish.hidden))
        if changes:
            self._patch(wish.id, changes)
        if wish.visibility == "shared" and wish.members:
            path = f"/v2/images/{wish.id}/members"
            there = {m["member_id"] for m in self._api().get(path).get("members", ())}
            for member in wish.members:
                if member not in there:
                    self._api().json("POST", path, {"member": member})
        if entry.get("protected", False) != wish.protected:
            self._patch(wish.id, [_replace("protected", wish.protected)])

    # --- waiting and deleting

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """Until active (an image without data stays queued until `write`)."""
        server_id = self._of_servers.get(id_)
        read = self._filled_by(server_id, id_) if server_id else lambda: self._settled_entry(id_)
        found = settled(kind, id_, deadline, read, ("active",), _BAD)
        if id_ not in self._unfinished:
            return found
        self._adopt(id_)
        return self._settled_entry(id_) or found

    def _filled_by(self, server_id: str, id_: str) -> Callable[[], Image | None]:
        """Reads an image that Nova fills. Raises Broken once Nova has gone on to nothing and left it empty.

        That is seen twice: between the image and what Nova notes of the server a request of ours may fall.
        """
        idle = 0

        def look() -> Image | None:
            nonlocal idle
            found = self._settled_entry(id_)
            if found is not None and found.status == "queued":
                idle = idle + 1 if self._is_idle(server_id) else 0
                if idle > 1:
                    raise Broken("compute: Nova made an image of a server and gave it no bytes")
            return found

        return look

    def _settled_entry(self, id_: str) -> Image | None:
        found = self.read(Kind.IMAGE, id_)
        return found if isinstance(found, Image) else None

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """A tag."""
        gone(lambda: self._api().json("DELETE", f"/v2/images/{resource.id}/tags/{quote(marker)}"))

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete; a protected image is refused with Conflict."""
        try:
            gone(lambda: self._api().json("DELETE", f"/v2/images/{id_}"))
        except Forbidden as error:
            if "protected" not in error.what:
                raise
            raise Conflict(error.what, "Lift the protection of the image.") from None
        wait_gone(kind, id_, deadline, lambda: (self._api().find(f"/v2/images/{id_}") or {}).get("status"))


class Data:
    """The data of an image; a `ByteStream` of the port, open while it is a context.

    What breaks off is gone on with where the store gives parts (Range, RFC 9110): the data of an active image never change.
    """

    AGAIN = 5
    """How often in a row, with nothing read between."""

    def __init__(self, api: Api, image_id: str, size_bytes: int | None) -> None:
        self._api, self._id, self._size = api, image_id, size_bytes
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._stream = self._from(0)
        if self._size is None:
            self._size = self._stream.size_bytes
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def size_bytes(self) -> int | None:
        """As Glance tells it, else as the answer does."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        got, failed = 0, 0
        while True:
            before = got
            try:
                for chunk in self._stream:
                    got += len(chunk)
                    yield chunk
                return
            except CloudError as error:
                failed = failed + 1 if got == before else 1
                if not error.transient or failed > self.AGAIN or not self._goes_on(got, failed):
                    raise

    def _goes_on(self, got: int, failed: int) -> bool:
        """Whether there is a stream of the rest now."""
        if not self._size or not 0 < got < self._size or heeded().stop.wait(failed - 1):
            return False
        self._open.close()
        with suppress(CloudError):
            self._stream = self._from(got)
            if self._stream.start == got:
                heeded().say(
                    f"image {self._id} broke off after {got} of {self._size} bytes; the rest is read on its own"
                )
                return True
        return False

    def _from(self, start: int) -> Stream:
        headers = {"Range": f"bytes={start}-"} if start else {}
        stream = self._open.enter_context(self._api.download(f"/v2/images/{self._id}/file", headers=headers))
        return stream if self._size is None else stream.of_size(self._size - start)


def _beginning(stream: Stream, length: int) -> bytes:
    found = b""
    for chunk in stream:
        found += chunk[: length - len(found)]
        if len(found) == length:
            break
    return found


def _replace(name: str, value: Any) -> Json:
    return {"op": "replace", "path": f"/{name}", "value": value}


def _add(name: str, value: Any) -> Json:
    escaped = name.replace("~", "~0").replace("/", "~1")
    return {"op": "add", "path": f"/{escaped}", "value": value}


def _image(entry: Told) -> Image:
    marker, tags = from_tags(entry.get("tags") or ())
    name = entry.get("name") or ""
    if marker is None and is_marker(name):
        marker = name
    theirs = [k for k in sorted(entry.names()) if k not in TABLE and k not in _OWN]
    theirs += [k for k in sorted(TABLE.keys() & set(entry.names())) if TABLE[k].unset is not None]
    properties = {k: v for k in theirs if isinstance(entry.plain(k), str) and (v := entry[k]) is not None}
    told = entry.get("os_hash_algo"), entry.get("os_hash_value")
    if told[1] is None and entry.get("checksum"):  # Glance before 2.7
        told = BY_NAME_TOO, entry["checksum"]
    return Image(
        id=entry["id"],
        name=name,
        marker=marker,
        status=entry["status"],
        disk_format=entry.get("disk_format"),
        container_format=entry.get("container_format"),
        visibility=entry.get("visibility") or "private",
        protected=truth(entry.get("protected")),
        hidden=truth(entry.get("os_hidden")),
        min_disk_gib=entry.get("min_disk") or 0,
        min_ram_mib=entry.get("min_ram") or 0,
        size_bytes=entry.get("size"),
        hash_algo=told[0],
        hash_value=told[1],
        owner_id=entry.get("owner") or "",
        members=tuple(sorted(m["member_id"] for m in entry.get("members") or ())),
        properties=dict(sorted(properties.items())),
        tags=tags,
        created_at=entry.date("created_at"),
    )
