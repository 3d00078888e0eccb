# SPDX-License-Identifier: Apache-2.0
"""The embedded cloud: real OpenStack services from the package registry, on this machine, without root.

    status = up("quelle", progress=print)
    connection = openstack.connect(cloud="quelle", load_yaml_config...)   # clouds_file("quelle")
    down("quelle")

`services`, `config` and `runtime/` say what each service is; the other modules install, start and watch them.
They are loaded with the first name that is used of them: who only wants the path of a clouds.yaml waits for none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unterbau.reference.condition import CloudStatus, ServiceStatus, exists
    from unterbau.reference.condition import look as status
    from unterbau.reference.launcher import clouds_file, down, enter, env, logs, names, up, wipe

__all__ = [
    "CloudStatus",
    "ServiceStatus",
    "clouds_file",
    "down",
    "enter",
    "env",
    "exists",
    "logs",
    "names",
    "status",
    "up",
    "wipe",
]

_CONDITION = {"CloudStatus": "CloudStatus", "ServiceStatus": "ServiceStatus", "exists": "exists", "status": "look"}


def __getattr__(name: str) -> Any:
    """What is not loaded yet (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "condition" if name in _CONDITION else "launcher"
    return getattr(import_module(f"{__name__}.{home}"), _CONDITION.get(name, name))
