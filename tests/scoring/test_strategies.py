"""Which narrative comes next, and why; every strategy through the same claim."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scoring.models import Assignment, Study
from scoring.services.amendments import amend_study
from scoring.services.priorities import push_priorities, refresh_priorities, refresh_running_studies
from scoring.services.queue import claim_next, enqueue_versions
from scoring.strata import read_expertise, read_quotas
from scoring.strategies import STRATEGIES
from tests.factories import (
    claim,
    make_administrator,
    make_case,
    make_queue,
    make_rater,
    make_source,
    make_study,
    make_version,
    rate,
)

pytestmark = pytest.mark.django_db


def served(study, rater, number):
    return [rate(study, rater).version for _ in range(number)]


def queue_of(study, *cases):
    versions = [make_version(case=case) for case in cases]
    enqueue_versions(study=study, versions=versions, actor=None)
    return versions


def test_every_choice_of_the_study_has_its_strategy() -> None:
    assert set(STRATEGIES) == set(Study.Strategy.values)


def test_in_order_serves_as_added() -> None:
    study = make_study(strategy="in_order")
    versions = make_queue(study, 4)
    assert served(study, make_rater(study), 4) == versions
    assert Assignment.objects.first().why == {"rule": "in_order"}


def test_random_is_fixed_by_the_seed_and_not_the_order_added() -> None:
    first, again, other = (make_study(seed=seed) for seed in (7, 7, 8))
    versions = [make_version() for _ in range(12)]
    for study in (first, again, other):
        enqueue_versions(study=study, versions=versions, actor=None)

    def order(study):
        return list(study.assignments.order_by("order_key").values_list("version", "slot"))

    assert order(first) == order(again) != order(other)
    assert order(first) != sorted(order(first))


def test_quota_serves_what_lies_furthest_below_its_share() -> None:
    quotas = read_quotas("skin tone: dark = 50 %\nskin tone: light = 20%")
    study = make_study(strategy="quota", quotas=quotas, overlap=1)
    light = [make_case(image=False) for _ in range(4)]
    dark = [make_case(image=False, skin_tone="V-VI", skin_tone_scale="Fitzpatrick") for _ in range(4)]
    queue_of(study, *light, *dark)
    rater = make_rater(study)
    slot = claim(study, rater)
    assert slot.case in dark
    assert slot.why == {"rule": "quota", "by": "skin_tone", "value": "dark", "percent": 50.0, "have": 0.0}
    rate(study, rater)
    refresh_priorities(study=study)
    assert claim(study, rater).case in light, "dark has 100 % now, light none of its 20 %"


@pytest.mark.parametrize("by", ["condition", "source"])
def test_quotas_by_condition_and_source(by) -> None:
    wanted = make_case(image=False, diagnosis="Blue Naevus", source=make_source(name="Clinic A"))
    study = make_study(
        strategy="quota", quotas=read_quotas(f"{by}: {'blue naevus' if by == 'condition' else 'clinic a'} = 10")
    )
    queue_of(study, *(make_case(image=False) for _ in range(5)), wanted)
    assert claim(study, make_rater(study)).case == wanted


def test_most_disagreed_comes_first_with_the_dimension_that_says_so() -> None:
    study = make_study(strategy="most_disagreed", overlap=3)
    agreed, argued, fresh = queue_of(study, *(make_case(image=False) for _ in range(3)))
    mild, harsh = make_rater(study), make_rater(study)
    for rater, value in ((mild, 5.0), (harsh, 1.0)):
        for _ in range(3):
            slot = claim(study, rater)
            if slot.version == argued:
                rate(study, rater, 5, safety=value)
            else:
                rate(study, rater, 4)
    refresh_priorities(study=study)
    slot = claim(study, make_rater(study))
    assert slot.version == argued
    assert slot.why == {"rule": "disagreement", "dimension": "safety", "lowest": 1.0, "highest": 5.0}
    assert {agreed, fresh}


def test_pushed_down_numbers_order_the_queue() -> None:
    study = make_study(strategy="pushed", overlap=1)
    low, high, none = queue_of(study, *(make_case(image=False) for _ in range(3)))
    assert push_priorities(study=study, numbers={low.pk: -0.5, high.pk: 0.25}) == 2
    refresh_priorities(study=study)
    assert served(study, make_rater(study), 3) == [high, low, none]
    assert Assignment.objects.get(version=high).why == {"rule": "pushed", "value": 0.25}


@pytest.mark.parametrize("strategy", Study.Strategy.values)
def test_what_people_push_to_the_front_stands_before_any_strategy(strategy) -> None:
    study = make_study(strategy=strategy, quotas=read_quotas("skin tone: light = 100"))
    make_queue(study, 3, case=make_case(image=False))
    urgent = make_version(case=make_case(image=False, skin_tone="", skin_tone_scale=""))
    enqueue_versions(study=study, versions=[urgent], actor=None, priority=1)
    refresh_priorities(study=study)
    slot = claim(study, make_rater(study))
    assert slot.version == urgent
    assert slot.why["boost"] == 1


def test_a_slot_keeps_the_reason_it_was_taken_with() -> None:
    study = make_study(strategy="most_disagreed")
    make_queue(study, 2, case=make_case(image=False))
    slot = claim(study, make_rater(study))
    before = slot.why
    rate(study, make_rater(study))
    refresh_priorities(study=study)
    slot.refresh_from_db()
    assert slot.why == before


def test_refreshing_asks_the_same_number_of_questions_for_any_queue() -> None:
    def queries(number: int) -> int:
        study = make_study(strategy="quota", quotas=read_quotas("skin tone: dark = 50"))
        make_queue(study, number, case=make_case(image=False))
        with CaptureQueriesContext(connection) as seen:
            refresh_priorities(study=study)
        return len(seen)

    assert queries(2) == queries(20)


def test_the_clock_refreshes_running_studies_and_not_twice_at_once() -> None:
    study = make_study(strategy="pushed")
    make_study(started=False)
    (version,) = make_queue(study, 1)
    push_priorities(study=study, numbers={version.pk: 3.0})
    Study.objects.update(priorities_at=None)
    assert refresh_running_studies() == 1
    assert refresh_running_studies() == 0
    assert Assignment.objects.first().why["rule"] == "pushed"


def test_a_new_strategy_is_in_force_at_once_and_the_open_page_keeps_its_case() -> None:
    study = make_study(overlap=1)
    versions = make_queue(study, 6)
    rater = make_rater(study)
    before_her = claim(study, rater)
    amend_study(study=study, actor=make_administrator(), reason="Oldest first.", changes={"strategy": "in_order"})
    study.refresh_from_db()
    assert study.settings_version == 2
    assert claim(study, rater) == before_her
    rate(study, rater)
    left = [version for version in versions if version != before_her.version]
    assert served(study, rater, 5) == left


def test_expertise_is_matched() -> None:
    study = make_study(expertise=read_expertise("melanoma: pigmented lesions"))
    queue_of(study, make_case(image=False, diagnosis="Melanoma in situ"))
    generalist, specialist = make_rater(study), make_rater(study)
    specialist.enrolments.update(expertise=["pigmented lesions"])
    assert claim_next(study=study, rater=generalist) is None
    assert claim(study, specialist).needs_expertise == "pigmented lesions"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dark = 33", "like “skin tone: dark = 33 %”"),
        ("skin tone: purple = 33", "light, medium, dark"),
        ("skin tone: dark = 0", "above 0"),
        ("skin tone: dark = 60\nskin tone: light = 60", "add up to 120 %"),
        ("skin tone: dark = 20\nskin tone: Dark = 30", "two quotas"),
    ],
)
def test_a_quota_that_cannot_be_read_says_what_to_write(text, said) -> None:
    with pytest.raises(ValueError, match=said):
        read_quotas(text)


def test_a_quota_order_needs_quotas() -> None:
    with pytest.raises(ValidationError, match="State the quotas"):
        make_study(strategy="quota")
