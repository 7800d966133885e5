"""Selects that are put together once answer as the same queryset does each time anew."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, models
from django.db.models import Count

from scoring.models import Case, NarrativeVersion
from scoring.prepared import Given, Prepared
from tests.factories import make_case, make_version

BY_ID = Prepared(
    lambda: NarrativeVersion.objects.select_related("narrative__case").filter(
        public_id=Given("public_id", models.UUIDField())
    )
)


@pytest.mark.django_db
def test_each_run_brings_its_own_values_and_comes_with_its_relations(django_assert_num_queries) -> None:
    versions = [make_version(text=f"A papule. Number {n}.") for n in range(3)]
    for version in versions:
        with django_assert_num_queries(1):
            found = BY_ID.first(public_id=version.public_id)
            assert found == version and found.steps == version.steps
            assert found.narrative.case.pk == version.narrative.case_id
    assert BY_ID.first(public_id=make_case().public_id) is None


@pytest.mark.django_db
def test_rows_are_read_anew_each_time() -> None:
    ages = Prepared(lambda: Case.objects.filter(age__gte=Given("least")).order_by("age").values_list("age"))
    assert ages.rows(least=1) == []
    for age in (40, 20):
        make_case(age=age)
    assert ages.rows(least=1) == [(20,), (40,)]
    assert ages.rows(least=30) == [(40,)]
    Case.objects.update(age=50)
    assert ages.rows(least=50) == [(50,), (50,)]


@pytest.mark.django_db
def test_it_counts() -> None:
    case = make_case()
    number = Prepared(
        lambda: Case.objects.filter(pk=Given("pk")).values("source").annotate(n=Count("pk")).values_list("n")
    )
    assert number.rows(pk=case.pk) == [(1,)]
    assert number.rows(pk=case.pk + 1) == []


@pytest.mark.django_db
def test_a_missing_value_is_refused() -> None:
    with pytest.raises(KeyError, match="public_id"):
        BY_ID.rows()


@pytest.mark.django_db(transaction=True)
def test_each_thread_asks_on_its_own_connection() -> None:
    version = make_version()
    assert BY_ID.first(public_id=version.public_id) == version

    def ask(_number: int) -> bool:
        try:
            return BY_ID.first(public_id=version.public_id) == version
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(12))) == [True] * 12


@pytest.mark.django_db
def test_postgresql_plans_what_is_asked_again_once() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("a file has no server that plans")
    version = make_version()
    for _ in range(3):
        assert BY_ID.first(public_id=version.public_id) == version
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE %s", ["%case%"]
        )
        assert sum(row[0] for row in cursor.fetchall()) >= 2


@pytest.mark.django_db
def test_it_answers_as_the_queryset_that_it_was_made_of() -> None:
    """Relations, stored arrays, times and identifiers come back as the ordinary queryset's do."""
    version = make_version(text="A papule. Psoriasis.")
    (plain,) = NarrativeVersion.objects.select_related("narrative__case").filter(public_id=version.public_id)
    found = BY_ID.first(public_id=version.public_id)
    assert found is not None
    for left, right in (
        (plain, found),
        (plain.narrative, found.narrative),
        (plain.narrative.case, found.narrative.case),
    ):
        names = [field.attname for field in left._meta.concrete_fields]
        values = [getattr(left, name) for name in names]
        assert values == [getattr(right, name) for name in names] and any(values)
        assert [type(value) for value in values] == [type(getattr(right, name)) for name in names]
        assert right._state.db == left._state.db and not right._state.adding
