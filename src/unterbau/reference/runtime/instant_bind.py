# SPDX-License-Identifier: Apache-2.0
"""ML2 mechanism driver without a data plane: every port binds at once and is ACTIVE.

Neutron finds it by the entry point in `unterbau_runtime.dist-info` beside this file.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class InstantBind(api.MechanismDriver):
    """See the module."""

    def initialize(self):
        """Nothing to connect to."""

    @property
    def connectivity(self):
        """Layer 2, as far as the API is concerned."""
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        """Take the first segment offered."""
        for segment in context.segments_to_bind:
            context.set_binding(
                segment[api.ID],
                portbindings.VIF_TYPE_OVS,
                {portbindings.CAP_PORT_FILTER: True},
                status=constants.PORT_STATUS_ACTIVE,
            )
            return
