# SPDX-License-Identifier: Apache-2.0
"""Open the content of a resource, or lift its protection, whatever its kind: the one place that knows the port's method for it.

Verifier, mover and closer call it. Not here: what must be exported first, and what nobody keeps (`tenant.kinds.Content`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from unterbau.cloud.port import ByteStream, Cloud, Reader
from unterbau.errors import Unsupported
from unterbau.tenant.kinds import Image, Resource, Server, StoredObject


def content(cloud: Reader, resource: Resource) -> AbstractContextManager[ByteStream]:
    """The bytes as they lie there. Raises Unsupported for a kind whose content is not `streamed`."""
    match resource:
        case Image():
            return cloud.image_bytes(resource.id)
        case StoredObject():
            return cloud.object_bytes(resource.container, resource.name)
        case _:
            raise Unsupported(f"{resource.ref} has no bytes to read")


@contextmanager
def whole(cloud: Reader, resource: Resource) -> Iterator[tuple[Resource, ByteStream]]:
    """A thing and its bytes: as it is now, if only its listing was read, else as it was read. Raises as `content`."""
    if isinstance(resource, StoredObject) and resource.by_listing:
        with cloud.object_whole(resource.container, resource.name) as found:
            yield found
    else:
        with content(cloud, resource) as stream:
            yield resource, stream


def own_content(cloud: Reader, resource: Resource) -> AbstractContextManager[ByteStream]:
    """What a large object holds itself, beside what it joins. Raises Unsupported for anything else."""
    if not isinstance(resource, StoredObject):
        raise Unsupported(f"{resource.ref} joins no others")
    return cloud.own_bytes(resource.container, resource.name)


def unprotect(cloud: Cloud, there: Resource) -> None:
    """Lift what protects it from deletion (`ResourceBase.protection`)."""
    match there:
        case Server() if there.locked:
            cloud.set_lock(there.id, False)
        case Image() if there.protected:
            cloud.write_image(there.model_copy(update={"protected": False}), (), None)
        case _:
            pass
