# SPDX-License-Identifier: Apache-2.0
"""What clients of a cloud need: its `clouds.yaml` with three identities, and settings for a shell.

`write` is called when the cloud is complete; `environment` by `unterbau cloud env`.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from unterbau.errors import LocalError, UsageError
from unterbau.reference import disk
from unterbau.reference.layout import REGION, Layout, Secrets

IDENTITIES = ("", "-reader", "-admin")


def path(root: Path) -> Path:
    """The cloud's `clouds.yaml`."""
    return root / "clouds.yaml"


def write(layout: Layout, secrets: Secrets) -> None:
    """Write `clouds.yaml` with NAME (application credential), NAME-reader and NAME-admin (passwords)."""
    made = _credentials(layout.root)
    common: dict[str, Any] = {
        "region_name": REGION,
        "interface": "public",
        "identity_api_version": 3,
        "cacert": str(layout.ca),
    }
    tenant = {
        "auth_url": layout.auth_url,
        "application_credential_id": made["application_credential_id"],
        "application_credential_secret": secrets.credential,
    }
    clouds = {
        layout.name: {"auth_type": "v3applicationcredential", "auth": tenant} | common,
        f"{layout.name}-reader": {"auth": _password(layout, f"{layout.name}-reader", secrets.reader, layout.name)}
        | common,
        f"{layout.name}-admin": {"auth": _password(layout, "admin", secrets.admin, "admin")} | common,
    }
    disk.write_private(path(layout.root), yaml.safe_dump({"clouds": clouds}, sort_keys=False))


def environment(layout: Layout, identity: str) -> str:
    """Lines for a POSIX shell: what `openstack`, `rclone` and an S3 client need to be this identity.

    The S3 key pair belongs to the tenant; other identities get none.

    Raises:
        UsageError: `identity` is not NAME, NAME-reader or NAME-admin.
    """
    known = [layout.name + suffix for suffix in IDENTITIES]
    if identity not in known:
        raise UsageError(f"cloud {layout.name} has no identity {identity!r}", f"It has: {', '.join(known)}")
    values = {
        "OS_CLIENT_CONFIG_FILE": str(path(layout.root)),
        "OS_CLOUD": identity,
        "OS_CACERT": str(layout.ca),
        "SSL_CERT_FILE": str(layout.ca),
    } | _rclone_swift(layout, identity)
    if identity == layout.name:
        values |= _s3(layout)
    lines = [f"export {key}={shlex.quote(value)}" for key, value in values.items()]
    return "\n".join([f"# cloud {layout.name}, identity {identity}", *lines]) + "\n"


def _password(layout: Layout, user: str, password: str, project: str) -> dict[str, str]:
    return {
        "auth_url": layout.auth_url,
        "username": user,
        "password": password,
        "project_name": project,
        "user_domain_id": "default",
        "project_domain_id": "default",
    }


def _rclone_swift(layout: Layout, identity: str) -> dict[str, str]:
    """A remote `swift:` for rclone, which reads RCLONE_CONFIG_<REMOTE>_<OPTION>."""
    entry = yaml.safe_load(path(layout.root).read_text(encoding="utf-8"))["clouds"][identity]["auth"]
    options = {"TYPE": "swift", "AUTH": entry["auth_url"], "REGION": REGION, "AUTH_VERSION": "3"}
    names = {
        "username": "USER",
        "password": "KEY",
        "project_name": "TENANT",
        "user_domain_id": "DOMAIN_ID",
        "application_credential_id": "APPLICATION_CREDENTIAL_ID",
        "application_credential_secret": "APPLICATION_CREDENTIAL_SECRET",
    }
    options |= {names[key]: value for key, value in entry.items() if key in names}
    return {f"RCLONE_CONFIG_SWIFT_{key}": value for key, value in options.items()}


def _s3(layout: Layout) -> dict[str, str]:
    """AWS tools read AWS_*; rclone gets a remote `s3:`."""
    made = _credentials(layout.root)
    url = layout.url("swift")
    aws = {
        "AWS_ACCESS_KEY_ID": made["access"],
        "AWS_SECRET_ACCESS_KEY": made["secret"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_CA_BUNDLE": str(layout.ca),
    }
    rclone = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": url,
        "REGION": REGION,
        "ACCESS_KEY_ID": made["access"],
        "SECRET_ACCESS_KEY": made["secret"],
        "FORCE_PATH_STYLE": "true",
    }
    return aws | {f"RCLONE_CONFIG_S3_{key}": value for key, value in rclone.items()}


def _credentials(root: Path) -> dict[str, Any]:
    made = disk.read_json(root / "credentials.json")
    if made is None:
        raise LocalError(f"cloud {root.name} is not complete yet", f"Run: unterbau cloud up {root.name}")
    return made
