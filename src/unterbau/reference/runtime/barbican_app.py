# SPDX-License-Identifier: Apache-2.0
"""Barbican's application from the cloud's own paste file: upstream's entry point has /etc/barbican hard-wired.

UNTERBAU_BARBICAN_PASTE names the file; barbican.conf is found through HOME/.barbican. Its policies are loaded before it
listens, for the reason that stands in `neutron_app`.
"""

import os

from barbican.common import policy
from paste import deploy

application = deploy.loadapp("config:" + os.environ["UNTERBAU_BARBICAN_PASTE"])
policy.init()
