# SPDX-License-Identifier: Apache-2.0
"""Keystone's application, without what its SAML federation would load: a third of its start, for an offer not made here.

The modules are there, and load when one of their names is first touched.
"""

import importlib.machinery
import importlib.util
import sys

NOT_USED = ("saml2", "xmlschema", "elementpath")


class LoadedWhenTouched:
    """A finder (`importlib.abc.MetaPathFinder`) of the modules in the packages of `NOT_USED`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """The usual place, with a loader that waits; the packages themselves load at once."""
        if name.partition(".")[0] not in NOT_USED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations is None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, LoadedWhenTouched)

from keystone.wsgi.api import application

__all__ = ["application"]
