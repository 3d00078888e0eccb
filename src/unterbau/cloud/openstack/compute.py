# SPDX-License-Identifier: Apache-2.0
"""Nova (Compute API 2.1) behind the port: servers, keypairs, server groups, attachments. Called by `cloud`.

A server carries the marker in its metadata, or as a tag where these are full. Keypairs are unique by name, server groups are told by `before`,
an attachment is itself (server id/volume id). The order of a server's interfaces stands only in `addresses`,
grouped by network; the root disk is not named to a tenant: see `_port_ids` and `_boot_index` for what follows.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from unterbau.cloud.openstack.closed import Reading, Table, Told, ignorable, lost, one, truth
from unterbau.cloud.openstack.glances import FRESH_SECONDS, Glances
from unterbau.cloud.openstack.http import PAGE, Api, Json, by_id, named_by, parallel
from unterbau.cloud.openstack.service import eldest, from_metadata, from_tags, gone, only, settled, short, wait_gone
from unterbau.cloud.openstack.session import at_least
from unterbau.cloud.paging import Listed
from unterbau.cloud.port import Listing, Marker, Power, carries, is_marker, marked, markers, our_keys
from unterbau.cloud.waiting import wait
from unterbau.errors import Broken, CloudError, Conflict, NotFound, Unreachable, Unsupported
from unterbau.tenant.kinds import Attachment, Flavor, Keypair, Kind, Resource, Server, ServerGroup, Source, ref
from unterbau.tenant.kinds.attachment import SINCE
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words

USER_DATA_REASON = Reason.of("server.user-data")
MUTE = Reason.of("server.mute")
_API = "https://docs.openstack.org/api-ref/compute/#"
_SERVERS, _KEYS = _API + "list-servers-detailed", _API + "list-keypairs"
TABLES: Mapping[Kind, Table] = {
    Kind.KEYPAIR: ignorable(_KEYS, "who made it and when", "created_at", "deleted", "deleted_at", "id", "updated_at",
                            "user_id"),
    Kind.SERVER_GROUP: {
        **ignorable(_API + "list-server-groups", "whose it is", "project_id", "user_id"),
        **ignorable(_API + "list-server-groups", "the older spelling of policy", "policies"),
        **ignorable(_API + "list-server-groups", "always empty, gone with 2.64", "metadata"),
    },
    Kind.SERVER: {
        **ignorable(_SERVERS, "whose it is, and its history here", "tenant_id", "user_id", "updated",
                    "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at"),
        **ignorable(_SERVERS, "this cloud's state of it", "progress", "fault", "host_status", "OS-EXT-STS:power_state",
                    "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state"),
        **ignorable(_SERVERS, "where it stands, for administrators", "OS-EXT-SRV-ATTR:host",
                    "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name",
                    "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:launch_index",
                    "OS-EXT-SRV-ATTR:root_device_name"),
        **ignorable(_SERVERS, "follows from its image, for administrators", "OS-EXT-SRV-ATTR:kernel_id",
                    "OS-EXT-SRV-ATTR:ramdisk_id"),
        **ignorable(_SERVERS, "named for each server", "OS-EXT-SRV-ATTR:user_data"),
        **ignorable(_SERVERS, "addresses of this API", "links", "image.links", "flavor.links"),
        **ignorable(_SERVERS, "told by its ports", "security_groups", "addresses.*[].addr", "addresses.*[].version",
                    "addresses.*[].OS-EXT-IPS:type"),
        **ignorable(_SERVERS, "told by its attachments", "os-extended-volumes:volumes_attached"),
        **ignorable(_SERVERS, "the zone in which it stands is carried", "pinned_availability_zone"),
        **ignorable(_SERVERS, "its image tells it", "image.properties"),
        **lost(_SERVERS, "its address for access is not carried", "accessIPv4", ""),
        **lost(_SERVERS, "its address for access is not carried", "accessIPv6", ""),
        **lost(_SERVERS, "the certificates of its image are not carried", "trusted_image_certificates", []),
        **lost(_SERVERS, "its hints to the scheduler are not carried", "scheduler_hints", {}),
    },
    Kind.ATTACHMENT: ignorable(_API + "list-volume-attachments-for-an-instance", "ids of this cloud", "id",
                               "attachment_id", "bdm_uuid"),
}  # fmt: skip
"""What the translations below do not read."""
_FLAVOR: Table = ignorable(
    _API + "list-flavors-with-details", "the provider's", "links", "description", "rxtx_factor",
    "os-flavor-access:is_public", "OS-FLV-DISABLED:disabled",
)  # fmt: skip
_MADE, _BUILDING = ("ACTIVE", "SHUTOFF"), "BUILD"
"""How a server stands that is made, and one that is being made (api-ref/compute, server status)."""
_FIRST_DEVICES = frozenset({"vda", "sda", "xvda", "hda"})


class ComputeService:
    """Servers and what belongs to them. `ports` gives the raw Neutron ports (of one server, if named)."""

    KINDS = (Kind.KEYPAIR, Kind.SERVER_GROUP, Kind.SERVER, Kind.ATTACHMENT)

    def __init__(self, api: Callable[[], Api], ports: Callable[..., list[Json]]) -> None:
        self._api, self._ports = api, ports
        self._making = threading.Lock()
        self._claimed: dict[str, Marker] = {}
        """Server groups that this process made or found for a marker: twins take none of each other's."""
        self._at_first: frozenset[Marker] | None = None
        """What the servers carried when this process first looked for one."""
        self._sought: set[Marker] = set()
        """The servers that this process looked for already, so that a request of its own may have made them."""
        self._flavors: dict[str, str] = {}
        self._ungrouped: set[str] = set()
        """Servers that this process asked for without a server group: no listing of groups has to tell."""
        self._glances = Glances(self._underway)

    # --- reading

    def listing(self, kind: Kind) -> Listing:
        """Everything of the kind that the project (or, for keypairs, the user) owns."""
        if kind is Kind.KEYPAIR:
            keys = self._keypairs()
            return _read(kind, keys, ((_key_name(e), e.get("keypair")) for e in keys.entries), _keypair)
        if kind is Kind.SERVER_GROUP:
            groups = self._groups()
            return _read(kind, groups, ((by_id(e), e) for e in groups.entries), _group)
        if kind is Kind.ATTACHMENT:
            return self._attachments()
        return self._servers()

    def raw(self) -> list[Json]:
        """All servers as the API tells them; of one whose cell does not answer only id, status and dates (`_is_mute`)."""
        return list(self._listed().entries)

    def _listed(self) -> Listed[Json]:
        """No page size is asked for: with one, Nova leaves those out without a word whose cell does not answer."""
        return self._api().listed("/servers/detail", "servers", limit=None)

    def keypairs(self) -> tuple[Json, ...]:
        """All key pairs of the user as the API tells them."""
        return self._keypairs().entries

    def _keypairs(self) -> Listed[Json]:
        return self._api().listed("/os-keypairs", "keypairs", entry_name=_key_name)

    def _groups(self) -> Listed[Json]:
        """Server groups; they page by offset, and no answer says that there are more."""
        return self._api().listed("/os-server-groups", "server_groups", by="offset")

    def _servers(self) -> Listing:
        listed = self._listed()
        notes = short(Kind.SERVER.value, Kind.SERVER, listed.doubt) if listed.doubt else []
        if not listed.entries:
            return Listing(resources=(), not_shown=tuple(notes))
        notes += _mute(listed.entries)
        servers = [s for s in listed.entries if not _is_mute(s)]
        ports, groups = self._ports_of(servers), self._groups().entries
        reading, resources = Reading(Kind.SERVER.value, TABLES[Kind.SERVER]), list[Resource]()
        for entry in servers:
            id_ = by_id(entry)
            made = partial(self._server, ports=ports.get(id_, []), groups=groups)
            found = reading.take(ref(Kind.SERVER, id_), entry, made)
            if found is not None:
                resources.append(found[0])
                notes += found[1]
        notes += reading.notes()
        return Listing(resources=tuple(resources), not_shown=tuple(notes), entries=len(listed.entries))

    def _ports_of(self, servers: Sequence[Json]) -> dict[str, list[Json]]:
        """The ports by server; asked for once more where Nova tells an interface that is not among them."""
        for again in (False, True):
            found: dict[str, list[Json]] = {}
            for port in self._ports(again=again):
                found.setdefault(named_by("device_id")(port), []).append(port)
            if not any(_unknown_macs(s, found.get(by_id(s), [])) for s in servers):
                break
        return found

    def _server(self, entry: Told, ports: Sequence[Json], groups: Sequence[Json]) -> tuple[Server, list[NotShown]]:
        marker, metadata = from_metadata(entry.get("metadata") or {})
        tag, tags = from_tags(entry.get("tags") or ())
        port_ids, doubt = _port_ids(entry, ports)
        reference = ref(Kind.SERVER, entry["id"])
        notes = [NotShown(what=f"{reference}.user_data", reason=USER_DATA_REASON)]
        if doubt:
            notes.append(NotShown(what=f"{reference}.port_ids", reason=doubt))
        if "original_name" not in entry["flavor"]:
            notes.append(NotShown(what=f"{reference}.flavor", reason=Reason.of("server.no-flavor")))
        hostname = entry.get("OS-EXT-SRV-ATTR:hostname") or ""
        server = Server(
            id=entry["id"],
            name=entry.get("name") or "",
            marker=marker or tag,
            description=entry.get("description") or "",
            status=entry["status"],
            flavor=_embedded_flavor(entry["flavor"]),
            image_id=(entry.get("image") or {}).get("id"),
            key_name=entry.get("key_name"),
            server_group_id=next((by_id(g) for g in groups if entry["id"] in _members(g)), None),
            port_ids=port_ids,
            metadata=metadata,
            tags=tags,
            config_drive=truth(entry.get("config_drive")),
            availability_zone=entry.get("OS-EXT-AZ:availability_zone") or "",
            locked=truth(entry.get("locked")),
            locked_reason=entry.get("locked_reason") or "",
            hostname="" if hostname == _hostname(entry) else hostname,
            disk_config=entry.get("OS-DCF:diskConfig") or "MANUAL",
            host_id=entry.get("hostId") or "",
            created_at=entry.date("created"),
        )
        return server, notes

    def _attachments(self) -> Listing:
        listed, reading = self._listed(), Reading(Kind.ATTACHMENT.value, TABLES[Kind.ATTACHMENT])
        notes = _mute(listed.entries, Kind.ATTACHMENT)
        if listed.doubt:
            notes += short(Kind.SERVER.value, Kind.ATTACHMENT, listed.doubt)
        of_it = partial(self._attachments_of, reading=reading)
        results = parallel(of_it, [s for s in listed.entries if s.get("os-extended-volumes:volumes_attached")])
        notes += [n for listing in results for n in listing.not_shown]
        return Listing(
            resources=tuple(a for listing in results for a in listing.resources),
            not_shown=(*notes, *reading.notes()),
        )

    def _attachments_of(self, server: Json, reading: Reading) -> Listing:
        reference = ref(Kind.SERVER, by_id(server))
        try:
            listed, told = self._attached(server)
        except NotFound:  # the server went away between the two requests
            return Listing(resources=())
        except CloudError as error:
            return Listing(
                resources=(), not_shown=tuple(short(f"{reference}.attachments", Kind.ATTACHMENT, error.what))
            )
        root, doubt = _root(server, listed.entries)
        notes = [NotShown(what=f"{reference}.boot_index", reason=doubt)] if doubt else []
        if listed.doubt:
            notes += short(f"{reference}.attachments", Kind.ATTACHMENT, listed.doubt)
        found = []
        for entry in listed.entries:
            id_ = _volume_id(entry)
            made = partial(_attachment, told=told.get(id_, {}), root=root)
            found.append(reading.take(ref(Kind.ATTACHMENT, f"{by_id(server)}/{id_}"), entry, made))
        return Listing(resources=tuple(a for a in found if a is not None), not_shown=tuple(notes))

    def _attached(self, server: Json) -> tuple[Listed[Json], dict[str, Json]]:
        """Its attachments, and the volumes that the server itself tells by id; as many as these they must be.

        Nova cuts the listing without a word, before it leaves out what has no volume, and from 2.89 on also
        attachments of an old form.
        """
        told = _told(server)
        path, key = f"/servers/{by_id(server)}/os-volume_attachments", "volumeAttachments"
        listed = self._api().listed(path, key, entry_name=_volume_id, by="offset", count=len(told))
        if listed.doubt:  # or one was attached or detached meanwhile
            told = _told(self._entry(by_id(server)) or {})
            if told.keys() == {_volume_id(e) for e in listed.entries}:
                return Listed(listed.entries), told
        return listed, told

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        if kind is Kind.ATTACHMENT:
            return self._read_attachment(id_)
        what = ref(kind, id_)
        if kind is Kind.KEYPAIR:
            found = self._api().entry(f"/os-keypairs/{id_}", "keypair")
            return one(what, found, _keypair) if found else None
        if kind is Kind.SERVER_GROUP:
            found = self._api().entry(f"/os-server-groups/{id_}", "server_group")
            return one(what, found, _group) if found else None
        entry = self._entry(id_)
        return self._whole(entry) if entry else None

    def _entry(self, id_: str) -> Json | None:
        found = self._api().entry(f"/servers/{id_}", "server")
        if found and _is_mute(found):
            raise Unreachable(f"compute: server {id_}: {MUTE}", "Try again when the provider has mended it.")
        return found

    def _read_attachment(self, id_: str) -> Resource | None:
        server_id, _, volume_id = id_.partition("/")
        server = self._entry(server_id)
        reading = Reading(Kind.ATTACHMENT.value, {})
        found = self._attachments_of(server, reading).resources if server else ()
        return next((a for a in found if isinstance(a, Attachment) and a.volume_id == volume_id), None)

    def flavors(self) -> tuple[tuple[Flavor, ...], list[NotShown]]:
        """All flavors that the project sees, with extra specs (Nova >= 2.61)."""
        reading = Reading("offering.flavors", _FLAVOR)
        return reading.each(self._api().listed("/flavors/detail", "flavors"), _flavor)

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """Server groups and keypairs of the same name."""
        if isinstance(resource, ServerGroup):
            return tuple(by_id(g) for g in self._groups().entries if g.get("name") == resource.name)
        if isinstance(resource, Keypair):
            return (resource.name,) if self.read(Kind.KEYPAIR, resource.name) else ()
        return ()

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Find (by marker, or by content not in `before`) or create."""
        if isinstance(resource, Keypair):
            return self._ensure_keypair(resource, before)
        if isinstance(resource, ServerGroup):
            return self._ensure_group(resource, marker, before)
        if isinstance(resource, Attachment):
            return self._ensure_attachment(resource)
        if isinstance(resource, Server):
            return self._ensure_server(resource, marker, source)
        raise Unsupported(f"compute: a {resource.own_kind} cannot be made here")

    def _ensure_keypair(self, wish: Keypair, before: frozenset[str]) -> str:
        there = self.read(Kind.KEYPAIR, wish.name)
        if isinstance(there, Keypair):
            if wish.name in before or there.public_key.split()[:2] != wish.public_key.split()[:2]:
                raise Conflict(f"compute: a keypair of the name {wish.name} exists already")
            return wish.name
        body: Json = {"name": wish.name, "public_key": wish.public_key}
        if at_least(self._api().microversion, "2.2"):
            body["type"] = wish.type
        self._api().json("POST", "/os-keypairs", {"keypair": body})
        return wish.name

    def _ensure_group(self, wish: ServerGroup, marker: Marker, before: frozenset[str]) -> str:
        """One after another: a twin that is made at the same time carries no mark either."""
        with self._making:
            taken = (Reading("", {}).take(by_id(e), e, _group) for e in self._groups().entries)
            groups = (g for g in taken if g is not None and self._claimed.get(g.id, marker) == marker)
            alike = (g.id for g in groups if g.id not in before and (g.name, g.policy) == (wish.name, wish.policy))
            id_ = only(f"compute: server group {wish.name}", alike) or self._create_group(wish)
            self._claimed[id_] = marker
            return id_

    def _create_group(self, wish: ServerGroup) -> str:
        body: Json = {"name": wish.name}
        if at_least(self._api().microversion, "2.64"):
            body["policy"] = wish.policy
            if wish.max_server_per_host is not None and wish.policy == "anti-affinity":
                body["rules"] = {"max_server_per_host": wish.max_server_per_host}
        else:
            body["policies"] = [wish.policy]
        answer = self._api().json("POST", "/os-server-groups", {"server_group": body})
        return str(answer["server_group"]["id"])

    def _ensure_attachment(self, wish: Attachment) -> str:
        id_ = f"{wish.server_id}/{wish.volume_id}"
        path = f"/servers/{wish.server_id}/os-volume_attachments"
        there = self._api().get(path)["volumeAttachments"]
        if all(a["volumeId"] != wish.volume_id for a in there):
            body: Json = {"volumeId": wish.volume_id}
            if wish.tag:
                body["tag"] = wish.tag
            if at_least(self._api().microversion, "2.79"):
                body["delete_on_termination"] = wish.delete_on_termination
            self._api().json("POST", path, {"volumeAttachment": body})
        return id_

    def _ensure_server(self, wish: Server, marker: Marker, source: Source) -> str:
        candidates = self._candidates(wish, marker)
        # Not every marker is of a run: the seed's own counts as the tenant's words.
        found = eldest(
            e for e in candidates if carries(e.get("metadata") or {}, marker) or marker in (e.get("tags") or ())
        )
        if found is not None:
            return str(found["id"])
        if any(map(_is_mute, candidates)):
            raise Unreachable(
                "compute: a cell of this cloud does not answer: whether the server was made cannot be told"
            )
        body = self._server_body(wish, marker, source)
        request: Json = {"server": body}
        if wish.server_group_id:
            request["os:scheduler_hints"] = {"group": wish.server_group_id}
        id_ = str(self._api().json("POST", "/servers", request, quiet=False)["server"]["id"])
        if not wish.server_group_id:
            self._ungrouped.add(id_)
        return id_

    def _candidates(self, wish: Server, marker: Marker) -> Sequence[Json]:
        """The servers that may be it. Those of its name, since a project may hold thousands; all where it may be there.

        Nova asked for a name tells nothing of a cell that does not answer. So all are asked for once at first, and
        again for a server that was there then, or that this process asked for before.
        """
        with self._making:
            if self._at_first is None:
                listed = self.raw()
                if not any(map(_is_mute, listed)):
                    self._at_first = frozenset(m for server in listed for m in _carried(server))
            again = self._at_first is None or marker in self._at_first or marker in self._sought
            self._sought.add(marker)
        return self.raw() if again else self._api().pages("/servers/detail", "servers", name=_pattern(wish.name))

    def _server_body(self, wish: Server, marker: Marker, source: Source) -> Json:
        body: Json = {
            "name": wish.name,
            "flavorRef": self._flavor_id(wish.flavor.name),
            "metadata": wish.metadata if wish.marked_by_tag() else marked(wish.metadata, marker),
            "networks": [{"port": p} for p in wish.port_ids] or "none",
        }
        optional = {
            "description": wish.description if at_least(self._api().microversion, "2.19") else None,
            "tags": [*wish.tags, *([marker] if wish.marked_by_tag() else [])]
            if at_least(self._api().microversion, "2.52")
            else None,
            "imageRef": wish.image_id,
            "key_name": wish.key_name,
            "availability_zone": wish.availability_zone,
            "config_drive": wish.config_drive,
            "hostname": wish.hostname if at_least(self._api().microversion, SINCE["hostname"]) else None,
            "OS-DCF:diskConfig": "AUTO" if wish.disk_config == "AUTO" else None,
            "block_device_mapping_v2": _disks(wish, source.disks),
            "user_data": base64.b64encode(source.user_data.encode()).decode(),
        }
        return body | {k: v for k, v in optional.items() if v}

    def _flavor_id(self, name: str) -> str:
        """The id of a flavor, whose name is its own; asked for once."""
        if name not in self._flavors:
            self._flavors = {f.get("name", ""): by_id(f) for f in self._api().pages("/flavors/detail", "flavors")}
        if name not in self._flavors:
            raise NotFound(
                f"compute: no flavor of the name {name}",
                "Map the flavor in the plan to one that the cloud has.",
            )
        return self._flavors[name]

    # --- waiting, power, deleting

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """A server until ACTIVE or SHUTOFF; the others are there at once."""
        if kind is Kind.SERVER:
            with self._glances.at(id_) as on_its_way:
                return settled(kind, id_, deadline, lambda: self._made(id_), _MADE, ("ERROR", "DELETED"),
                               lambda: _BUILDING if on_its_way() else "", FRESH_SECONDS)  # fmt: skip
        return settled(kind, id_, deadline, lambda: self.read(kind, id_), ())

    def _underway(self) -> frozenset[str]:
        """The ids of servers that are being made, of a page of them; none where the cloud tells none, or something else."""
        try:
            told = self._api().get("/servers", status=_BUILDING, limit=PAGE).get("servers")
        except CloudError:  # each is looked at by itself then, and that says what is wrong
            return frozenset()
        entries = [e for e in told if isinstance(e, dict)] if isinstance(told, list) else []
        return frozenset(str(e.get("id")) for e in entries)

    def _made(self, id_: str) -> Server | None:
        """A server: how it stands in one request until it is made, then with its ports and its group."""
        entry = self._entry(id_)
        if entry is None or entry.get("status") in _MADE:
            return self._whole(entry) if entry else None
        return one(ref(Kind.SERVER, id_), entry, lambda told: self._server(told, (), ())[0])

    def _whole(self, entry: Json) -> Server:
        """A server with its ports and its group, which are asked for."""
        id_ = by_id(entry)
        ports = self._ports(device_id=id_)
        groups = () if id_ in self._ungrouped else self._groups().entries
        return one(ref(Kind.SERVER, id_), entry, lambda told: self._server(told, ports, groups)[0])

    def set_power(self, server_id: str, power: Power, deadline: timedelta) -> None:
        """Start or stop, and wait for it."""
        entry = self._entry(server_id)
        if entry is None:
            raise NotFound(f"compute: server {server_id} does not exist")
        if entry["status"] == power:
            return
        action = {"ACTIVE": "os-start", "SHUTOFF": "os-stop"}[power]
        if entry.get("OS-EXT-STS:task_state") is None:
            self._api().json("POST", f"/servers/{server_id}/action", {action: None})

        def look() -> bool | None:
            now = self._entry(server_id)
            return True if now and now["status"] == power else None

        wait(look, deadline, Reason.of("wait.power", server=server_id, status=power))

    def set_lock(self, server_id: str, locked: bool, reason: str) -> None:
        """Lock or unlock; Nova takes either twice, and keeps the reason of the first lock."""
        told = (
            {"locked_reason": reason} if reason and at_least(self._api().microversion, SINCE["locked_reason"]) else None
        )
        action: Json = {"lock": told} if locked else {"unlock": None}
        self._api().json("POST", f"/servers/{server_id}/action", action)

    def keep_disk(self, attachment_id: str) -> None:
        """Its volume is not deleted with the server (PUT os-volume_attachments, Nova 2.85)."""
        if not at_least(self._api().microversion, "2.85"):
            raise Unsupported("compute: this Nova cannot change whether a volume outlives its server (before 2.85)")
        server_id, _, volume_id = attachment_id.partition("/")
        body: Json = {"volumeAttachment": {"volumeId": volume_id, "delete_on_termination": False}}
        self._api().json("PUT", f"/servers/{server_id}/os-volume_attachments/{volume_id}", body)

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """A server's item of metadata, or its tag."""
        entry = self._entry(resource.id) or {}
        if marker in (entry.get("tags") or ()):
            gone(lambda: self._api().json("DELETE", f"/servers/{resource.id}/tags/{quote(marker)}"))
        for key in our_keys(entry.get("metadata") or {}, marker):
            path = f"/servers/{resource.id}/metadata/{quote(key)}"
            gone(lambda p=path: self._api().json("DELETE", p))  # type: ignore[misc]

    def console(self, server_id: str) -> str:
        """What the server wrote to its serial console so far. Raises NotFound, Conflict (it does not run), ..."""
        action: Json = {"os-getConsoleOutput": {}}
        return str(self._api().json("POST", f"/servers/{server_id}/action", action).get("output") or "")

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete or detach, and wait until it is gone."""
        if kind is Kind.ATTACHMENT:
            server_id, _, volume_id = id_.partition("/")
            path = f"/servers/{server_id}/os-volume_attachments/{volume_id}"
            gone(lambda: self._api().json("DELETE", path))
            wait_gone(kind, id_, deadline, lambda: "" if self._api().find(path) else None)
            return
        path = {
            Kind.SERVER: "/servers",
            Kind.KEYPAIR: "/os-keypairs",
            Kind.SERVER_GROUP: "/os-server-groups",
        }[kind]
        gone(lambda: self._api().json("DELETE", f"{path}/{id_}"))
        if kind is Kind.SERVER:
            wait_gone(kind, id_, deadline, lambda: (self._entry(id_) or {}).get("OS-EXT-STS:vm_state"))


def _carried(server: Json) -> set[Marker]:
    """The markers that a server carries, in its metadata or as tags."""
    return {*markers(server.get("metadata") or {}).values(), *filter(is_marker, server.get("tags") or ())}


def _pattern(name: str) -> str:
    """A regular expression for which Nova tells the servers of this name, and perhaps some more.

    It is read by the provider's database, each in its own dialect: what is not the same in all of them is left open.
    """
    return f"^{re.sub('[^A-Za-z0-9_-]+', '.*', name)}$"


def _members(group: Json) -> Sequence[Any]:
    told = group.get("members")
    return told if isinstance(told, list) else ()


def _hostname(entry: Told) -> str:
    """What Nova makes of a server's name (nova.utils.sanitize_hostname; 2.90 and newer take another)."""
    latin = (entry.get("name") or "").encode("latin-1", "ignore").decode("latin-1")[:63]
    plain = re.sub(r"[^\w.-]+", "", re.sub(r"[ _.]", "-", latin)).lower().strip(".-")
    return plain or f"Server-{entry['id']}"


_key_name, _volume_id = named_by("keypair", "name"), named_by("volumeId")


def _read(
    kind: Kind, listed: Listed[Json], entries: Iterable[tuple[str, Any]], make: Callable[[Told], Resource]
) -> Listing:
    """A listing of a kind, each entry by itself; `entries` are (id, entry)."""
    reading = Reading(kind.value, TABLES[kind])
    taken = [reading.take(ref(kind, id_), entry, make) for id_, entry in entries]
    notes = [*(short(kind.value, kind, listed.doubt) if listed.doubt else ()), *reading.notes()]
    found = tuple(r for r in taken if r is not None)
    return Listing(resources=found, not_shown=tuple(notes), entries=len(listed.entries))


def _told(server: Json) -> dict[str, Json]:
    """The volumes that the server tells, by id. Raises Broken if it tells them in another form."""
    listed = server.get("os-extended-volumes:volumes_attached") or []
    if not isinstance(listed, list) or not all(map(by_id, listed)):
        raise Broken(f"compute: server {by_id(server)}: its answer does not fit: os-extended-volumes:volumes_attached")
    return {by_id(v): v for v in listed}


def _is_mute(server: Json) -> bool:
    """Whether Nova could not ask the cell in which the server stands: it tells id, status and dates (2.69 and newer)."""
    return "metadata" not in server and "flavor" not in server


def _mute(servers: Sequence[Json], kind: Kind = Kind.SERVER) -> list[NotShown]:
    """The servers of which Nova knows no more than that they are, for the listing of a kind."""
    silent = [ref(Kind.SERVER, by_id(s)) for s in servers if _is_mute(s)]
    if not silent:
        return []
    reason = Reason.of("server.silent", count=len(silent))
    each = [NotShown(what=s, reason=MUTE) for s in silent]
    return [NotShown(what=kind.value, reason=reason), *each]


_mac, _address_mac = named_by("mac_address"), named_by("OS-EXT-IPS-MAC:mac_addr")


def _unknown_macs(server: Json, ports: Sequence[Json]) -> list[str]:
    """The interfaces that Nova tells and that none of the ports has."""
    known = {_mac(p) for p in ports}
    told = server.get("addresses")
    listed = told.values() if isinstance(told, dict) else ()
    addresses = (a for one in listed if isinstance(one, list) for a in one)
    return sorted({mac for a in addresses if (mac := _address_mac(a)) and mac not in known})


def _keypair(entry: Told) -> Keypair:
    return Keypair(
        id=entry["name"],
        name=entry["name"],
        type=entry.get("type") or "ssh",
        public_key=entry["public_key"],
        fingerprint=entry["fingerprint"],
    )


def _group(entry: Told) -> ServerGroup:
    rules = entry.get("rules") or {}
    return ServerGroup(
        id=entry["id"],
        name=entry["name"],
        policy=entry.get("policy") or next(iter(entry.get("policies") or ()), ""),
        max_server_per_host=rules.get("max_server_per_host"),
        member_ids=tuple(entry.get("members") or ()),
    )


def _flavor(entry: Told) -> Flavor:
    return Flavor(
        id=entry["id"],
        name=entry["name"],
        vcpus=entry["vcpus"],
        ram_mib=entry["ram"],
        disk_gib=entry["disk"],
        ephemeral_gib=entry.get("OS-FLV-EXT-DATA:ephemeral") or 0,
        swap_mib=entry.get("swap") or 0,
        extra_specs={str(k): str(v) for k, v in sorted((entry.get("extra_specs") or {}).items())},
    )


def _embedded_flavor(entry: Json) -> Flavor:
    if "original_name" not in entry:
        return Flavor(id=entry.get("id", ""), name="", vcpus=0, ram_mib=0, disk_gib=0)
    return Flavor(
        name=entry["original_name"],
        vcpus=entry["vcpus"],
        ram_mib=entry["ram"],
        disk_gib=entry["disk"],
        ephemeral_gib=entry.get("ephemeral") or 0,
        swap_mib=entry.get("swap") or 0,
        extra_specs={str(k): str(v) for k, v in sorted((entry.get("extra_specs") or {}).items())},
    )


def _port_ids(entry: Told, ports: Sequence[Json]) -> tuple[tuple[str, ...], Words]:
    """The ports in the order of `addresses`, and why that order may not be the true one ("" if it is)."""
    by_mac = {_mac(p): p for p in ports if _mac(p)}
    order: dict[str, None] = {}
    runs: list[str] = []
    for addresses in (entry.get("addresses") or {}).values():
        for address in addresses:
            port = by_mac.get(address.get("OS-EXT-IPS-MAC:mac_addr", ""))
            if port and by_id(port) not in order:
                order[by_id(port)] = None
                runs.append(str(port.get("network_id")))
    unplaced = [by_id(p) for p in ports if by_id(p) not in order]
    known = (*order, *unplaced)
    if unknown := _unknown_macs(entry, ports):
        return known, Reason.of("server.unknown-interfaces", macs=unknown)
    if len(known) < 2:
        return known, ""
    if unplaced:
        return known, Reason.of("server.unordered-ports")
    if len(set(runs)) > 1 and len(runs) > len(set(runs)):
        return known, Reason.of("server.order-by-network")
    return known, ""


def _root(server: Json, attachments: Sequence[Json]) -> tuple[str | None, Words]:
    """The root volume of a server that boots from volume, and why it may not be known."""
    if server.get("image") or not attachments:
        return None, ""
    if len(attachments) == 1:
        return _volume_id(attachments[0]), ""
    for attachment in attachments:
        if str(attachment.get("device")).rpartition("/")[2] in _FIRST_DEVICES:
            return _volume_id(attachment), ""
    return None, Reason.of("server.root-unknown")


def _attachment(entry: Told, told: Mapping[str, Any], root: str | None) -> Attachment:
    server_id, volume_id = entry["serverId"], entry["volumeId"]
    kept = truth(entry.get("delete_on_termination", told.get("delete_on_termination")))
    return Attachment(
        id=f"{server_id}/{volume_id}",
        server_id=server_id,
        volume_id=volume_id,
        device=entry.get("device") or "",
        boot_index=0 if volume_id == root else None,
        delete_on_termination=kept,
        tag=entry.get("tag"),
    )


def _disks(wish: Server, disks: Sequence[Attachment]) -> list[Json]:
    """`block_device_mapping_v2`: the image (if any) and the volumes, root first."""
    if not disks:
        return []
    mapping: list[Json] = []
    if wish.image_id:
        mapping.append(
            {
                "boot_index": 0,
                "source_type": "image",
                "destination_type": "local",
                "uuid": wish.image_id,
                "delete_on_termination": True,
            }
        )
    for disk in disks:
        is_root = not wish.image_id and (disk.boot_index == 0 or len(disks) == 1)
        one: Json = {
            "boot_index": 0 if is_root else -1,
            "source_type": "volume",
            "destination_type": "volume",
            "uuid": disk.volume_id,
            "delete_on_termination": disk.delete_on_termination,
        }
        mapping.append(one | ({"tag": disk.tag} if disk.tag else {}))
    if mapping and all(d["boot_index"] != 0 for d in mapping):
        mapping[0]["boot_index"] = 0
    return mapping
