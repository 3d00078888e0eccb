# SPDX-License-Identifier: Apache-2.0
"""Volumes that are files, for Nova's libvirt driver: what `file_volumes` calls `local` is no block device there."""

from nova.virt.libvirt import driver
from nova.virt.libvirt.volume import volume


class FileVolume(volume.LibvirtVolumeDriver):
    """A volume in a file of this machine."""

    def get_config(self, connection_info, disk_info):
        """As upstream, told as a file."""
        conf = super().get_config(connection_info, disk_info)
        conf.source_type = "file"
        return conf


def install():
    """Nova finds its volume drivers by name in a table."""
    driver.VOLUME_DRIVERS["local"] = f"{__name__}.FileVolume"
