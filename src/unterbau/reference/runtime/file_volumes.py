# SPDX-License-Identifier: Apache-2.0
"""A Cinder back end of sparse files in one directory: real bytes, no root, no NFS, no qemu-img.

`volume_driver = file_volumes.FileDriver`. Snapshots and clones are copies of the allocated parts (or reflinks,
where the file system can), taken at once, so a volume in use has them too: the embedded cloud's guests never
write by themselves. Images are raw or qcow2, of which only what is in use passes; another format is refused with Cinder's own
error.
"""

import contextlib
import errno
import fcntl
import importlib.util
import os
import pathlib
import sys
import tempfile

from cinder import exception
from cinder.volume import driver
from oslo_config import cfg


def _beside_the_room(name):
    """A module of ours that needs nothing of the others: they are not for this interpreter."""
    spec = importlib.util.spec_from_file_location(f"unterbau_{name}", pathlib.Path(__file__).parents[2] / f"{name}.py")
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


qcow2 = _beside_the_room("qcow2")

_FICLONE = 0x40049409
_CHUNK = 4 * 2**20
_ZEROS = bytes(_CHUNK)

OPTIONS = [cfg.StrOpt("file_volumes_dir", help="Directory that holds the volumes and snapshots.")]


class FileDriver(driver.VolumeDriver):
    """See the module."""

    VERSION = "1.0.0"
    vendor_name = "Unterbau"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    @property
    def _home(self):
        return self.configuration.file_volumes_dir

    def _path(self, thing):
        """Where a volume or a snapshot lies."""
        return os.path.join(self._home, thing.name)

    def do_setup(self, context):
        """The directory is ours alone."""
        os.makedirs(self._home, mode=0o700, exist_ok=True)

    def check_for_setup_error(self):
        """Nothing beyond the directory is needed."""

    # --- volumes

    def create_volume(self, volume):
        """A hole of the volume's size."""
        with open(self._path(volume), "wb") as made:
            made.truncate(volume.size * 2**30)
        os.chmod(self._path(volume), 0o600)

    def delete_volume(self, volume):
        """Gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(volume))

    def extend_volume(self, volume, new_size):
        """A longer hole at the end."""
        os.truncate(self._path(volume), new_size * 2**30)

    def create_cloned_volume(self, volume, src_vref):
        """A copy."""
        self._copy(src_vref, volume, volume.size)

    def create_volume_from_snapshot(self, volume, snapshot):
        """A copy."""
        self._copy(snapshot, volume, volume.size)

    def create_snapshot(self, snapshot):
        """A copy of the volume as it is."""
        self._copy(snapshot.volume, snapshot, snapshot.volume_size)

    def delete_snapshot(self, snapshot):
        """Gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(snapshot))

    def revert_to_snapshot(self, context, volume, snapshot):
        """The snapshot's bytes again."""
        self._copy(snapshot, volume, volume.size)

    def _copy(self, origin, target, size_gib):
        sparse_copy(self._path(origin), self._path(target), size_gib * 2**30)

    # --- images

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        """Download straight into the volume, without a temporary copy on the way."""
        self._demand_known(image_meta)
        self.create_volume(volume)
        with open(self._path(volume), "r+b") as target:
            if image_meta["disk_format"] == "qcow2":
                self._unpack(image_service.download(context, image_meta["id"]), target, volume, image_meta)
            else:
                image_service.download(context, image_meta["id"], _HoleKeeper(target))
            target.truncate(volume.size * 2**30)
        return {}, True

    def _unpack(self, data, target, volume, image_meta):
        def spool():
            return tempfile.TemporaryFile(dir=self._home)

        try:
            for piece in qcow2.Disk(data, volume.size * 2**30, spool):
                if isinstance(piece, int):
                    target.seek(piece, os.SEEK_CUR)
                else:
                    target.write(piece)
        except qcow2.Unreadable as error:
            raise exception.ImageUnacceptable(image_id=image_meta["id"], reason=f"it {error}") from None

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        """Upload the whole volume as a raw image, or what is in use of it as a qcow2."""
        self._demand_known(image_meta)
        with open(self._path(volume), "rb") as source:
            data = _Packed(source.fileno()) if image_meta["disk_format"] == "qcow2" else source
            image_service.update(context, image_meta["id"], {}, data, store_id=image_meta.get("store_id"))

    def _demand_known(self, image_meta):
        if image_meta.get("disk_format") not in ("raw", "qcow2"):
            raise exception.ImageUnacceptable(
                image_id=image_meta["id"], reason="this back end takes and gives raw and qcow2 images only"
            )

    # --- attachments: nova's fake driver opens nothing, Cinder's backup opens the file

    def initialize_connection(self, volume, connector, **kwargs):
        """The file itself."""
        return {"driver_volume_type": "local", "data": {"device_path": self._path(volume)}}

    def initialize_connection_snapshot(self, snapshot, connector, **kwargs):
        """The snapshot's file."""
        return {"driver_volume_type": "local", "data": {"device_path": self._path(snapshot)}}

    def terminate_connection(self, volume, connector, **kwargs):
        """Restoring a backup rewrites the file and ends with its last data: the hole after it comes back."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self._path(volume)) < volume.size * 2**30:
                os.truncate(self._path(volume), volume.size * 2**30)

    def terminate_connection_snapshot(self, snapshot, connector, **kwargs):
        """Nothing was opened."""

    def create_export(self, context, volume, connector):
        """Nothing to export."""

    def create_export_snapshot(self, context, snapshot, connector):
        """Nothing to export."""

    def ensure_export(self, context, volume):
        """Nothing to export."""

    def remove_export(self, context, volume):
        """Nothing was exported."""

    def remove_export_snapshot(self, context, snapshot):
        """Nothing was exported."""

    def backup_use_temp_snapshot(self):
        """A volume in use is backed up from a snapshot."""
        return True

    def _update_volume_stats(self):
        room = os.statvfs(self._home)
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": self.vendor_name,
            "driver_version": self.VERSION,
            "storage_protocol": "file",
            "total_capacity_gb": room.f_blocks * room.f_frsize // 2**30,
            # Volumes are sparse: what the disk has free says nothing about how many fit.
            "free_capacity_gb": "unknown",
            "reserved_percentage": 0,
            "multiattach": True,
            "sparse_copy_volume": True,
            "online_extend_support": True,
        }


class _HoleKeeper:
    """A file for writing that seeks over zeros instead of storing them."""

    def __init__(self, target):
        self._target = target

    def write(self, data):
        if data == _ZEROS[: len(data)]:
            self._target.seek(len(data), os.SEEK_CUR)
        else:
            self._target.write(data)
        return len(data)

    def flush(self):
        self._target.flush()

    def fileno(self):
        return self._target.fileno()

    def close(self):
        self._target.flush()


class _Packed:
    """A volume's file, to be read as a qcow2 file."""

    def __init__(self, source):
        def read(place, length):
            return os.pread(source, length, place)

        used = qcow2.in_use(data_of(source), read)
        self._pieces = iter(qcow2.Written(os.fstat(source).st_size, used, read))

    def read(self, size):
        """The next piece, however long: 1 MiB at most."""
        return next(self._pieces, b"")


def sparse_copy(origin, target, size_bytes):
    """Copy the allocated parts of a file, by reflink if the file system can; the rest are holes."""
    temporary = f"{target}.part"
    with open(origin, "rb") as source, open(temporary, "wb") as made:
        os.chmod(temporary, 0o600)
        try:
            fcntl.ioctl(made.fileno(), _FICLONE, source.fileno())
        except OSError:
            _copy_data(source.fileno(), made.fileno())
        made.truncate(size_bytes)
    os.replace(temporary, target)


def _copy_data(source, target):
    for start, end in data_of(source):
        _copy_range(source, target, start, end)


def data_of(source):
    """(start, end) of what is allocated of an open file, in order."""
    end, position = os.fstat(source).st_size, 0
    while position < end:
        try:
            start = os.lseek(source, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        position = os.lseek(source, start, os.SEEK_HOLE)
        yield start, position


def _copy_range(source, target, start, end):
    while start < end:
        copied = os.copy_file_range(source, target, min(end - start, 2**28), start, start)
        if copied == 0:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        start += copied
