# SPDX-License-Identifier: Apache-2.0
"""ML2 mechanism driver without a data plane: every port binds at once and is ACTIVE, trunks with it.

Neutron finds it by the entry point in `unterbau_runtime.dist-info` beside this file.
"""

from neutron.services.trunk.drivers import base as trunk_base
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins.ml2 import api
from neutron_lib.services.trunk import constants as trunk_constants


class InstantBind(api.MechanismDriver):
    """See the module."""

    def initialize(self):
        """Nothing to connect to; the trunk plugin refuses to load without a driver of its own."""
        InstantTrunk(
            "instantbind",
            interfaces=(portbindings.VIF_TYPE_OVS,),
            segmentation_types=(trunk_constants.SEGMENTATION_TYPE_VLAN,),
            can_trunk_bound_port=True,
        )

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


class InstantTrunk(trunk_base.DriverBase):
    """A trunk is ACTIVE as soon as it or its sub-ports have changed."""

    @property
    def is_loaded(self):
        """It is made with the mechanism driver only."""
        return True

    @registry.receives(resources.TRUNK, [events.AFTER_CREATE])
    @registry.receives(resources.SUBPORTS, [events.AFTER_CREATE, events.AFTER_DELETE])
    def activate(self, resource, event, trigger, payload=None):
        """Nothing has to be set up on any host."""
        payload.states[0].update(status=trunk_constants.TRUNK_ACTIVE_STATUS)
