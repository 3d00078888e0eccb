# SPDX-License-Identifier: Apache-2.0
"""The services of an embedded cloud as data: what runs, how, and in which order. Pure.

The supervisor starts them, `template` runs the schema commands. One process a project: Nova and Cinder fuse
their services (see `runtime/`), because `fake://` messaging lives within a process and imports cost memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unterbau.reference import extras, guests, packets
from unterbau.reference.layout import Layout

PROGRAMS = packets.PROGRAMS
COMPUTE_HOSTS = 3
"""So that servers of an anti-affinity group have somewhere to go."""

SHARED = """
    alembic.migration bcrypt cheroot.ssl.builtin cheroot.wsgi cryptography.fernet cryptography.x509
    dateutil.parser dogpile.cache jinja2 jsonschema keystoneauth1.loading keystoneauth1.loading.session
    keystoneauth1.session netaddr OpenSSL oslo_cache.core oslo_concurrency.lockutils oslo_concurrency.processutils
    oslo_config.cfg oslo_context.context oslo_db.sqlalchemy.enginefacade oslo_log.log oslo_middleware
    oslo_policy.opts oslo_policy.policy oslo_serialization.jsonutils oslo_utils.netutils oslo_utils.strutils
    oslo_utils.timeutils osprofiler.sqlalchemy osprofiler.web paste.deploy.loadwsgi psutil requests
    routes.middleware sqlalchemy.dialects.mysql sqlalchemy.dialects.postgresql sqlalchemy.dialects.sqlite
    sqlalchemy.ext.associationproxy sqlalchemy.ext.declarative sqlalchemy.ext.hybrid sqlalchemy.orm webob.dec
    webob.exc yaml
"""
"""Modules that most services load, which `runtime/nursery.py` loads once for all. Without keystonemiddleware: Barbican
must come before it."""


@dataclass(frozen=True)
class Service:
    """One service process."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Services that must be ready first."""
    ready: str | None = None
    """Path whose GET over https answers below 500 when the service is ready."""
    port: int | None = None
    socket: Path | None = None
    """Unix socket that accepts when the service is ready, where there is no `ready`."""
    forked: bool = True
    """Whether it may be a fork of what has loaded already (`runtime/nursery.py`)."""


@dataclass(frozen=True)
class Command:
    """A command that ends."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def services(layout: Layout) -> tuple[Service, ...]:
    """All services, those first that load longest or that others wait for."""
    ports = layout.ports
    real, carried = extras.GUESTS in layout.extras, extras.OVN in layout.extras
    hosts = tuple(f"{layout.name}-host-{n}" for n in range(1, (1 if real else COMPUTE_HOSTS) + 1))
    # It loads for longer than all others, and waits for these itself before it needs them.
    more = {"UNTERBAU_NOVA_NEEDS": f"{accounts_mark(layout)}:{ports.keystone}:{ports.placement}"}
    if real:
        more["UNTERBAU_LIBVIRT"] = str(guests.binding(layout))
    if carried:
        more["UNTERBAU_NOVA_METADATA"] = str(packets.nova_metadata(layout))
    return (
        *_below(layout),
        _service(
            layout, "nova", ports.nova, "fused_nova.py", str(layout.etc / "nova/nova.conf"), after=hosts, more=more,
            needs=("libvirtd", "vswitchd") if real else (),
        ),
        _service(layout, "keystone", ports.keystone, "serve_wsgi.py", "keystone_app", ready="/v3"),
        _service(layout, "placement", ports.placement, "serve_wsgi.py", "placement.wsgi.api"),
        _service(
            layout, "neutron", ports.neutron, "serve_wsgi.py", "neutron_ovn_app" if carried else "neutron_app",
            needs=("ovn-nb", "ovn-sb") if carried else (),
        ),
        _service(layout, "cinder", ports.cinder, "fused_cinder.py", str(layout.etc / "cinder/cinder.conf")),
        _service(layout, "glance", ports.glance, "serve_wsgi.py", "glance.wsgi.api", ready="/healthcheck"),
        _service(layout, "barbican", ports.barbican, "serve_wsgi.py", "barbican_app"),
        _service(
            layout, "swift", ports.swift, "fused_swift.py", str(layout.etc / "swift"), str(layout.run),
            ready="/healthcheck", forked=False,  # eventlet has to be there before all else
        ),
    )  # fmt: skip


def _below(layout: Layout) -> tuple[Service, ...]:
    """What guests and packets stand on, where the cloud has them."""
    if not layout.extras:
        return ()
    environ = environment(layout) | packets.environment(layout)
    # libvirtd finds QEMU by its PATH, and there first what we have put before it.
    environ["PATH"] = f"{guests.programs(layout)}:/usr/sbin:/usr/bin:/sbin:/bin"
    argv = (str(layout.python), str(PROGRAMS / "ground.py"), str(layout.etc / "ground.json"))
    ground = Service("ground", argv, environ, socket=layout.run / "ground.sock", forked=False)
    inside = [
        Service(
            daemon.name, packets.inside(layout, *daemon.argv), environ, daemon.needs,
            socket=layout.run / daemon.socket if daemon.socket else None, forked=False,
        )
        for daemon in (*packets.daemons(layout), guests.daemon(layout))
    ]  # fmt: skip
    return ground, *inside


def nursery(layout: Layout) -> tuple[str, ...]:
    """The command line of what loads once what most services load, and forks them."""
    return str(layout.python), str(PROGRAMS / "nursery.py"), str(layout.root), *SHARED.split()


def _service(
    layout: Layout,
    name: str,
    port: int,
    program: str,
    *arguments: str,
    after: tuple[str, ...] = (),
    ready: str = "/",
    more: Mapping[str, str] = {},
    needs: tuple[str, ...] = (),
    forked: bool = True,
) -> Service:
    argv = (str(layout.python), str(PROGRAMS / program), *arguments, str(port), *after)
    return Service(name, argv, {**environment(layout), **more}, needs, ready, port, forked=forked)


def accounts_mark(layout: Layout) -> Path:
    """The file that says that accounts and catalog are in place; `bootstrap` writes it."""
    return layout.root / ".identity.json"


def environment(layout: Layout) -> dict[str, str]:
    """What every process of the cloud gets. No secrets: those are in configuration files."""
    etc = layout.etc
    return {
        "PATH": f"{layout.runtime / 'bin'}:/usr/bin:/bin",
        "HOME": str(etc / "home"),
        "TMPDIR": str(layout.tmp),
        "PYTHONPATH": str(PROGRAMS),
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        # Several services load eventlet without using it; its resolver is most of what that costs.
        "EVENTLET_NO_GREENDNS": "yes",
        "REQUESTS_CA_BUNDLE": str(layout.ca),
        "SSL_CERT_FILE": str(layout.ca),
        "UNTERBAU_TLS_CERT": str(layout.tls / "server.pem"),
        "UNTERBAU_TLS_KEY": str(layout.tls / "server.key"),
        "UNTERBAU_BARBICAN_PASTE": str(layout.runtime / "etc/barbican/barbican-api-paste.ini"),
        "OS_NOVA_DISABLE_EVENTLET_PATCHING": "1",
        "OS_CINDER_DISABLE_EVENTLET_PATCHING": "1",
        "OS_KEYSTONE_CONFIG_DIR": str(etc / "keystone"),
        "OS_GLANCE_CONFIG_DIR": str(etc / "glance"),
        "OS_PLACEMENT_CONFIG_DIR": str(etc / "placement"),
        "OS_NOVA_CONFIG_DIR": str(etc / "nova"),
        "OS_NEUTRON_CONFIG_DIR": str(etc / "neutron"),
        "SWIFT_DIR": str(etc / "swift"),
        "ASGI_WORKERS": "1",
    }


def schema_commands(layout: Layout) -> tuple[tuple[Command, ...], ...]:
    """Groups of commands that create all schemas in `layout.var`; groups run side by side.

    Keystone's group ends with its bootstrap (an administrator whose ids and password each copy replaces).
    """
    etc, binary = layout.etc, layout.runtime / "bin"
    nova = (str(binary / "nova-manage"), "--config-file", str(etc / "nova/nova.conf"))
    keystone = (str(binary / "keystone-manage"), "--config-file", str(etc / "keystone/keystone.conf"))
    neutron_conf: tuple[str, ...] = ("--config-file", str(etc / "neutron/neutron.conf"))
    neutron_conf += ("--config-file", str(etc / "neutron/plugins/ml2/ml2_conf.ini"))
    python = str(layout.python)

    def command(name: str, *argv: str, **more: str) -> Command:
        return Command(name, argv, environment(layout) | more)

    return (
        (
            command("keystone", *keystone, "db_sync"),
            command("keystone-bootstrap", *keystone, "bootstrap", "--bootstrap-region-id", "RegionOne",
                    OS_BOOTSTRAP_PASSWORD="replaced-in-each-copy"),  # noqa: S106 - see the docstring
            command("barbican", str(binary / "barbican-manage"), "db", "upgrade", "--db-url",
                    database(layout, "barbican")),
        ),
        (
            command("neutron", python, str(PROGRAMS / "neutron_schema.py"), database(layout, "neutron")),
            command("neutron-stamp", str(binary / "neutron-db-manage"), *neutron_conf, "stamp", "heads"),
            command("glance", str(binary / "glance-manage"),
                    "--config-file", str(etc / "glance/glance-api.conf"), "db_sync"),
            command("placement", str(binary / "placement-manage"),
                    "--config-file", str(etc / "placement/placement.conf"), "db", "sync"),
        ),
        (
            command("nova-api", *nova, "api_db", "sync"),
            command("nova-cell0", *nova, "cell_v2", "map_cell0",
                    "--database_connection", database(layout, "nova_cell0")),
            command("nova-cell1", *nova, "cell_v2", "create_cell", "--name", "cell1"),
            command("nova", *nova, "db", "sync"),
            command("cinder", str(binary / "cinder-manage"),
                    "--config-file", str(etc / "cinder/cinder.conf"), "db", "sync"),
        ),
    )  # fmt: skip


def database(layout: Layout, name: str) -> str:
    """SQLAlchemy's address of a database; writers wait up to a minute for each other."""
    return f"sqlite:///{layout.var / name}.sqlite?timeout=60"
