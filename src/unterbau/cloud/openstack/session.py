# SPDX-License-Identifier: Apache-2.0
"""clouds.yaml to one authenticated session: which clouds there are, and the adapters of their services.

`connect` and `cloud_names` use it. Secrets stay inside openstacksdk's and keystoneauth's objects.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import os_service_types
import yaml
from keystoneauth1 import access
from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import DiscoveryFailure
from keystoneauth1.identity.base import BaseIdentityPlugin

from unterbau.cloud.openstack.errors import MALFORMED, malformed, translated
from unterbau.cloud.openstack.limits import Limits
from unterbau.cloud.openstack.profiles import resolve
from unterbau.cloud.openstack.sdk import CloudRegion, loader
from unterbau.cloud.openstack.transport import guard, prepared
from unterbau.cloud.waiting import heeded
from unterbau.errors import ConfigError
from unterbau.places import place, split, without_user

if TYPE_CHECKING:
    from unterbau.cloud.openstack.http import Api

POOL = 32
"""Connections kept open to each service."""

ASKED_SECONDS = 1.0
"""For so long a token is given out without looking whether it ends soon."""

CEILINGS = {"compute": "2.96", "block-storage": "3.65"}
"""Newest microversion that the modules of these services were written for."""

ASKED_ANYWAY = {"key-manager": "1.1"}
"""Barbican tells its microversions only to who names one, and an older one that has none passes over the header.

1.1 tells the consumers of secrets; from 1.2 on a secret that has any is not deleted.
"""

_TYPES = os_service_types.ServiceTypes()


class Session:
    """One identity in one project of one cloud, and the way to its services."""

    def __init__(self, name: str, region: CloudRegion) -> None:
        self.name = name
        self.region = region
        self._lock = threading.Lock()
        self._apis: dict[str, Api] = {}
        self._checked: access.AccessInfo | None = None
        self._asked = ("", 0.0)
        """The token that was given out last, and until when it is without another look."""
        with translated(f"cloud {name}"):
            self.session = region.get_session()
        self.session.timeout = (
            None  # what keystoneauth asks by itself, tokens and versions, keeps the bounds (`transport`)
        )
        weakref.finalize(self, self.session.session.close)  # when nobody speaks to the cloud any more
        heeded().opened.add(self)
        self._known = guard(self.session, region.config, pool_connections=16, pool_maxsize=POOL)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.session.session.close()

    @property
    def auth_url(self) -> str:
        """Where Keystone is; without a user and password, which may stand in a URL."""
        return without_user(str(self.region.config.get("auth", {}).get("auth_url", "")))

    @property
    def verify(self) -> bool | str:
        """False: certificates are not verified; a path: the CA bundle; True: the machine's CAs."""
        told = self.region.get_requests_verify_args()[0]
        if told is None:
            return True
        if told is True:
            return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        return told

    def access(self) -> access.AccessInfo:
        """The token's contents (project, user, roles, catalog), fetched when needed. Raises AuthFailed, ..."""
        what = f"cloud {self.name}: {self.auth_url}"
        if not isinstance(self.session.auth, BaseIdentityPlugin):
            raise ConfigError(f"{what}: its auth_type gives no token", "Use a password or an application credential.")
        with translated(what, strange=MALFORMED), self._known.refusals() as refused:
            try:
                found: access.AccessInfo = self.session.auth.get_access(self.session)
            except DiscoveryFailure:
                if refused:  # where Keystone's version document pointed says more
                    raise refused[0] from None
                raise
            missing = _missing(found) if found is not self._checked else ""
        if missing:
            self.renew()
            raise malformed(what, KeyError(missing))
        self._checked = found
        return found

    def entering(self, now: Callable[[], datetime]) -> Future[Entered]:
        """Asks for the token in a thread of its own. The future raises what `access` does."""
        entering: Future[Entered] = Future()

        def enter() -> None:
            began, clock = now(), time.monotonic()
            try:
                found = self.access()
            except BaseException as error:  # noqa: BLE001 - raised again where the token is wanted
                entering.set_exception(error)
            else:
                entering.set_result(Entered(found, began, round(time.monotonic() - clock, 4)))

        threading.Thread(target=enter, name="entering", daemon=True).start()
        return entering

    def token(self) -> str:
        """A valid token (renewed shortly before it expires; that is looked at once a second, not for each of many small requests)."""
        token, until = self._asked
        if time.monotonic() >= until:
            token = str(self.access().auth_token)
            self._asked = token, time.monotonic() + ASKED_SECONDS
        return token

    def own(self, url: str) -> str:
        """The URL, for a client that does not go through the session. Raises Elsewhere if nobody named its place."""
        self._known.demand("GET", prepared(url))
        return url

    @property
    def limits(self) -> Limits:
        """Of the cloud, for a client that does not go through the session."""
        return self._known.limits

    def renew(self) -> None:
        """Forget the token, so that the next request fetches another."""
        self._asked = "", 0.0
        self.session.invalidate()

    @property
    def project_id(self) -> str:
        """The project's id. Raises ConfigError if the credentials are not of a project."""
        found = self.access().project_id
        if not found:
            raise ConfigError(
                f"cloud {self.name}: the credentials are not scoped to a project",
                "Name project_name or use an application credential in clouds.yaml.",
            )
        return str(found)

    @property
    def user_id(self) -> str:
        """The user's id."""
        return str(self.access().user_id or "")

    def catalog(self) -> dict[str, list[dict[str, Any]]]:
        """The services of our region: official service type -> endpoints."""
        found: dict[str, list[dict[str, Any]]] = {}
        region = self.region.get_region_name()
        for service in services(self.access()):
            endpoints = [e for e in service["endpoints"] if not region or e.get("region") == region]
            if endpoints:
                found.setdefault(official_type(service["type"]), []).extend(endpoints)
        return found

    def is_plain(self, service: str) -> bool:
        """Whether the service is reached by plain http: the catalog and clouds.yaml may say so, an answer may not."""
        override = self.region.get_endpoint(service)
        wanted = str(self.region.get_interface(service) or "public").removesuffix("URL")
        named = [e.get("url") for e in self.catalog().get(service, ()) if e.get("interface") == wanted]
        return any(place(str(url)).scheme == "http" for url in ([override] if override else named))

    def api(self, service: str) -> Api:
        """The service's Api, at the highest microversion that both sides know (see `CEILINGS`)."""
        from unterbau.cloud.openstack.http import Api  # here: the token waits for no library of models

        ceiling = CEILINGS.get(service)
        with self._lock:
            if service not in self._apis:
                with translated(f"{service}: discovery", strange=MALFORMED), self._known.refusals() as refused:
                    adapter = self._adapter(service)
                    newest = self._newest(adapter) if ceiling else None
                    if ceiling and newest is None and refused:  # at its oldest version half of a tenant is silent
                        raise refused[0]
                    adapter.get_endpoint()  # a catalog that keystoneauth cannot read shows here, before any request
                asked = _lower(newest, ceiling) or ASKED_ANYWAY.get(service)
                self._apis[service] = Api(adapter, microversion=asked)
            return self._apis[service]

    def _adapter(self, service: str) -> Adapter:
        version = {"compute": "2.1", "block-storage": "3"}.get(service)
        return Adapter(
            session=self.session,
            service_type=service,
            interface=self.region.get_interface(service),
            region_name=self.region.get_region_name(service),
            endpoint_override=self.region.get_endpoint(service),
            min_version=version,
            max_version=f"{version.partition('.')[0]}.latest" if version else None,
            default_microversion=None,
        )

    def _newest(self, adapter: Adapter) -> str | None:
        data = adapter.get_endpoint_data()
        newest = data.max_microversion if data else None
        return f"{newest[0]}.{newest[1]}" if newest else None


@dataclass(frozen=True)
class Entered:
    """A token, and the one request that brought it."""

    token: access.AccessInfo
    began: datetime
    seconds: float


def services(token: access.AccessInfo) -> list[dict[str, Any]]:
    """The entries of a token's catalog that have a type and endpoints: nonsense among them costs only itself."""
    found = []
    for service in token.service_catalog.catalog if token.has_service_catalog() else ():
        if isinstance(service, dict) and isinstance(service.get("type"), str):
            listed = service.get("endpoints")
            endpoints = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
            found.append({**service, "endpoints": endpoints})
    return found


def catalog_digest(catalog: list[dict[str, object]]) -> str:
    """sha256 over (type, region, interface, URL) of all endpoints, sorted."""
    rows = sorted(
        [str(service.get("type")), str(e.get("region")), str(e.get("interface")), str(e.get("url"))]
        for service in catalog
        for e in service.get("endpoints", ())  # type: ignore[attr-defined]
    )
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _missing(token: access.AccessInfo) -> str:
    """What a token lacks without which it is none; raises one of `MALFORMED` for what is of another type."""
    needed = {"expires_at": token.expires, "user.id": token.user_id, "X-Subject-Token": token.auth_token}
    if token.project_scoped or token.project_name:
        needed["project.id"] = token.project_id
    sorted(token.role_names or ())
    services(token)
    return next((name for name, value in needed.items() if not value), "")


def official_type(told: str) -> str:
    """The official service type of what a catalog says (`volumev3` is `block-storage`)."""
    return str(_TYPES.get_service_type(told) or told)


def _lower(newest: str | None, ceiling: str | None) -> str | None:
    if newest is None or ceiling is None:
        return None
    return min(newest, ceiling, key=lambda v: tuple(int(n) for n in v.split(".")))


def at_least(version: str | None, wanted: str) -> bool:
    """Whether a microversion is that or newer."""
    return version is not None and _lower(version, wanted) == wanted


def find_session(name: str, config_files: Sequence[Path] = (), *, region: str | None = None) -> Session:
    """The cloud of that name: the user's own clouds.yaml first, then the given files. Raises ConfigError.

    `region`: one of its regions; None: its own choice.
    """
    known: list[str] = []
    for path, config in _configs(config_files):
        names = config.get_cloud_names()
        known += names
        if name in names:
            with translated(f"cloud {name} in {path}"):
                resolve(config.cloud_config["clouds"], name)
                chosen: dict[str, Any] = {"region_name": region} if region else {}
                found = config.get_one(name, **chosen)
            _demand_addresses(f"cloud {name} in {path}", found.config)
            return Session(name if region is None else f"{name}@{region}", found)
    raise _unknown(name, known, config_files)


def _demand_addresses(where: str, config: Mapping[str, Any]) -> None:
    """Raise ConfigError for an address in a cloud's entry that is none."""
    told = {"auth_url": config.get("auth", {}).get("auth_url")}
    told |= {key: url for key, url in config.items() if key.endswith("_endpoint_override")}
    for key, url in told.items():
        if not isinstance(url, str) or not url:
            continue
        parts = split(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in url):
            raise ConfigError(
                f"{where}: {key} is no address: {without_user(url)[:120]!r}", "Write it as https://HOST[:PORT]/PATH."
            )


def cloud_names(config_files: Sequence[Path] = ()) -> tuple[str, ...]:
    """Names of all clouds, without duplicates. Raises ConfigError for a malformed file."""
    found = (name for _, config in _configs(config_files) for name in config.get_cloud_names())
    return tuple(dict.fromkeys(found))


def _unknown(name: str, known: list[str], config_files: Sequence[Path]) -> ConfigError:
    if not known:
        looked = ", ".join(str(p) for p in [*_user_files(), *config_files])
        return ConfigError(
            f"cloud {name}: no clouds.yaml was found (looked at {looked})",
            "Write a clouds.yaml, name it in OS_CLIENT_CONFIG_FILE, or start a cloud: unterbau cloud up NAME.",
        )
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
    return ConfigError(
        f"cloud {name}: not in clouds.yaml; nearest: {', '.join(near)}", "Name one of the clouds that exist."
    )


def _user_files() -> list[Path]:
    override = os.environ.get("OS_CLIENT_CONFIG_FILE")
    return [Path(p) for p in ([override] if override else []) + list(loader.CONFIG_FILES)]


def _configs(config_files: Sequence[Path]) -> Iterator[tuple[str, loader.OpenStackConfig]]:
    """The user's own configuration, then each given file on its own."""
    own = next((p for p in _user_files() if p.exists()), None)
    if own is not None:
        _check(own)
        with translated(str(own)):
            yield str(own), loader.OpenStackConfig()
    for path in config_files:
        if path.exists() and path != own:
            _check(path)
            with translated(str(path)):
                yield str(path), _OneFile(path)


class _OneFile(loader.OpenStackConfig):
    """The configuration of exactly one file, whatever the environment says."""

    def __init__(self, path: Path) -> None:
        secure = path.with_name("secure.yaml")
        super().__init__(config_files=[str(path)], secure_files=[str(secure)], load_envvars=False)


def _check(path: Path) -> None:
    """Say where a file is malformed; the loader would pass over it silently."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}, line {line}: {error.problem}", "Mend the file; it is not YAML.") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", "Mend the file or its permissions.") from None
    if not isinstance(data, dict) or not isinstance(data.get("clouds"), dict):
        raise ConfigError(f"{path}, line 1: no mapping `clouds:`", "See the documentation of clouds.yaml.")
