"""Environment of Alembic for every migration: the connection and the transaction of its caller."""

from typing import Any

from alembic import context

from vitale_reader.daemon.store.tables import metadata


def migrate() -> None:
    """Runs the migrations that are due.

    Tables of version 0.1 say no revision, and are given the first one.
    """
    attributes = context.config.attributes

    def applied(*_: Any, **__: Any) -> None:
        attributes["told"]()

    context.configure(
        connection=attributes["connection"],
        target_metadata=metadata,
        on_version_apply=applied,
    )
    migrations = context.get_context()
    if migrations.get_current_revision() is None:
        migrations.stamp(context.script, attributes["found"])
    with context.begin_transaction():
        context.run_migrations()


migrate()
