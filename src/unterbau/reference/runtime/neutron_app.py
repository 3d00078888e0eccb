# SPDX-License-Identifier: Apache-2.0
"""Neutron's application, with its policies loaded before it listens.

Neutron makes its enforcer known before it has given it a rule. Threads whose first requests come at the same time find
one without rules, which hides every entry: listings are empty, and nothing is said (Nova has a lock there).
"""

from neutron import policy
from neutron.wsgi.api import application
from neutron_lib.policy import _engine

__all__ = ["application"]

policy.init()
_engine.init()
