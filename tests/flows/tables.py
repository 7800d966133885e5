"""What a database's tables look like, to compare those that migrations make with those that models ask for."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

BOOKKEEPING = "django_migrations"
UNNAMED = ("fk_", "__unnamed_constraint_")  # SQLite numbers these in the order of their making


def tables(connection: BaseDatabaseWrapper) -> dict[str, dict[str, Any]]:
    """By table: its columns, each with its type and whether it may be null; its constraints and indexes."""
    with connection.cursor() as cursor:
        names = set(connection.introspection.table_names(cursor)) - {BOOKKEEPING}
        return {
            name: {"columns": _columns(connection, cursor, name)} | _constraints(connection, cursor, name)
            for name in names
        }


def _columns(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> dict[str, Any]:
    described = connection.introspection.get_table_description(cursor, table)
    return {column.name: (column.type_code, column.display_size, column.null_ok) for column in described}


def _constraints(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> dict[str, Any]:
    found = connection.introspection.get_constraints(cursor, table)
    return {
        "constraints": sorted(
            repr(("" if name.startswith(UNNAMED) else name, sorted(facts.items()))) for name, facts in found.items()
        )
    }
