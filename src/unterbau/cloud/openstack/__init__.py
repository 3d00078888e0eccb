# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack behind the port: the only room that imports keystoneauth, openstacksdk, requests, urllib3.

`wiring` calls `connect`; everyone else holds the port. One module a service; `errors` is the one edge where
foreign exceptions become ours. What only the port wants is loaded with it: `survey` does without, and asks for a token before `reads` is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from unterbau.cloud.openstack.session import cloud_names, find_session

if TYPE_CHECKING:
    from unterbau.cloud.openstack.adapter import OpenStack
    from unterbau.cloud.openstack.reads import Survey

__all__ = ["cloud_names", "connect", "secrets", "survey"]


def connect(name: str, *, config_files: Sequence[Path] = ()) -> OpenStack:
    """The cloud of that name in the user's own clouds.yaml, or else in one of the given files.

    Nothing is sent yet; wrong credentials show on first use (`identity()`). Raises ConfigError: no or a malformed clouds.yaml, an unknown cloud.
    """
    from unterbau.cloud.openstack.adapter import OpenStack

    return OpenStack(find_session(name, config_files))


def survey(
    name: str, now: Callable[[], datetime], *, region: str | None = None, config_files: Sequence[Path] = ()
) -> Survey:
    """The cloud of that name for single reads with provenance. Raises ConfigError as `connect` does.

    Its token is asked for at once: what reads and judges may be loaded meanwhile.
    """
    session = find_session(name, config_files, region=region)
    entering = session.entering(now)
    from unterbau.cloud.openstack.reads import Survey

    return Survey(session, now, entering)


def secrets(name: str, config_files: Sequence[Path] = ()) -> tuple[str, ...]:
    """The passwords, tokens and secrets in that cloud's configuration. Raises ConfigError as `connect` does."""
    auth = find_session(name, config_files).region.config.get("auth") or {}
    telling = ("password", "secret", "token", "passcode")
    return tuple(str(value) for key, value in auth.items() if value and any(t in key for t in telling))
