# SPDX-License-Identifier: Apache-2.0
"""What we take of openstacksdk: how it reads clouds.yaml, and its exceptions.

`session`, `profiles` and `errors` import it from here. `import openstack` loads the clients of every service, of which
we use none, and takes longer than all our other libraries together; they are passed over here, and loaded for whoever asks
the package for one later.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

_CLIENTS = "openstack.connection"


class _Nothing(ModuleType):
    """Stands where the clients would while the package is loaded; whatever it is asked for is a name and no more."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def _later(name: str) -> Any:
    """An attribute that the package does not have yet (PEP 562)."""
    if name != "connection":
        raise AttributeError(f"module 'openstack' has no attribute {name!r}")
    return importlib.import_module(_CLIENTS)


def _load() -> None:
    spec = importlib.util.find_spec("openstack")
    if "openstack" in sys.modules or spec is None or spec.loader is None:
        return
    package: Any = importlib.util.module_from_spec(spec)
    package.connection = sys.modules[_CLIENTS] = _Nothing(_CLIENTS)
    sys.modules["openstack"] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        del sys.modules["openstack"]
        raise
    finally:
        del sys.modules[_CLIENTS], package.connection
    package.__getattr__ = _later


_load()

from openstack import exceptions  # noqa: E402 - after `_load`, and so the next ones
from openstack.config import loader, vendors  # noqa: E402
from openstack.config.cloud_region import CloudRegion  # noqa: E402

__all__ = ["CloudRegion", "exceptions", "loader", "vendors"]
