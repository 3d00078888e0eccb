# SPDX-License-Identifier: Apache-2.0
"""What memcached is to Swift, inside the one Swift process: `use = call:swift_cache:filter_factory`."""

import copy
import time


class LocalCache:
    """The methods of swift.common.memcached.MemcacheRing that Swift and keystonemiddleware call."""

    _MOST = 20_000

    def __init__(self):
        self._values = {}

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        """Keep a copy of plain data; `time` in seconds, 0 for ever."""
        if len(self._values) > self._MOST:
            self._values.clear()
        # A copy, as from memcached: the reader must not share the writer's objects.
        self._values[key] = (_deadline(time), copy.deepcopy(value))

    def get(self, key, raise_on_error=False):
        """The value, or None."""
        deadline, value = self._values.get(key, (0, None))
        if deadline < time.time():
            self._values.pop(key, None)
            return None
        return copy.deepcopy(value)

    def incr(self, key, delta=1, time=0):
        """Count up; below zero is zero."""
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0):
        """Count down."""
        return self.incr(key, -int(delta), time)

    def delete(self, key, server_key=None):
        """Forget."""
        self._values.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        """Several at once."""
        for key, value in mapping.items():
            self.set(key, value, serialize, time)

    def get_multi(self, keys, server_key):
        """Several at once, in order."""
        return [self.get(key) for key in keys]


def _deadline(seconds):
    if not seconds:
        return float("inf")
    # As in memcached: a large number is a point in time.
    return seconds if seconds > 30 * 86400 else time.time() + seconds


def filter_factory(global_conf, **local_conf):
    """One cache for the whole process."""
    cache = LocalCache()

    def wrap(app):
        def with_cache(environ, start_response):
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return with_cache

    return wrap
