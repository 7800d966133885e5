"""Imports stand inside the fixtures: this file is read before Django is ready."""

import pytest


@pytest.fixture
def study(db):
    from tests.factories import make_study

    return make_study()


@pytest.fixture
def rater(study):
    from tests.factories import make_rater

    return make_rater(study, first_name="Mei", last_name="Lin")


@pytest.fixture
def page(client, rater):
    client.force_login(rater)
    return client


@pytest.fixture
def held(study, rater):
    """Her assignment, with two more narratives behind it."""
    from tests.factories import claim, make_queue

    make_queue(study, 3)
    return claim(study, rater)
