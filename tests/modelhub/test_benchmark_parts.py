"""A benchmark's parts: diagnoses by class, skin tones, and what a model may have seen in training."""

import hashlib
import io

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from PIL import Image, ImageEnhance

from modelhub.models import Evaluation, Training
from modelhub.services.benchmark_parts import UNKNOWN
from modelhub.services.benchmark_results import compute_results
from modelhub.services.image_twins import find_twins, image_hash
from scoring.models import Case, DatasetItem
from tests import factories
from tests.modelhub import hub_rows
from tests.modelhub.board_rows import make_board, make_cases

SIDE = 160


def picture(seed: int) -> Image.Image:
    """Soft blobs, as of a photograph; another seed is another picture."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def distance(one: Image.Image, other: Image.Image) -> int:
    first, second = image_hash(one), image_hash(other)
    assert first is not None and second is not None
    return int(np.bitwise_count(first ^ second).sum())


class TestHash:
    @pytest.mark.parametrize("seed", range(4))
    def test_the_same_picture_saved_again_smaller_or_brighter_is_near(self, seed):
        original = picture(seed)
        again = Image.open(io.BytesIO(jpeg(original, quality=50)))
        changed = [again, original.resize((90, 90)), ImageEnhance.Brightness(original).enhance(0.9)]
        assert [distance(original, one) <= 12 for one in changed] == [True] * 3

    def test_other_pictures_are_far(self):
        pictures = [picture(seed) for seed in range(12)]
        apart = [distance(a, b) for at, a in enumerate(pictures) for b in pictures[:at]]
        assert min(apart) > 40

    def test_a_plain_picture_has_none(self):
        assert image_hash(Image.new("RGB", (64, 64), (180, 140, 120))) is None


def give_picture(case: Case, content: bytes, *, original: str = "") -> None:
    image = case.images.get()
    image.thumbnail.save("t.jpg", ContentFile(content), save=False)
    image.sha256 = hashlib.sha256(content).hexdigest()
    image.original_sha256 = original or image.original_sha256
    image.save()


@pytest.fixture
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def admin(db):
    return factories.make_administrator()


@pytest.mark.django_db
class TestTwins:
    def test_the_same_file_is_exact_and_a_saved_copy_near(self, media):
        here = [factories.make_case(split="evaluation") for _ in range(4)]
        there = [factories.make_case() for _ in range(3)]
        for number, case in enumerate(here):
            give_picture(case, jpeg(picture(number)), original=f"{number:064d}")
        give_picture(there[0], jpeg(picture(100)), original=f"{0:064d}")
        give_picture(there[1], jpeg(picture(1).resize((100, 100)), quality=60))
        give_picture(there[2], jpeg(picture(200)))
        found = find_twins([case.pk for case in here], [case.pk for case in there])
        assert [(twin.case, twin.training_case, twin.kind) for twin in found] == [
            (here[0].pk, there[0].pk, "exact"),
            (here[1].pk, there[1].pk, "near"),
        ]
        assert found[0].distance == 0 and 0 <= found[1].distance <= 12

    def test_plain_colours_are_no_twins(self, media):
        here, there = factories.make_case(split="evaluation"), factories.make_case()
        assert find_twins([here.pk], [there.pk]) == []


def trained_on(model, cases: list[Case], admin) -> Training:
    dataset = hub_rows.make_dataset("dermcot", actor=admin)
    for position, case in enumerate(cases, start=100):
        version = factories.make_version(case=case)
        DatasetItem.objects.create(dataset=dataset, position=position, version=version, record={})
    run = hub_rows.make_run(kind="training", state="succeeded")
    return Training.objects.create(run=run, base=hub_rows.make_model(), dataset=dataset, result=model)


@pytest.mark.django_db
class TestResults:
    def test_scores_with_and_without_the_cases_seen(self, media, admin):
        cases = [factories.make_case(split="evaluation") for _ in range(6)]
        for number, case in enumerate(cases):
            give_picture(case, jpeg(picture(number)), original=f"{number:064d}")
        benchmark = make_board([3.0, 3.0], actor=admin, cases=cases)
        seen, other = benchmark.candidates.order_by("pk")
        copy = factories.make_case()
        give_picture(copy, jpeg(picture(50)), original=f"{2:064d}")
        trained_on(seen, [copy], admin)
        first, second = compute_results(benchmark, [seen, other])["contamination"]
        assert (first["exact"], first["near"], first["reason"]) == (1, 0, "")
        assert (first["overall"]["all"]["n"], first["overall"]["without"]["n"]) == (6, 5)
        assert first["overall"]["all"]["mean"] != first["overall"]["without"]["mean"]
        assert first["twins"][0]["case"] == cases[2].code and first["twins"][0]["training_case"] == copy.code
        assert (second["reason"], second["trained_on"]) == (UNKNOWN, [])

    def test_tones_of_two_scales_have_tables_of_their_own(self, admin):
        cases = make_cases(130)
        plan = [("fitzpatrick", "I")] * 40 + [("fitzpatrick", "VI")] * 40 + [("monk", "I")] * 40
        for case, (scale, tone) in zip(cases, plan, strict=False):
            Case.objects.filter(pk=case.pk).update(skin_tone_scale=scale, skin_tone=tone)
        benchmark = make_board([3.0], actor=admin, cases=cases)
        (model,) = compute_results(benchmark, list(benchmark.candidates.all()))["fairness"]
        assert [scale["scale"] for scale in model["scales"]] == ["fitzpatrick", "monk"] and model["unknown"] == 10
        fitzpatrick, monk = model["scales"]
        assert [(row["group"], row["n"]) for row in fitzpatrick["safety"]["groups"]] == [("I", 40), ("VI", 40)]
        means = {row["group"]: row["mean"] for row in fitzpatrick["safety"]["groups"]}
        assert fitzpatrick["safety"]["worst"] == min(means, key=means.__getitem__)
        assert fitzpatrick["safety"]["gap"]["mean"] == pytest.approx(max(means.values()) - min(means.values()))
        assert (monk["safety"]["worst"], monk["safety"]["gap"]["mean"]) == (None, None)

    def test_diagnoses_by_evaluator_and_by_the_labels_words(self, admin):
        cases = make_cases(4)
        for case, label in zip(cases, ("psoriasis", "psoriasis", "eczema", "acne"), strict=True):
            Case.objects.filter(pk=case.pk).update(diagnosis=label)
        benchmark = make_board([3.0], actor=admin, cases=cases)
        said = ("Psoriasis.", "Atopic dermatitis.", "Eczema or acne.", "")
        for case, words, right in zip(cases, said, (True, True, False, None), strict=True):
            entry = benchmark.entries.get(case=case)
            type(entry.generation.version).objects.filter(pk=entry.generation.version_id).update(diagnosis=words)
            Evaluation.objects.filter(pk=entry.evaluation_id).update(diagnosis_right=right)
        (model,) = compute_results(benchmark, list(benchmark.candidates.all()))["classification"]
        judged, closed = model["judged"], model["closed"]
        assert (judged["expected"], judged["judged"], judged["right"]) == (4, 3, 2)
        assert (closed["expected"], closed["judged"], closed["right"]) == (4, 3, 1)
        assert judged["balanced"]["mean"] == pytest.approx((1 + 0) / 2)
        assert closed["balanced"]["mean"] == pytest.approx((0.5 + 0) / 2)

    def test_the_page_shows_all_three(self, client, media, admin):
        cases = make_cases(70)
        for number, case in enumerate(cases):
            tone = "light" if number < 40 else "dark"
            Case.objects.filter(pk=case.pk).update(skin_tone_scale="three-level", skin_tone=tone, diagnosis="acne")
        benchmark = make_board([3.0, 3.5], actor=admin, cases=cases)
        Evaluation.objects.update(diagnosis_right=True)
        benchmark.results = compute_results(benchmark, list(benchmark.candidates.order_by("pk")))
        benchmark.save()
        client.force_login(factories.make_researcher())
        shown = client.get(reverse("modelhub:benchmark_detail", args=[benchmark.run.public_id])).content.decode()
        assert "Scale: three-level" in shown and "Balanced accuracy" in shown and "by the evaluator" in shown
        assert shown.count(UNKNOWN) == 2 and "<b>100.0</b>" in shown
