# SPDX-License-Identifier: Apache-2.0
"""What `unterbau cloud` promises, asked of a real cloud: identities, offering, secrecy, surviving state."""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
import socket
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, OpenerDirector, Request, build_opener

import openstack
import psutil
import pytest
from openstack.connection import Connection
from people import somebody

from unterbau import reference
from unterbau.reference import bootstrap, plant
from unterbau.reference.layout import Layout

pytestmark = [
    pytest.mark.cloud,
    # openstacksdk, which asks here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cloud(two_clouds: tuple[str, str]) -> Layout:
    """The target cloud of the session, which other tests leave empty."""
    return plant.load(two_clouds[1])


def _connect(layout: Layout, suffix: str = "") -> Connection:
    config = openstack.config.OpenStackConfig(
        config_files=[str(reference.clouds_file(layout.name))], load_envvars=False
    )
    return Connection(config=config.get_one(cloud=layout.name + suffix))


def _access(connection: Connection) -> Any:
    auth: Any = connection.session.auth
    return auth.get_access(connection.session)


@pytest.fixture
def tenant(cloud: Layout) -> Iterator[Connection]:
    """The tenant's connection."""
    with _connect(cloud) as connection:
        yield connection


@pytest.fixture
def opener(cloud: Layout) -> OpenerDirector:
    """HTTP over TLS verified by the cloud's own authority."""
    return build_opener(HTTPSHandler(context=ssl.create_default_context(cafile=str(cloud.ca))))


def test_three_identities_have_the_rights_of_their_names(cloud: Layout, tenant: Connection) -> None:
    roles = {}
    for suffix in ("", "-reader", "-admin"):
        with _connect(cloud, suffix) as connection:
            access = _access(connection)
            roles[suffix] = set(access.role_names)
            if suffix != "-admin":
                assert access.project_name == cloud.name
    assert "member" in roles[""] and "admin" not in roles[""]
    assert roles["-reader"] == {"reader"}
    assert "admin" in roles["-admin"]
    with _connect(cloud, "-reader") as reader, pytest.raises(openstack.exceptions.ForbiddenException):
        reader.network.create_network(name="not-allowed")


def test_a_stranger_sees_nothing_of_an_account_but_what_its_owner_opens(cloud: Layout, tenant: Connection) -> None:
    store = tenant.object_store
    account = str(store.get_endpoint())
    with _connect(cloud, "-reader") as reader, somebody(cloud.name) as stranger:

        def told(connection: Any, path: str = "", method: str = "GET") -> int:
            status: int = connection.session.request(account + path, method, raise_exc=False).status_code
            return status

        try:
            assert told(tenant, "/shut", "PUT") == 201 and told(tenant, "/shut/o", "PUT") == 201
            for path in ("", "/shut", "/shut/o"):
                assert [told(stranger, path, method) for method in ("GET", "HEAD", "POST")] == [403, 403, 403], path
                assert told(reader, path, "HEAD") in (200, 204)
            assert told(reader, "/shut/o", "PUT") == 403
            assert reader.session.get(stranger.object_store.get_endpoint(), raise_exc=False).status_code == 403

            grant = f"{stranger.current_project_id}:*"
            store.post("/shut", headers={"X-Container-Read": grant})
            assert [told(stranger, path) for path in ("", "/shut", "/shut/o")] == [403, 200, 200]
            assert store.head("/shut").headers["X-Container-Read"] == grant
            assert "X-Container-Read" not in reader.object_store.head("/shut").headers
        finally:
            told(tenant, "/shut/o", "DELETE")
            told(tenant, "/shut", "DELETE")


def test_the_offering_is_that_of_an_scs_cloud(tenant: Connection) -> None:
    flavors = {f.name: f for f in tenant.compute.flavors(get_extra_specs=True)}
    assert set(flavors) == {f.name for f in bootstrap.FLAVORS}
    assert len(flavors) == 15
    for promised in bootstrap.FLAVORS:
        found = flavors[promised.name]
        assert (found.vcpus, found.ram, found.disk) == (
            promised.cpus,
            promised.ram_gib * 1024,
            promised.disk_gib,
        )
        assert found.extra_specs == promised.extra_specs
    public = tenant.network.find_network("public", ignore_missing=False)
    assert public.is_router_external
    assert sorted(s.ip_version for s in tenant.network.subnets(network_id=public.id)) == [4, 6]
    assert [z.name for z in tenant.compute.availability_zones()] == ["nova"]
    assert {t.name for t in tenant.block_storage.types()} == {t[0] for t in bootstrap.VOLUME_TYPES}
    image = tenant.image.find_image(bootstrap.IMAGE_NAME, ignore_missing=False)
    assert (image.visibility, image.status) == ("public", "active")
    assert tenant.image.download_image(image.id).content == bootstrap.image_bytes()


def test_state_survives_down_and_up(cloud: Layout, tenant: Connection) -> None:
    network = tenant.network.create_network(name="survivor")
    tenant.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/24")
    image = tenant.image.find_image(bootstrap.IMAGE_NAME, ignore_missing=False)
    flavor = tenant.compute.find_flavor("SCS-2V-4-20s", ignore_missing=False)
    servers = []
    try:
        for name in ("awake", "asleep"):
            made = tenant.compute.create_server(
                name=name, image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
            )
            servers.append(tenant.compute.wait_for_server(made, interval=0.3, wait=60))
        tenant.compute.stop_server(servers[1])
        tenant.compute.wait_for_server(servers[1], "SHUTOFF", interval=0.3, wait=60)
        tenant.object_store.create_container("survivor")
        tenant.object_store.upload_object("survivor", "o", data=b"bytes")
        reference.down(cloud.name)
        assert reference.status(cloud.name).state == "stopped"
        assert reference.up(cloud.name, progress=lambda line: None).state == "running"
        with _connect(cloud) as again:
            found = {s.name: s.status for s in again.compute.servers()}
            assert found == {"awake": "ACTIVE", "asleep": "SHUTOFF"}
            assert again.object_store.download_object("o", container="survivor") == b"bytes"
            again.compute.start_server(servers[1])
            again.compute.wait_for_server(servers[1], "ACTIVE", interval=0.3, wait=60)
    finally:
        with _connect(cloud) as clean:
            for server in servers:
                clean.compute.delete_server(server, ignore_missing=True)
                clean.compute.wait_for_delete(server, interval=0.3, wait=60)
            clean.object_store.delete_object("o", container="survivor")
            clean.object_store.delete_container("survivor")
            clean.network.delete_network(network)


def test_no_secret_is_visible_in_the_list_of_processes_or_in_a_log(cloud: Layout) -> None:
    made = json.loads((cloud.root / "credentials.json").read_text())
    secrets = set(json.loads((cloud.root / "secrets.json").read_text()).values()) | {made["secret"]}
    for process in _processes(cloud):
        words = " ".join(process.cmdline())
        assert not [s for s in secrets if s in words], process.name()
    for log in cloud.log.iterdir():
        text = log.read_text(errors="replace")
        assert not [s for s in secrets if s in text], log.name


def test_files_with_secrets_are_for_their_owner_alone(cloud: Layout) -> None:
    assert stat.S_IMODE(cloud.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(cloud.run.stat().st_mode) == 0o700
    files = [cloud.root / n for n in ("secrets.json", "credentials.json", "clouds.yaml", "tls/server.key")]
    files += [p for d in (cloud.etc, cloud.root / "keys") for p in d.rglob("*") if p.is_file() and not p.is_symlink()]
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_every_listener_is_on_loopback_and_speaks_tls(cloud: Layout) -> None:
    listeners = {
        (c.laddr.ip, c.laddr.port)
        for process in _processes(cloud)
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert {port for _, port in listeners} <= set(cloud.ports.all().values())
    context = ssl.create_default_context(cafile=str(cloud.ca))
    for address, port in listeners:
        assert address in ("127.0.0.1", "::1")
        with (
            socket.create_connection((address, port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=address) as secure,
        ):
            assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_the_catalog_names_https_only(tenant: Connection) -> None:
    catalog = _access(tenant).service_catalog.catalog
    urls = [endpoint["url"] for service in catalog for endpoint in service["endpoints"]]
    assert urls and all(url.startswith("https://127.0.0.1:") for url in urls)


def test_a_client_that_does_not_know_the_authority_is_not_served(cloud: Layout) -> None:
    with (
        socket.create_connection(("127.0.0.1", cloud.ports.keystone), timeout=5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")


def test_env_tells_an_s3_client_all_it_needs(cloud: Layout, opener: OpenerDirector) -> None:
    lines = [shlex.split(line) for line in reference.env(cloud.name).splitlines()]
    env = dict(line[1].split("=", 1) for line in lines if line and line[0] == "export")
    assert env["AWS_ENDPOINT_URL_S3"] == cloud.url("swift")

    def ask(method: str, path: str, body: bytes = b"") -> bytes:
        request = _signed(method, env["AWS_ENDPOINT_URL_S3"], path, body, env)
        with opener.open(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    ask("PUT", "/s3-promise")
    ask("PUT", "/s3-promise/key", b"signed bytes")
    assert ask("GET", "/s3-promise/key") == b"signed bytes"
    assert b"<Name>s3-promise</Name>" in ask("GET", "/")
    ask("DELETE", "/s3-promise/key")
    ask("DELETE", "/s3-promise")
    with pytest.raises(HTTPError, match="403"):
        opener.open(_signed("GET", cloud.url("swift"), "/", b"", env | {"AWS_SECRET_ACCESS_KEY": "wrong"}))


def _processes(layout: Layout) -> list[psutil.Process]:
    status = reference.status(layout.name)
    pids = [s.pid for s in status.services if s.pid] + [status.supervisor_pid or 0]
    found = [psutil.Process(pid) for pid in pids if pid]
    return found + [child for process in found for child in process.children(recursive=True)]


def _signed(method: str, endpoint: str, path: str, body: bytes, env: dict[str, Any]) -> Request:
    """A request signed by AWS Signature Version 4, made from the specification alone."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{env['AWS_DEFAULT_REGION']}/s3/aws4_request"
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": endpoint.removeprefix("https://"), "x-amz-content-sha256": digest, "x-amz-date": now}
    names = ";".join(sorted(headers))
    lines = "".join(f"{key}:{headers[key]}\n" for key in sorted(headers))
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + env["AWS_SECRET_ACCESS_KEY"].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    request = Request(endpoint + path, data=body if body or method == "PUT" else None, method=method)
    for name, value in headers.items():
        request.add_header(name, value)
    access = env["AWS_ACCESS_KEY_ID"]
    request.add_header(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}",
    )
    return request
