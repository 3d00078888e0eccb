# SPDX-License-Identifier: Apache-2.0
"""The tenant "Fachverfahren": a small but honest administration workload, planted with tenant rights alone.

`cloud seed` and the tests plant it, in a real cloud or in the simulator: it is written against the port. The
same seed gives the same content. Planting twice plants once: every thing carries a marker of its own.
It holds what moves badly: a subnet on two routers, a dual-stack network, a port without port security, a rule
with a remote address group, a stopped server, odd object names, large objects, secrets without payload.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretBytes

from unterbau.cloud.port import Cloud
from unterbau.cloud.waiting import wait
from unterbau.errors import Conflict
from unterbau.reference import guest_image, guests
from unterbau.tenant.kinds import (
    NOTHING,
    AddressGroup,
    AddressPair,
    AllocationPool,
    Attachment,
    Container,
    FixedIp,
    Flavor,
    FloatingIp,
    Image,
    Keypair,
    Kind,
    Network,
    Port,
    Ref,
    Resource,
    Route,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecretEntry,
    SecurityGroup,
    SecurityGroupRule,
    Segment,
    Server,
    ServerGroup,
    Snapshot,
    Source,
    StoredObject,
    Subnet,
    Volume,
    id_of,
    ref,
)
from unterbau.verdict import Model, Reason

WAIT = timedelta(minutes=5)
MIB = 2**20
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuJ4LFmsmGxZ4PVKg7nUH2mF4o7Gc6rmS+QPEnHYkYk betrieb@fachverfahren"
FINGERPRINT = "2c:0a:a4:7f:c1:00:00:00:00:00:00:00:00:00:00:00"
ROWS = 40
"""Of the database of the form that serves, at first."""
IMAGE_PROPERTIES = {
    "architecture": "x86_64",
    "hypervisor_type": "qemu",
    "hw_disk_bus": "scsi",
    "hw_rng_model": "virtio",
    "hw_scsi_model": "virtio-scsi",
    "os_distro": "debian",
    "os_version": "13",
    "os_purpose": "generic",
    "image_build_date": "2026-11-02",
    "image_original_user": "debian",
    "image_source": "https://fachverfahren.example/images/fv-web.raw",
    "image_description": "https://fachverfahren.example/images/",
    "replace_frequency": "monthly",
    "provided_until": "2027-11-02",
    "uuid_validity": "none",
}
ODD_NAMES = (
    "Übersicht/Bescheid Nr. 7 – größer ✓.txt",
    "prozent%20und%2Fschrägstrich 100%.csv",
    "leerzeichen am ende ",
    " leerzeichen am anfang",
    "a//b///c",
    ".versteckt/..doppelt",
    "fragezeichen?und#raute&gleich=ja",
    "日本語/العربية/ελληνικά",
    "lang-" + "x" * 900,
)


class Planted(Model):
    """What stands: name of each thing -> its Ref, and sha256 of each content by name."""

    refs: dict[str, Ref]
    sha256: dict[str, str]


def plant(
    cloud: Cloud,
    *,
    seed: int = 1,
    now: datetime,
    progress: Callable[[str], None] = lambda line: None,
) -> Planted:
    """Plant the whole tenant, or what is missing of it. Takes about a minute on an embedded cloud.

    On a cloud whose guests run (it offers their image and flavor) it is the form that serves: one web server behind a
    floating IP, whose page shows the rows of a database on a volume, and a hash over them.
    """
    gardener = _Planting(cloud, seed, now, progress)
    parts: Sequence[Callable[[], None]] = (
        gardener.access, gardener.networks, gardener.images, gardener.volumes, gardener.servers,
        gardener.floating_ip, gardener.objects, gardener.secrets,
    )  # fmt: skip
    if gardener.alpine is not None:
        parts = (gardener.web_network, gardener.web_server, gardener.objects, gardener.secrets)
    for part in parts:
        progress(f"planting: {part.__name__.replace('_', ' ')}")
        part()
    return Planted(refs=gardener.refs, sha256=gardener.sha256)


class _Planting:
    """Find-or-create of each part, in an order in which each finds what it needs."""

    def __init__(self, cloud: Cloud, seed: int, now: datetime, progress: Callable[[str], None]) -> None:
        self.cloud, self.seed, self.now, self.progress = cloud, seed, now, progress
        self.refs: dict[str, Ref] = {}
        self.sha256: dict[str, str] = {}
        self.offering = cloud.surroundings().offering
        runs = any(f.name == guests.FLAVOR for f in self.offering.flavors)
        self.alpine = next((i.id for i in self.offering.images if runs and i.name == guest_image.NAME), None)
        """The image that guests boot, on a cloud where they run."""

    # --- helpers

    def have(self, wish: Resource, source: Source = NOTHING, *, settle: bool = True, name: str = "") -> str:
        """The id of the thing; found by its marker or made."""
        name = name or wish.name
        marker = f"unterbau.reference.tenant.{hashlib.sha256(f'{wish.own_kind}/{name}'.encode()).hexdigest()[:16]}"
        id_ = self._unmarked(wish) or self.cloud.ensure(wish, marker, source=source)
        if settle:
            self.cloud.settle(ref(wish.own_kind, id_), WAIT)
        self.refs[f"{wish.own_kind}/{name}"] = ref(wish.own_kind, id_)
        return id_

    def _unmarked(self, wish: Resource) -> str | None:
        """Kinds without a marker are told by their name (in this project we are the gardener)."""
        if isinstance(wish, ServerGroup | Keypair | AddressGroup | SecretContainer):
            found = self.cloud.listing(wish.own_kind).resources
            return next((r.id for r in found if r.name == wish.name), None)
        return None

    def id(self, kind: Kind, name: str) -> str:
        """Of something planted before."""
        return id_of(self.refs[f"{kind}/{name}"])

    def bytes_of(self, name: str, size: int) -> bytes:
        """Content that depends on the seed and the name alone."""
        return random.Random(f"{self.seed}/{name}").randbytes(size)  # noqa: S311 - known on purpose

    # --- parts

    def access(self) -> None:
        """Keypair, server group, address group, security groups that refer to each other."""
        self.have(Keypair(id="fv-betrieb", name="fv-betrieb", public_key=PUBLIC_KEY, fingerprint=FINGERPRINT))
        self.have(ServerGroup(id="-", name="fv-web", policy="anti-affinity"))
        houses = AddressGroup(id="-", name="fv-verwaltungsnetz", description="Netze der Häuser",
                              addresses=("10.20.0.0/16", "2001:db8:20::/48"))  # fmt: skip
        self.cloud.set_bonds(houses.model_copy(update={"id": self.have(houses)}))
        web = self.have(SecurityGroup(id="-", name="fv-web", description="Webserver"))
        db = self.have(SecurityGroup(id="-", name="fv-db", description="Datenbank"))
        admin = self.have(SecurityGroup(id="-", name="fv-betrieb", description="Betrieb"))
        group = self.id(Kind.ADDRESS_GROUP, "fv-verwaltungsnetz")
        tcp = {"protocol": "tcp", "direction": "ingress"}
        for rule in (
            _rule(web, **tcp, ports=(443, 443), remote_ip_prefix="0.0.0.0/0"),
            _rule(web, **tcp, ports=(443, 443), ethertype="IPv6", remote_ip_prefix="::/0"),
            _rule(web, **tcp, ports=(22, 22), remote_group_id=admin),
            _rule(web, direction="egress", remote_group_id=db, protocol="tcp", ports=(5432, 5432)),
            _rule(db, **tcp, ports=(5432, 5432), remote_group_id=web, description="nur die Webserver"),
            _rule(db, **tcp, ports=(22, 22), remote_address_group_id=group),
            _rule(admin, **tcp, ports=(22, 22), remote_address_group_id=group),
            _rule(admin, direction="ingress", protocol="icmp", remote_ip_prefix="10.20.0.0/16"),
            _rule(admin, direction="egress"),
        ):
            self._rule(rule)

    def _rule(self, rule: SecurityGroupRule) -> None:
        fields = {"direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_group_id"}
        fields |= {"remote_ip_prefix", "remote_address_group_id", "security_group_id"}
        for found in self.cloud.listing(Kind.SECURITY_GROUP_RULE).resources:
            if found.model_dump(include=fields) == rule.model_dump(include=fields):
                return
        self.cloud.ensure(rule, "unterbau.seed.rule")

    def networks(self) -> None:
        """Two networks, one of them dual-stack, a subnet on two routers, ports with fixed addresses."""
        front = self.have(Network(id="-", name="fv-front", description="Zugang", tags=("zone-dmz",)))
        back = self.have(Network(id="-", name="fv-back", mtu=1400))
        high = Subnet(id="-", name="fv-front-v4", network_id=front, ip_version=4, cidr="10.10.1.0/24",
                      gateway_ip="10.10.1.1", allocation_pools=(AllocationPool(start="10.10.1.100", end="10.10.1.199"),),
                      dns_nameservers=("10.10.1.53", "10.10.1.54"),
                      host_routes=(Route(destination="10.99.0.0/16", nexthop="10.10.1.2"),))  # fmt: skip
        front_v4 = self.have(high)
        self.have(
            Subnet(id="-", name="fv-front-v6", network_id=front, ip_version=6, cidr="2001:db8:10:1::/64",
                   gateway_ip="2001:db8:10:1::1", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
        )  # fmt: skip
        self.have(
            Subnet(id="-", name="fv-back-v4", network_id=back, ip_version=4, cidr="10.10.2.0/24", gateway_ip=None,
                   enable_dhcp=False)
        )  # fmt: skip
        self._routers(front, back)
        self._ports(front, back)
        # As where addresses were given out by the cloud, its ports stand in its pool; before they did, DHCP could have taken theirs.
        wide = (AllocationPool(start="10.10.1.11", end="10.10.1.199"),)
        self.cloud.set_bonds(high.model_copy(update={"id": front_v4, "allocation_pools": wide}))

    def _routers(self, front: str, back: str) -> None:
        external = self.offering.external_networks[0].id if self.offering.external_networks else None
        edge = self.have(Router(id="-", name="fv-edge", external_network_id=external, tags=("rand",)))
        inner = self.have(Router(id="-", name="fv-inner", description="zwischen Zugang und Daten"))
        v4, v6 = self.id(Kind.SUBNET, "fv-front-v4"), self.id(Kind.SUBNET, "fv-front-v6")
        back_v4 = self.id(Kind.SUBNET, "fv-back-v4")
        legs = (
            ("edge-v4", edge, front, v4, "10.10.1.1"),
            ("edge-v6", edge, front, v6, "2001:db8:10:1::1"),
            ("inner-front", inner, front, v4, "10.10.1.2"),
            ("inner-back", inner, back, back_v4, "10.10.2.2"),
        )
        for name, router, network, subnet, address in legs:
            ips = (FixedIp(subnet_id=subnet, ip_address=address),)
            self.have(RouterInterface(id="-", name=name, router_id=router, network_id=network, fixed_ips=ips))
        routes = (Route(destination="10.99.0.0/16", nexthop="10.10.1.2"),)
        self.cloud.set_bonds(Router(id=edge, name="fv-edge", external_network_id=external, routes=routes))

    def _ports(self, front: str, back: str) -> None:
        v4, v6 = self.id(Kind.SUBNET, "fv-front-v4"), self.id(Kind.SUBNET, "fv-front-v6")
        back_v4 = self.id(Kind.SUBNET, "fv-back-v4")
        web, db = self.id(Kind.SECURITY_GROUP, "fv-web"), self.id(Kind.SECURITY_GROUP, "fv-db")
        admin = self.id(Kind.SECURITY_GROUP, "fv-betrieb")
        vip = (AddressPair(ip_address="10.10.1.20"),)
        for number in (1, 2):
            mac = f"fa:16:3e:10:01:1{number}"
            ips = (FixedIp(subnet_id=v4, ip_address=f"10.10.1.1{number}"),
                   FixedIp(subnet_id=v6, ip_address=f"2001:db8:10:1:f816:3eff:fe10:11{number}"))  # fmt: skip
            self.have(Port(id="-", name=f"fv-web-{number}-front", network_id=front, mac_address=mac, fixed_ips=ips,
                           security_group_ids=(web, admin), allowed_address_pairs=vip, tags=("web",)))  # fmt: skip
            back_ip = (FixedIp(subnet_id=back_v4, ip_address=f"10.10.2.1{number}"),)
            self.have(Port(id="-", name=f"fv-web-{number}-back", network_id=back, mac_address=f"fa:16:3e:10:02:1{number}",
                           fixed_ips=back_ip, security_group_ids=(web,)))  # fmt: skip
        self.have(Port(id="-", name="fv-db-back", network_id=back, mac_address="fa:16:3e:10:02:30",
                       fixed_ips=(FixedIp(subnet_id=back_v4, ip_address="10.10.2.30"),), security_group_ids=(db,)))  # fmt: skip
        self.have(Port(id="-", name="fv-waechter", description="Spiegel ohne Portschutz", network_id=back,
                       mac_address="fa:16:3e:10:02:99", port_security_enabled=False,
                       fixed_ips=(FixedIp(subnet_id=back_v4, ip_address="10.10.2.99"),)))  # fmt: skip

    def images(self) -> None:
        """A private image with SCS metadata, a few MiB of known bytes."""
        data = (b"Fachverfahren: dieses Abbild startet nichts.\n" * 30000)[:MIB] + self.bytes_of("image", 3 * MIB)
        image = Image(id="-", name="fv-web-debian-13", status="queued", disk_format="raw", container_format="bare",
                      visibility="private", min_disk_gib=1, min_ram_mib=512, properties=IMAGE_PROPERTIES,
                      tags=("fachverfahren",))  # fmt: skip
        self._image(image, [data], len(data))

    def _image(self, image: Image, chunks: Sequence[bytes], size: int) -> str:
        id_ = self.have(image, settle=False)
        there = self.cloud.read(ref(Kind.IMAGE, id_))
        if isinstance(there, Image) and there.status == "queued":
            self.cloud.write_image(image.model_copy(update={"id": id_}), chunks, size)
        self.cloud.settle(ref(Kind.IMAGE, id_), WAIT)
        self.sha256[f"image/{image.name}"] = _sha256(chunks)
        return id_

    def volumes(self) -> None:
        """Two data volumes with known bytes between holes, one bootable volume, a snapshot."""
        self._volume("fv-daten", 1, {"zweck": "Akten"})
        self._volume("fv-archiv", 1, {"zweck": "Archiv", "frist": "10 Jahre"})
        image = self.id(Kind.IMAGE, "fv-web-debian-13")
        self.have(Volume(id="-", name="fv-db-root", status="", size_gib=1, volume_type=self._type(), bootable=True),
                  Source(image_id=image))  # fmt: skip
        volume = self.id(Kind.VOLUME, "fv-archiv")
        self.have(Snapshot(id="-", name="fv-archiv-q3", description="Quartal 3", status="", volume_id=volume,
                           size_gib=1, metadata={"quartal": "3"}), Source(force=True))  # fmt: skip

    def _type(self) -> str | None:
        return next((t.name for t in self.offering.volume_types if t.is_default), None)

    def _volume(self, name: str, size_gib: int, metadata: dict[str, str]) -> None:
        """Made from an image with the wanted bytes, which is removed afterwards."""
        wish = Volume(id="-", name=name, status="", size_gib=size_gib, volume_type=self._type(), metadata=metadata)
        if not any(r.name == name for r in self.cloud.listing(Kind.VOLUME).resources):
            image = Image(id="-", name=f"seed-of-{name}", status="queued", disk_format="raw",
                          container_format="bare", visibility="private")  # fmt: skip
            chunks = list(self._sparse(name))
            image_id = self._image(image, chunks, sum(map(len, chunks)))
            self.have(wish, Source(image_id=image_id))
            self.cloud.delete(ref(Kind.IMAGE, image_id), WAIT)
            del self.refs[f"image/seed-of-{name}"], self.sha256[f"image/seed-of-{name}"]
        else:
            self.have(wish)

    def _sparse(self, name: str) -> Iterator[bytes]:
        """12 MiB: random bytes, a hole, random bytes; the rest of the volume is a hole."""
        yield self.bytes_of(f"{name}/head", 3 * MIB)
        yield bytes(5 * MIB)
        yield self.bytes_of(f"{name}/tail", 4 * MIB)

    def servers(self) -> None:
        """Two web servers in an anti-affinity group (one stopped), a database booted from a volume."""
        image, group = self.id(Kind.IMAGE, "fv-web-debian-13"), self.id(Kind.SERVER_GROUP, "fv-web")
        for number in (1, 2):
            ports = tuple(self.id(Kind.PORT, f"fv-web-{number}-{side}") for side in ("front", "back"))
            wish = Server(id="-", name=f"fv-web-{number}", description=f"Webserver {number}", status="ACTIVE",
                            flavor=self._flavor("SCS-2V-4-20s"), image_id=image, key_name="fv-betrieb",
                            server_group_id=group, port_ids=ports, tags=("web", f"nr-{number}"),
                            metadata={"verfahren": "FV-1", "stufe": "erprobung"}, config_drive=number == 1)  # fmt: skip
            self.have(wish)
        self.cloud.set_power(self.id(Kind.SERVER, "fv-web-2"), "SHUTOFF")
        root = Attachment(id="-", server_id="-", volume_id=self.id(Kind.VOLUME, "fv-db-root"), boot_index=0)
        self.have(
            Server(id="-", name="fv-db", hostname="datenbank", status="ACTIVE", flavor=self._flavor("SCS-2V-8"), key_name="fv-betrieb",
                   port_ids=(self.id(Kind.PORT, "fv-db-back"),), metadata={"verfahren": "FV-1"}),
            Source(disks=(root,)),
        )  # fmt: skip
        server, volume = self.id(Kind.SERVER, "fv-db"), self.id(Kind.VOLUME, "fv-daten")
        attachment = Attachment(id="-", server_id=server, volume_id=volume)
        if not isinstance(self.cloud.read(ref(Kind.ATTACHMENT, f"{server}/{volume}")), Attachment):
            self.have(attachment, name="fv-daten")

    def _flavor(self, name: str) -> Flavor:
        found = next((f for f in self.offering.flavors if f.name == name), None)
        if found is None:
            raise Conflict(f"this cloud has no flavor {name}", "Plant in an SCS-compatible cloud.")
        return found

    def floating_ip(self) -> None:
        """One public address on the first web server, if the cloud has an external network."""
        if self.offering.external_networks:
            self.have(
                FloatingIp(id="-", address="-", description="www.fachverfahren.example",
                           external_network_id=self.offering.external_networks[0].id,
                           port_id=self.id(Kind.PORT, "fv-web-1-front"), fixed_ip_address="10.10.1.11"),
                name="www",
            )  # fmt: skip

    # --- the form that serves

    def web_network(self) -> None:
        """One network of both families behind the edge router; port 80 is open to all, 81 to the operators alone."""
        self.have(Keypair(id="fv-betrieb", name="fv-betrieb", public_key=PUBLIC_KEY, fingerprint=FINGERPRINT))
        web = self.have(SecurityGroup(id="-", name="fv-web", description="Webserver"))
        admin = self.have(SecurityGroup(id="-", name="fv-betrieb", description="Betrieb"))
        tcp = {"protocol": "tcp", "direction": "ingress"}
        self._rule(_rule(web, **tcp, ports=(80, 80), remote_ip_prefix="0.0.0.0/0"))
        self._rule(_rule(web, **tcp, ports=(81, 81), remote_group_id=admin))
        self._rule(_rule(web, direction="egress"))
        front = self.have(Network(id="-", name="fv-front", description="Zugang", tags=("zone-dmz",)))
        v4 = self.have(Subnet(id="-", name="fv-front-v4", network_id=front, ip_version=4, cidr="10.10.1.0/24",
                              gateway_ip="10.10.1.1"))  # fmt: skip
        v6 = self.have(Subnet(id="-", name="fv-front-v6", network_id=front, ip_version=6, cidr="2001:db8:10:1::/64",
                              gateway_ip="2001:db8:10:1::1", ipv6_address_mode="slaac", ipv6_ra_mode="slaac"))  # fmt: skip
        external = self.offering.external_networks[0].id
        edge = self.have(Router(id="-", name="fv-edge", external_network_id=external, tags=("rand",)))
        for name, subnet, address in (("edge-v4", v4, "10.10.1.1"), ("edge-v6", v6, "2001:db8:10:1::1")):
            ips = (FixedIp(subnet_id=subnet, ip_address=address),)
            self.have(RouterInterface(id="-", name=name, router_id=edge, network_id=front, fixed_ips=ips))
        self.have(Port(id="-", name="fv-web-1-front", network_id=front, mac_address="fa:16:3e:10:01:11", security_group_ids=(web,),
                       fixed_ips=(FixedIp(subnet_id=v4, ip_address="10.10.1.11"),)))  # fmt: skip

    def web_server(self) -> None:
        """Boots from a volume, keeps its rows on another: both travel. Its user data writes the program and first rows."""
        root = self.have(Volume(id="-", name="fv-web-root", status="", size_gib=2, volume_type=self._type(), bootable=True),
                         Source(image_id=self.alpine))  # fmt: skip
        data = self.have(Volume(id="-", name="fv-daten", status="", size_gib=1, volume_type=self._type(),
                                metadata={"zweck": "Akten"}))  # fmt: skip
        disks = (Attachment(id="-", server_id="-", volume_id=root, boot_index=0),
                 Attachment(id="-", server_id="-", volume_id=data))  # fmt: skip
        rows = "\n".join(f"{n};Akte {n};{self.bytes_of(f'row-{n}', 8).hex()}" for n in range(1, ROWS + 1))
        text = Path(__file__).with_name("serving.sh").read_text(encoding="utf-8").replace("@ROWS@", rows)
        self.have(
            Server(id="-", name="fv-web-1", description="Webserver 1", status="ACTIVE", flavor=self._flavor("SCS-1L-1"),
                   key_name="fv-betrieb", port_ids=(self.id(Kind.PORT, "fv-web-1-front"),), tags=("web",),
                   metadata={"verfahren": "FV-1"}),
            Source(disks=disks, user_data=text),
        )  # fmt: skip
        self.floating_ip()
        self._until_it_is_up(self.id(Kind.SERVER, "fv-web-1"))

    def _until_it_is_up(self, server: str) -> None:
        """By the last line of its console: what it serves answers from then on. One that was stopped stays so."""
        cloud = self.cloud
        there = cloud.read(ref(Kind.SERVER, server))
        runs = isinstance(there, Server) and there.status == "ACTIVE"
        # libvirt gives a stopped guest no console, not even that of its last run.
        if runs:
            wait(lambda: guest_image.UP in cloud.console(server) or None, WAIT,
                 Reason.of("wait.power", server=server, status="ACTIVE"))  # fmt: skip

    def objects(self) -> None:
        """Containers with an ACL and metadata; odd names, a large object, symlinks, one that expires."""
        project = self.cloud.identity().project_id
        for wish in (
            Container(id="fv-akten", name="fv-akten", read_acl=f"{project}:*", metadata={"verfahren": "FV-1"}),
            Container(id="fv-akten-segmente", name="fv-akten-segmente"),
            Container(id="fv-leer", name="fv-leer", metadata={"zweck": "absichtlich leer"}),
        ):
            self.have(wish, settle=False)
        for number, name in enumerate(ODD_NAMES):
            self._object("fv-akten", name, self.bytes_of(name, 100 * number + 7), {"nr": str(number)})
        self._object("fv-akten", "leer.txt", b"", {})
        self._object("fv-akten", "groß.bin", self.bytes_of("groß.bin", 6 * MIB), {},
                     headers={"cache-control": "no-store", "content-language": "de"})  # fmt: skip
        self._object("fv-akten", "vorläufig.txt", b"nur bis naechste Woche\n", {},
                     delete_at=(self.now + timedelta(days=7)).replace(microsecond=0))  # fmt: skip
        self._large()
        if "symlink" in self.offering.object_features:
            etag = hashlib.md5(self.bytes_of("groß.bin", 6 * MIB), usedforsecurity=False).hexdigest()
            for name, pinned in (("aktuell", None), ("geprüft", etag)):
                link = StoredObject(id="-", name=name, container="fv-akten", size_bytes=0, etag="",
                                    symlink_to="fv-akten/groß.bin", symlink_etag=pinned)  # fmt: skip
                self.cloud.write_manifest(link, "unterbau.seed.object")

    def _object(
        self,
        container: str,
        name: str,
        data: bytes,
        metadata: dict[str, str],
        delete_at: datetime | None = None,
        headers: dict[str, str] | None = None,
    ) -> StoredObject:
        wish = StoredObject(id=f"{container}/{name}", name=name, container=container, size_bytes=len(data),
                            etag=hashlib.md5(data, usedforsecurity=False).hexdigest(), metadata=metadata,
                            content_type="text/plain; charset=utf-8" if name.endswith(".txt") else "application/octet-stream",
                            delete_at=delete_at, headers=headers or {})  # fmt: skip
        there = self.cloud.read(wish.ref)
        if not isinstance(there, StoredObject) or there.etag != wish.etag:
            self.cloud.write_object(wish, [data] if data else [], "unterbau.seed.object")
        self.sha256[f"object/{container}/{name}"] = _sha256([data])
        return wish

    def _large(self) -> None:
        parts = [self.bytes_of(f"segment-{n}", MIB + n) for n in range(3)]
        segments = []
        for number, data in enumerate(parts):
            made = self._object("fv-akten-segmente", f"scan/{number:04}", data, {})
            segments.append(Segment(path=made.id, size_bytes=len(data), etag=made.etag))
        wish = StoredObject(id="fv-akten/scan.tiff", name="scan.tiff", container="fv-akten", etag="",
                            size_bytes=sum(map(len, parts)), segments=tuple(segments),
                            content_type="image/tiff", metadata={"seiten": "3"})  # fmt: skip
        if "slo" in self.offering.object_features and self.cloud.read(wish.ref) is None:
            self.cloud.write_manifest(wish, "unterbau.seed.object")
        self.sha256["object/fv-akten/scan.tiff"] = _sha256(parts)

    def secrets(self) -> None:
        """A text and a binary secret, one without payload, a container of the two, and a closed one."""
        kept = {}
        for name, content_type, size in (
            ("fv-db-zugang", "text/plain", 24),
            ("fv-schluessel", "application/octet-stream", 32),
        ):
            wish = Secret(id="-", name=name, content_type=content_type, metadata={"verfahren": "FV-1"})
            kept[name] = self.have(wish)
            data = self.bytes_of(name, size)
            payload = data.hex().encode() if content_type == "text/plain" else data
            self.cloud.write_secret(kept[name], wish, SecretBytes(payload))
        self.have(Secret(id="-", name="fv-platzhalter"))
        entries = tuple(SecretEntry(name=name, secret_id=id_) for name, id_ in kept.items())
        self.have(SecretContainer(id="-", name="fv-zugaenge", type="generic", entries=entries))
        self.have(SecretContainer(id="-", name="fv-siegel", type="generic", entries=entries[1:],
                                  acl_project_access=False))  # fmt: skip


def _rule(
    group: str,
    *,
    direction: str,
    ethertype: str = "IPv4",
    ports: tuple[int, int] | None = None,
    **fields: str,
) -> SecurityGroupRule:
    low, high = ports or (None, None)
    return SecurityGroupRule.model_validate(
        {"id": "-", "security_group_id": group, "direction": direction, "ethertype": ethertype,
         "port_range_min": low, "port_range_max": high, **fields}
    )  # fmt: skip


def _sha256(chunks: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
