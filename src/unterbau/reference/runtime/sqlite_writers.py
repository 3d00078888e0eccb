# SPDX-License-Identifier: Apache-2.0
"""Let several threads write to SQLite: every transaction that may write begins with BEGIN IMMEDIATE.

oslo.db sends a deferred BEGIN. A transaction that reads first and writes later then fails at once with
"database is locked" when another writer came in between, whatever the busy timeout is. Writers that begin
immediately queue instead (up to the `?timeout=` of the connection's address); under WAL readers never wait.

Sessions of oslo.db's enginefacade say whether they read or write. All other sessions (Barbican, Glance's and
Keystone's older parts use enginefacade too; Barbican does not) count as writers.
"""

from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event
from sqlalchemy.engine import Engine

READS_ONLY = "unterbau_reads_only"


def install():
    """Patch oslo.db in this process, before the service makes its engines."""
    event.listen(Engine, "begin", _begin_immediate)
    factory = enginefacade._TransactionFactory
    factory._create_session = _for_sessions(factory._create_session)
    factory._create_connection = _for_connections(factory._create_connection)


def _begin_immediate(connection):
    if connection.dialect.name != "sqlite" or connection.get_execution_options().get(READS_ONLY):
        return
    # oslo.db's own listener, which runs after this one, looks at the same entry and then sends nothing.
    if "in_transaction" in connection.info:
        return
    connection.info["in_transaction"] = True
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except BaseException:
        connection.info.pop("in_transaction", None)
        raise


def _reader(factory, mode):
    """The engine for a transaction that only reads, or None: then everything is as oslo.db has it."""
    if not factory._started:
        factory._start()
    if mode is enginefacade._WRITER or factory._reader_engine.dialect.name != "sqlite":
        return None
    if not hasattr(factory, "_unterbau_reader"):
        factory._unterbau_reader = factory._reader_engine.execution_options(**{READS_ONLY: True})
    return factory._unterbau_reader


def _for_sessions(original):
    return lambda self, mode, bind=None: original(self, mode, bind or _reader(self, mode))


def _for_connections(original):
    def create(self, mode):
        engine = _reader(self, mode)
        return original(self, mode) if engine is None else engine.connect()

    return create
