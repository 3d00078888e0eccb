# SPDX-License-Identifier: Apache-2.0
"""`--with ovn`: networks that carry packets, as data. OVN on Open vSwitch's userspace datapath, private to one cloud. Pure.

All of it runs in the cloud's *ground* (`runtime/ground.py`): a process that holds a network, mount and process namespace
of the cloud's own. What runs in it ends with it, and its bridges and taps go with it, so nothing stays behind a kill.
Daemons enter it by `inside`. Only Unix sockets below `layout.run` lead out, and one pair of virtual devices: its outer
end stands in this machine's own network, as the gateway of the cloud's external network; where no root made the cloud, in
a network of its own, which `outside` enters and whose sockets the `door` gives away.

What a guest sends to the outside reaches this machine and nothing further: it forwards nothing.
`services` and `config` take the daemons and options from here; `plant` makes the databases.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from unterbau.reference import ports
from unterbau.reference.layout import Layout, Secrets

PROGRAMS = Path(__file__).parent / "runtime"
PHYSICAL_NETWORK, EXTERNAL_BRIDGE, INSIDE_DEVICE = "physnet1", "br-ex", "outside"


class Daemon(NamedTuple):
    """A process in the ground: name, command line, what must answer before, the socket that says that it is ready."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...]
    socket: str | None


DATABASES = {
    "ovs.db": "/usr/share/openvswitch/vswitch.ovsschema",
    "nb.db": "/usr/share/ovn/ovn-nb.ovsschema",
    "sb.db": "/usr/share/ovn/ovn-sb.ovsschema",
}
"""File below `var/ovn`, and the schema it is made from."""


def device(layout: Layout) -> str:
    """The outer end of the pair, in this machine's own network."""
    return f"unterbau{ports.block_number(layout.ports)}"


def gateways(layout: Layout) -> tuple[str, str]:
    """This machine's addresses on the cloud's external network, with prefix lengths."""
    number = ports.block_number(layout.ports)
    return f"172.24.{number}.1/24", f"fd24:{number:x}::1/64"


def host(layout: Layout) -> str:
    """The one host: as Nova, Neutron, libvirt and OVN name it."""
    return f"{layout.name}-host-1"


def inside(layout: Layout, *argv: str) -> tuple[str, ...]:
    """A command line that runs `argv` in the cloud's ground.

    nsenter(1) stays as the parent of what it starts; both are in the session that the supervisor ends.
    """
    return ("/bin/sh", str(layout.run / "ground.enter"), *argv)


def outside(layout: Layout) -> Path:
    """The script that runs a command where floating IPs are reached; it is there where this machine does not reach them."""
    return layout.run / "ground.outside"


def door(layout: Layout) -> Path:
    """The socket that gives sockets of that network, where this machine does not reach it."""
    return layout.run / "ground.door"


def sockets(layout: Layout, name: str) -> str:
    """OVSDB's address of a database (`ovs`, `nb` or `sb`)."""
    return f"unix:{layout.run / name}.sock"


def environment(layout: Layout) -> dict[str, str]:
    """What points the programs of Open vSwitch and OVN to this cloud; libvirt hands it on to ovs-vsctl."""
    run, log = str(layout.run), str(layout.log)
    folders = {f"{part}_{kind}": place for part in ("OVS", "OVN")
               for kind, place in (("RUNDIR", run), ("LOGDIR", log), ("DBDIR", str(layout.var / "ovn")))}  # fmt: skip
    return folders | {"OVS_SYSCONFDIR": str(layout.var / "ovn")}


def daemons(layout: Layout) -> tuple[Daemon, ...]:
    """All of Open vSwitch and OVN, and what answers guests on 169.254.169.254."""
    run, var = layout.run, layout.var / "ovn"

    def database(name: str, socket: str) -> Daemon:
        argv = ("ovsdb-server", str(var / f"{socket}.db"), f"--remote=p{sockets(layout, socket)}",
                f"--unixctl={run / socket}.ctl", "--no-chdir")  # fmt: skip
        return Daemon(name, argv, ("ground",), f"{socket}.sock")

    return (
        database("ovsdb", "ovs"),
        database("ovn-nb", "nb"),
        database("ovn-sb", "sb"),
        Daemon(
            "vswitchd", ("ovs-vswitchd", sockets(layout, "ovs"), f"--unixctl={run / 'vswitchd.ctl'}"), ("ovsdb",),
            "vswitchd.ctl",
        ),
        Daemon(
            "northd", ("ovn-northd", f"--ovnnb-db={sockets(layout, 'nb')}", f"--ovnsb-db={sockets(layout, 'sb')}",
                       f"--unixctl={run / 'northd.ctl'}"), ("ovn-nb", "ovn-sb"), "northd.ctl",
        ),
        Daemon("controller", ("ovn-controller", sockets(layout, "ovs")), ("vswitchd", "ovn-sb"), None),
        Daemon(
            "metadata", (str(layout.python), str(PROGRAMS / "guest_metadata.py"), str(layout.etc / "metadata.json")),
            ("vswitchd", "ovn-sb"), None,
        ),
    )  # fmt: skip


def introduction(layout: Layout) -> tuple[str, ...]:
    """`ovs-vsctl` arguments that tell the switch who it is and what it has; find-or-create."""
    known = {
        "system-id": host(layout),
        "hostname": host(layout),
        "ovn-remote": sockets(layout, "sb"),
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-bridge-mappings": f"{PHYSICAL_NETWORK}:{EXTERNAL_BRIDGE}",
        "ovn-bridge-datapath-type": "netdev",
        "ovn-cms-options": "enable-chassis-as-gw",
    }
    told = tuple(f"external-ids:{key}={_quoted(value)}" for key, value in known.items())
    return (
        f"--db={sockets(layout, 'ovs')}", "--no-wait", "init",
        "--", "set", "Open_vSwitch", ".", *told,
        "--", "--may-exist", "add-br", "br-int",
        "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=secure",
        "other-config:disable-in-band=true",
        "--", "--may-exist", "add-br", EXTERNAL_BRIDGE, "--", "set", "bridge", EXTERNAL_BRIDGE, "datapath_type=netdev",
        "--", "--may-exist", "add-port", EXTERNAL_BRIDGE, INSIDE_DEVICE,
    )  # fmt: skip


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ground(layout: Layout) -> dict[str, object]:
    """What `runtime/ground.py` reads: what to make of the namespaces, and where to say so."""
    return {
        "enter": str(layout.run / "ground.enter"),
        "outside": str(outside(layout)),
        "door": str(door(layout)),
        "socket": str(layout.run / "ground.sock"),
        "host": host(layout),
        "owner": f"unterbau {layout.root}",
        "device": device(layout),
        "inside": INSIDE_DEVICE,
        "addresses": gateways(layout),
    }


def nova_metadata(layout: Layout) -> Path:
    """The socket on which Nova tells the ground of its instances."""
    return layout.run / "metadata.sock"


def metadata(layout: Layout, secrets: Secrets) -> dict[str, str]:
    """What `runtime/guest_metadata.py` reads: whom to follow, whom to ask, and how to sign."""
    return {
        "database": str(layout.run / "sb.sock"),
        "switch": sockets(layout, "ovs"),
        "nova": str(nova_metadata(layout)),
        "secret": secrets.metadata_shared,
    }


def neutron() -> dict[str, object]:
    """Options of neutron.conf [DEFAULT] that differ."""
    return {
        "service_plugins": "ovn-router,segments,metering,qos,tag,port_forwarding,trunk",
        "notify_nova_on_port_status_changes": True,
        "notify_nova_on_port_data_changes": True,
    }


def ml2(layout: Layout) -> dict[str, dict[str, object]]:
    """Sections of ml2_conf.ini that differ."""
    return {
        "ml2": {
            "type_drivers": "local,flat,vlan,geneve",
            "tenant_network_types": "geneve",
            "mechanism_drivers": "ovn",
            "extension_drivers": "port_security,qos,dns",
            "overlay_ip_version": 4,
        },
        "ml2_type_geneve": {"vni_ranges": "1:10000", "max_header_size": 38},
        "ovn": {
            "ovn_nb_connection": sockets(layout, "nb"),
            "ovn_sb_connection": sockets(layout, "sb"),
            "ovn_metadata_enabled": True,
            # libvirt makes the guests' devices, in the ground; what Nova makes would be in this machine's network.
            "ovs_create_tap": False,
            "enable_distributed_floating_ip": False,
            "ovsdb_connection_timeout": 60,
        },
        "ovs": {"ovsdb_connection": sockets(layout, "ovs")},
    }
