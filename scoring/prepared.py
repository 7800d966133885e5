"""Selects that are put together once: Django takes longer to write a query than a database to answer it.

    DRAFT = Prepared(lambda: RatingDraft.objects.filter(assignment=Given("slot"), rater=Given("rater")))
    DRAFT.first(slot=slot.pk, rater=rater.pk)

For what every request asks; everything else is written as usual. PostgreSQL plans each of them once for a
connection, too: Django sends the values within a statement, so that it looks like a new one each time.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import Expression
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row")


class Given(Expression):
    """A value that each run brings, in the form of ``field``: a whole number unless said otherwise. Never ``None``."""

    def __init__(self, name: str, field: "models.Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field=field or models.BigIntegerField())
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        return "%s", [self]


@dataclass(frozen=True)
class _Written:
    """A query as its compiler left it: the statement, and its values in order, some of them ``Given``."""

    rows: models.QuerySet[Any]
    compiler: SQLCompiler
    statement: str
    values: tuple[Any, ...]
    converters: "dict[int, tuple[list[Callable[..., Any]], Expression]]"

    def executed(self, values: tuple[Any, ...]) -> list[list[Any]]:
        """All its rows, as one lot of those that a compiler's ``execute_sql`` gives."""
        with planned_cursor() as cursor:
            cursor.execute(self.statement, values)
            return [cursor.fetchall()]


def planned_cursor() -> CursorWrapper:
    """A cursor of the default database whose statements PostgreSQL plans once for each connection."""
    connection = connections[DEFAULT_DB_ALIAS]
    cursor: CursorWrapper = connection.cursor()
    if connection.vendor == "postgresql":
        from django.db.backends.postgresql.base import ServerBindingCursor

        cursor.cursor = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
    return cursor


class Prepared(Generic[Row]):
    """A queryset with ``Given`` in its filters, written once for each process.

    The queryset still makes the rows; its compiler alone is a copy that neither writes the statement nor looks for
    the columns' converters again.
    """

    def __init__(self, make: Callable[[], models.QuerySet[Any, Row]]) -> None:
        self._make = make

    def rows(self, **given: Any) -> list[Row]:
        """Runs it. Raises ``KeyError`` for a value that is missing."""
        return list(self._bound(given))

    def first(self, **given: Any) -> Row | None:
        """The first row, or ``None``: the queryset itself has to say which and, by a slice, that one is enough."""
        return next(iter(self.rows(**given)), None)

    def _bound(self, given: Mapping[str, Any]) -> models.QuerySet[Any, Row]:
        written = self._written
        connection = connections[DEFAULT_DB_ALIAS]
        values = tuple(_bound_value(value, given, connection) for value in written.values)
        compiler = copy.copy(written.compiler)
        compiler.connection = connection
        compiler.execute_sql = lambda *_args, **_named: written.executed(values)  # type: ignore[method-assign,assignment]
        compiler.get_converters = lambda expressions: written.converters  # type: ignore[method-assign]
        rows = written.rows._chain()  # type: ignore[attr-defined]
        rows._query = copy.copy(written.rows.query)
        rows._query.get_compiler = lambda *_args, **_named: compiler
        return rows

    @cached_property
    def _written(self) -> _Written:
        rows = self._make()
        compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
        statement, values = compiler.as_sql()
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        return _Written(rows, compiler, statement, tuple(values), converters)


def _bound_value(value: Any, given: Mapping[str, Any], connection: Any) -> Any:
    if not isinstance(value, Given):
        return value
    return value.output_field.get_db_prep_value(given[value.name], connection, prepared=False)
