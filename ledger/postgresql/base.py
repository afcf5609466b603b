"""Django's backend for PostgreSQL, whose pool hands out no connection that has ended."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One that is alive. Raises as Django's when the pool has none in time.

        A server that was restarted leaves the pool full of dead ones. Django's own check (CONN_HEALTH_CHECKS) asks the
        server at each request, and pauses longer after each dead one it meets: with four the visitor gets an error.
        """
        connection = super().get_new_connection(conn_params)
        pool = self.pool
        while pool and has_ended(connection):
            pool.putconn(connection)  # which throws it away and makes another
            connection = super().get_new_connection(conn_params)
        return connection


def has_ended(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the server has closed an idle connection: a look at the socket, no question over it.

    Nothing is to be read from an idle one, but its end; to be sure, the server is asked then.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.Error:
        return True
    return False
