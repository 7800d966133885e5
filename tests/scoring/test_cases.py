"""A case is stored with its images, all of it or nothing."""

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from scoring.models import Case, CaseGroup, CaseImage
from scoring.services.cases import create_case
from tests.factories import make_source, png

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def stored_files() -> list[str]:
    return sorted(str(path.relative_to(settings.MEDIA_ROOT)) for path in settings.MEDIA_ROOT.rglob("*.*"))


def create(source, key="P1-L1", **changes) -> Case:
    values = {
        "source_key": key,
        "group_key": "P1",
        "split": "training",
        "diagnosis": "melanoma",
        "basis": "histopathology",
        "images": [png(tuple(key.encode()[-3:]))],
    }
    return create_case(source=source, **(values | changes))


def test_a_case_with_two_images():
    case = create(
        make_source(), images=[png((1, 2, 3)), png((4, 5, 6))], age=0, skin_tone="5", skin_tone_scale="Fitzpatrick"
    )
    assert [image.position for image in case.images.all()] == [0, 1]
    assert case.age == 0
    for image in case.images.all():
        assert image.size == len(image.file.read()) == (settings.MEDIA_ROOT / image.file.name).stat().st_size
    assert len(stored_files()) == 4


def test_names_on_disk_say_nothing():
    case = create(make_source(), key="JaneDoe-melanoma")
    assert "JaneDoe" not in " ".join(stored_files())
    image = case.images.get()
    for part in (case.public_id.hex, image.public_id.hex, image.sha256, image.original_sha256):
        assert part not in " ".join(stored_files())


def test_unknown_stays_unknown():
    case = Case.objects.get(pk=create(make_source()).pk)
    assert (case.age, case.sex, case.body_site, case.skin_tone, case.skin_tone_scale) == (None, "", "", "", "")


def test_the_same_case_again_is_returned_unchanged():
    source = make_source()
    first = create(source)
    again = create(source, diagnosis="nevus", images=[png((9, 9, 9))])
    assert again.pk == first.pk
    assert again.diagnosis == "melanoma"
    assert CaseImage.objects.count() == 1
    assert len(stored_files()) == 2


def test_a_group_never_crosses_splits():
    source = make_source()
    create(source)
    with pytest.raises(ValidationError, match="Group “P1” is in the training split"):
        create(source, key="P1-L2", split="evaluation")
    assert Case.objects.count() == 1
    assert len(stored_files()) == 2
    assert create(make_source(), key="other", split="evaluation").split == "evaluation"


def test_a_bad_image_leaves_nothing_behind():
    with pytest.raises(ValidationError, match="Image 2 is refused: it is damaged"):
        create(make_source(), images=[png(), b"no picture"])
    assert not Case.objects.exists()
    assert not CaseGroup.objects.exists()
    assert stored_files() == []


def test_files_go_when_the_transaction_fails(monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(CaseImage.objects, "bulk_create", fail)
    with pytest.raises(RuntimeError):
        create(make_source())
    assert not Case.objects.exists()
    assert stored_files() == []


def test_the_same_file_in_two_cases_of_a_source_is_refused():
    source = make_source()
    create(source, images=[png((7, 7, 7))])
    with pytest.raises(ValidationError, match="same file as an image of “P1-L1”"):
        create(source, key="P2-L1", group_key="P2", images=[png((7, 7, 7))])
    with pytest.raises(ValidationError, match="Two of its images are the same file"):
        create(source, key="P2-L1", images=[png((8, 8, 8)), png((8, 8, 8))])
    assert create(make_source(), key="elsewhere", images=[png((7, 7, 7))]).images.count() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": []}, "needs at least one image"),
        ({"diagnosis": ""}, "Reference diagnosis: "),
        ({"diagnosis": "x" * 201}, "at most 200 characters"),
        ({"basis": "guess"}, "Basis: "),
        ({"basis": ""}, "Basis: "),
        ({"age": 131}, "not believable"),
        ({"age": -1}, "Age: "),
        ({"sex": "f"}, "Sex: "),
        ({"skin_tone": "5"}, "name of its scale"),
        ({"skin_tone_scale": "Fitzpatrick"}, "name of its scale"),
        ({"split": "test"}, "neither training nor evaluation"),
        ({"group_key": ""}, "name the patient or lesion"),
        ({"source_key": ""}, "Source key: "),
    ],
)
def test_each_fault_is_told(changes, sentence):
    with pytest.raises(ValidationError) as caught:
        create(make_source(), **changes)
    assert sentence in " ".join(caught.value.messages)
    assert not Case.objects.exists()
    assert stored_files() == []
