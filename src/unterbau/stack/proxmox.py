# SPDX-License-Identifier: Apache-2.0
"""A Proxmox VE cluster through its API, read-only, as parts: a pure function over its answers, and a small client.

`wiring` asks a live cluster (`ask` with a `Client`); a file of such answers is a form of input, too. The token is sent
in a header over TLS that is always verified; it is in no message and no `repr`. Guests are counted, not judged: what
runs inside of them their own lists tell.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from unterbau import nesting
from unterbau.catalogue.model import Layer
from unterbau.errors import AuthFailed, Broken, CloudError, Forbidden, NotFound, Unreachable, UsageError
from unterbau.places import REDIRECTS, Place, redirected
from unterbau.stack.found import Found, short
from unterbau.stack.model import Stack
from unterbau.stack.source import Source, mapping, sequence, text

_ROOT = "/api2/json"
_NAME_IT = "Nothing went there. If that address is right, give it as proxmox:https://HOST:PORT."
_STORES = {
    "rbd": "ceph", "cephfs": "ceph", "zfspool": "zfs", "zfs": "zfs", "btrfs": "btrfs", "glusterfs": "glusterfs",
    "pbs": "proxmox-backup-server", "nfs": "nfs", "cifs": "samba", "iscsi": "open-iscsi", "lvmthin": "lvm",
    "lvm": "lvm",
}  # fmt: skip
MAX_ANSWER = 64 * 2**20
MAX_NODES = 1000
MOST_OF_A_REASON = 300


class Api(Protocol):
    """One look at the API. Raises AuthFailed, Forbidden, NotFound, Unreachable, Broken."""

    def get(self, path: str) -> Any:
        """The `data` of the answer to `GET /api2/json` + path."""
        ...


class Client:
    """The API over HTTPS. `token` is `USER@REALM!NAME=SECRET`, as Proxmox shows it once."""

    def __init__(self, url: str, token: str, *, ca: str | None = None, timeout_seconds: float = 20) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise UsageError(
                f"{_shown(url)}: the API of Proxmox VE speaks https", "Name it like https://pve.example:8006."
            )
        if not re.fullmatch(r"[^\s:=!]+@[^\s:=!]+![^\s:=!]+=\S+", token):
            raise UsageError("the token of Proxmox VE has another form", "Give it as USER@REALM!NAME=SECRET.")
        self.host, self.port = parts.hostname, parts.port or 8006
        self._token = token
        self._timeout = timeout_seconds
        try:
            self._tls = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise UsageError(f"{ca}: no certificate authority: {error.strerror or error}", "Name a PEM file.") from None

    def __repr__(self) -> str:
        return f"Client({self.host}:{self.port})"

    def get(self, path: str) -> Any:
        """See Api."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=self._timeout, context=self._tls)
        try:
            connection.request("GET", _ROOT + path, headers={"Authorization": f"PVEAPIToken={self._token}"})
            answer = connection.getresponse()
            location = answer.getheader("Location")
            if answer.status in REDIRECTS and location is not None:
                url = f"{Place('https', self.host, self.port)}{_ROOT}{path}"
                raise redirected("GET", url, answer.status, location, _NAME_IT)
            body = answer.read(MAX_ANSWER + 1)
        except ssl.SSLCertVerificationError as error:
            remedy = "Give the cluster's CA: /etc/pve/pve-root-ca.pem."
            raise Unreachable(f"{self.host}: its certificate does not verify: {error.verify_message}", remedy) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"{self.host}:{self.port}: {type(error).__name__}", "Is it there, and reachable?"
            ) from None
        finally:
            connection.close()
        return self._data(path, answer.status, body)

    def _data(self, path: str, status: int, body: bytes) -> Any:
        where = f"{self.host}{_ROOT}{path}"
        if status == 401:
            raise AuthFailed(f"{where}: the token is refused", "Make a token with the role PVEAuditor.")
        if status == 403:
            raise Forbidden(f"{where}: the token may not look at it", "Give it the role PVEAuditor on /.")
        if status in (404, 501):
            raise NotFound(f"{where}: not there")
        if status != 200 or len(body) > MAX_ANSWER:
            raise Broken(f"{where}: answered {status}, {len(body)} bytes")
        try:
            nesting.measure(body, nesting.VALUES)
            return mapping(json.loads(body)).get("data")
        except (ValueError, RecursionError):
            raise Broken(f"{where}: the answer is no JSON") from None


def _shown(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def ask(api: Api) -> dict[str, Any]:
    """All answers by path, as `proxmox_stack` takes them. What is refused stands in it with its reason.

    Raises AuthFailed and Unreachable if not even the version could be read.
    """
    answers: dict[str, Any] = {"/version": api.get("/version")}
    refused: dict[str, str] = {}

    def look(path: str) -> Any:
        try:
            answers[path] = api.get(path)
        except CloudError as error:
            refused[path] = f"{error.kind}: {error.what}"
        return answers.get(path)

    nodes = sequence(look("/nodes"))
    for node in nodes[:MAX_NODES]:
        name = quote(text(mapping(node).get("node")), safe="")
        if name:
            look(f"/nodes/{name}/apt/versions")
            look(f"/nodes/{name}/status")
    for path in ("/storage", "/cluster/resources", "/cluster/ha/resources", "/cluster/sdn/zones", "/cluster/backup"):
        look(path)
    return {"answers": answers, "refused": refused}


def proxmox_stack(told: Mapping[str, Any], cluster: str = "proxmox") -> Stack:
    """The parts of a cluster out of the answers of its API (`ask`). Pure."""
    found = Found(cluster)
    _read(told, found)
    return found.stack()


def _read(told: Mapping[str, Any], found: Found) -> None:
    answers = mapping(told.get("answers"))
    version = text(mapping(answers.get("/version")).get("version"))
    found.part(
        "proxmox-ve", "/version", version=version or None, hints=(("package", "proxmox-ve"), ("name", "proxmox-ve"))
    )
    for path, answer in answers.items():
        if path.endswith("/apt/versions"):
            _packages(path, answer, found)
        elif re.fullmatch(r"/nodes/[^/]+/status", path):
            _status(path, mapping(answer), found)
    for number, store in enumerate(sequence(answers.get("/storage"))):
        name = _STORES.get(text(mapping(store).get("type")))
        if name:
            where = f"/storage/{number} ({text(mapping(store).get('storage'))}, {text(store.get('type'))})"
            found.hinted("name", name, where)
    _guests(sequence(answers.get("/cluster/resources")), found)
    for number, zone in enumerate(sequence(answers.get("/cluster/sdn/zones"))):
        if text(mapping(zone).get("type")) == "evpn":
            found.hinted("name", "frr", f"/cluster/sdn/zones/{number}")
    for path, why in mapping(told.get("refused")).items():
        found.unread(path, short(why, MOST_OF_A_REASON))


def _packages(path: str, answer: Any, found: Found) -> None:
    for number, package in enumerate(sequence(answer)):
        name = text(mapping(package).get("Package"))
        version = text(mapping(package).get("OldVersion")) or text(mapping(package).get("Version"))
        state = text(mapping(package).get("CurrentState"))
        if name and state in ("", "Installed"):
            found.hinted("package", name, f"{path}/{number}", version or None)
        elif not name:
            found.unread(f"{path}/{number}", f"a package without name: {short(package)}")


def _status(path: str, status: Mapping[str, Any], found: Found) -> None:
    release = text(mapping(status.get("current-kernel")).get("release"))
    release = release or (text(status.get("kversion")).split() or ["", ""])[-1]
    kernel = re.match(r"\d+\.\d+[\w.+-]*", release) or re.search(r"\d+\.\d+\.\d+[\w.+-]*", text(status.get("kversion")))
    if kernel:
        found.part("linux", f"{path}/current-kernel", version=kernel.group(), hints=(("name", "linux"),))


def _guests(resources: list[Any], found: Found) -> None:
    kinds = [text(mapping(r).get("type")) for r in resources]
    machines, containers = kinds.count("qemu"), kinds.count("lxc")
    if machines or containers:
        found.unread(
            "/cluster/resources",
            f"{machines} virtual machines and {containers} containers: what runs in them is not shown",
        )
    if machines:
        found.part("kvm", "/cluster/resources", hints=(("name", "kvm"),), layer=Layer.IAAS)
    if containers:
        found.part("lxc", "/cluster/resources", hints=(("name", "lxc"),), layer=Layer.CONTAINER)


def matches(source: Source) -> bool:
    """Whether it is a file of answers by path: `{"answers": {"/version": ...}}`, or the paths themselves."""
    answers = _told(source.object)["answers"]
    return "version" in mapping(answers.get("/version")) and ("answers" in source.object or "/nodes" in answers)


def _told(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Answers by path, as `ask` has them; each may stand in the API's own envelope (`{"data": ...}`)."""
    inner = content.get("answers")
    answers = {}
    for path, answer in (inner if isinstance(inner, dict) else content).items():
        bare = "/" + path.strip("/").removeprefix(_ROOT.strip("/")).strip("/")
        answers[bare] = answer["data"] if isinstance(answer, dict) and answer.keys() == {"data"} else answer
    return {"answers": answers, "refused": mapping(content.get("refused"))}


def read(source: Source, found: Found) -> None:
    """The same from a file; what nobody asked for is told."""
    told = _told(source.object)
    _read(told, found)
    nodes = [quote(text(mapping(n).get("node")), safe="") for n in sequence(told["answers"].get("/nodes"))]
    for path in ("/nodes", "/storage", *(f"/nodes/{n}/apt/versions" for n in nodes if n)):
        if path not in told["answers"] and path not in told["refused"]:
            found.unread(path, "nobody asked for it")
