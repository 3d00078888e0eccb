# SPDX-License-Identifier: Apache-2.0
"""Nova's fake hypervisor, with guests that survive a restart and hosts that keep their identity.

Upstream's driver keeps guests in memory and draws new node ids in every process. This one takes both from
what is durable: ids are derived from the host's name, guests are those that Nova's database has on the host,
in the power state that it has for them.
"""

import uuid

from nova import context, objects
from nova.compute import power_state, vm_states
from nova.objects import fields
from nova.virt import fake


class KeptFakeDriver(fake.FakeDriver):
    """`compute_driver = kept_guests.KeptFakeDriver`."""

    def init_host(self, host):
        """Also brings back the guests of this host."""
        super().init_host(host)
        machine = (fields.Architecture.X86_64, fields.VMMode.HVM)
        # Images that ask for QEMU or KVM, as SCS images do, find a host too.
        types = (fields.HVType.FAKE, fields.HVType.QEMU, fields.HVType.KVM)
        supported = [(machine[0], type_, machine[1]) for type_ in types]
        self.host_status_base |= {"hypervisor_hostname": host, "supported_instances": supported}
        for instance in objects.InstanceList.get_by_host(context.get_admin_context(), host):
            if instance.vm_state not in (vm_states.BUILDING, vm_states.ERROR, vm_states.DELETED):
                self._bring_back(instance)

    def _bring_back(self, instance):
        stopped = instance.vm_state == vm_states.STOPPED
        state = power_state.SHUTDOWN if stopped else power_state.RUNNING
        flavor = instance.flavor
        self.resources.claim(vcpus=flavor.vcpus, mem=flavor.memory_mb, disk=flavor.root_gb)
        self.instances[instance.uuid] = fake.FakeInstance(instance.name, state, instance.uuid)

    def get_nodenames_by_uuid(self, refresh=False):
        """One node a host, its id derived from its name."""
        return {node_uuid(name): name for name in self.get_available_nodes()}

    def get_available_resource(self, nodename):
        """As upstream, with the derived id."""
        return {**super().get_available_resource(nodename), "uuid": node_uuid(nodename)}


def node_uuid(name):
    """The id of the node of that name, the same for ever."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
