# SPDX-License-Identifier: Apache-2.0
"""The embedded cloud: real OpenStack services from the package registry, on this machine, without root.

    status = up("quelle", progress=print)
    connection = openstack.connect(cloud="quelle", load_yaml_config...)   # clouds_file("quelle")
    down("quelle")

`services`, `config` and `runtime/` say what each service is; the other modules install, start and watch them.
"""

from unterbau.reference.condition import CloudStatus, ServiceStatus, exists
from unterbau.reference.condition import look as status
from unterbau.reference.launcher import clouds_file, down, env, logs, names, up, wipe

__all__ = [
    "CloudStatus",
    "ServiceStatus",
    "clouds_file",
    "down",
    "env",
    "exists",
    "logs",
    "names",
    "status",
    "up",
    "wipe",
]
