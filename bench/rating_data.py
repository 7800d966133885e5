"""Seeds a scratch database for the rating benches, and reads back what became of it.

Run as a program in the product's environment: ``seed`` takes a JSON plan, ``audit`` a study's title.
"""

import hashlib
import io
import json
import random
import sys
import uuid
from typing import Any

import django

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models import Count, Q  # noqa: E402
from PIL import Image  # noqa: E402

from annotator.accounts.models import User  # noqa: E402
from annotator.accounts.roles import DERMATOLOGIST  # noqa: E402
from scoring.models import Assignment, Case, CaseGroup, CaseImage, NarrativeVersion, Rating, Source, Study  # noqa: E402
from scoring.services.narratives import create_narrative  # noqa: E402
from scoring.services.queue import enqueue_versions  # noqa: E402
from scoring.services.studies import accept_sheet, add_sheet, create_study, invite_rater, start_study  # noqa: E402

PICTURES = 24
SIZE = (640, 480)
LEAST_BYTES = 80_000
FINDINGS = """
The photograph shows a single, sharply bordered plaque of about eleven millimetres on light skin.
Its surface is waxy with several dark comedo-like openings and a few pale milia-like cysts.
The colour is an even medium brown, darker towards the upper edge; there is no grey, blue or white veil.
Dermoscopically one would expect sharp borders and hairpin vessels.
The surrounding skin carries fine solar lentigines and no redness, scale, crust or ulcer.
"""
REASONING = """
A stuck-on appearance with comedo-like openings speaks for a seborrhoeic keratosis.
A melanocytic naevus is less likely, for it would seldom show milia-like cysts with such a waxy surface.
Melanoma must be considered in every pigmented lesion; here border and colour are even throughout.
A pigmented basal cell carcinoma would show arborising vessels or leaf-like areas, none of which is seen.
An actinic keratosis would be rough, ill defined and rather reddish than brown.
The site on sun-exposed skin and the neighbouring lentigines fit an older patient with a benign lesion.
A wart would interrupt the skin lines and show black dots of thrombosed vessels when its surface is pared.
Its slow growth over years and the missing symptoms are told by many patients with the same finding.
Taken together, morphology, colour and surroundings point to one diagnosis with little doubt.
"""
ADVICE = """
The answer is seborrhoeic keratosis.
No treatment is needed unless it is irritated or its look is a burden.
Show it again if it bleeds, grows quickly, or changes; dermoscopy would confirm the reading.
Where doubt remains, a shave biopsy with histology settles it.
Cryotherapy or curettage may be offered; both can leave a pale mark, which the patient should know before.
Photographs at each visit help to notice a change that memory would miss.
Sun protection and a yearly look at the whole skin are advised with this much sun damage.
"""


def narrative_text() -> str:
    """About 1,900 characters in twenty-one sentences: the length of a typical narrative."""
    findings, reasoning, advice = (" ".join(part.split()) for part in (FINDINGS, REASONING, ADVICE))
    return f"<think> {findings} {reasoning} </think><answer> {advice} </answer>"


def picture(number: int) -> bytes:
    """A JPEG of at least 80,000 bytes: skin colour under coarse noise, different for each number."""
    noise = Image.frombytes("RGB", SIZE, random.Random(number).randbytes(SIZE[0] * SIZE[1] * 3))
    skin = Image.new("RGB", SIZE, (196, 150 + number % 20, 124))
    for quality in range(60, 100, 3):
        buffer = io.BytesIO()
        Image.blend(skin, noise, 0.3).save(buffer, "JPEG", quality=quality)
        if buffer.tell() >= LEAST_BYTES:
            return buffer.getvalue()
    raise ValueError(f"No quality gives a picture of {LEAST_BYTES:,} bytes.")


@transaction.atomic
def seed(plan: dict[str, Any]) -> dict[str, Any]:
    """``plan``: tasks, overlap, studies (title → user names), password. Returns the narratives' facts."""
    pictures = [picture(number) for number in range(PICTURES)]
    text = narrative_text()
    source = Source.objects.create(name="Bench", licence="CC0", basis="Noise.", may_train=True)
    versions = [_version(source, number, pictures[number % PICTURES], text) for number in range(plan["tasks"])]
    secret = make_password(plan["password"])
    group, _ = Group.objects.get_or_create(name=DERMATOLOGIST)
    for title, usernames in plan["studies"].items():
        study = create_study(
            actor=None,
            title=title,
            question="How fast?",
            inclusion="All.",
            exclusion_rules="None.",
            planned_analysis="None.",
            ethics="Noise.",
            overlap=plan["overlap"],
        )
        add_sheet(study=study, text="You rate noise.", actor=None)
        study = start_study(study=study, actor=None)
        enqueue_versions(study=study, versions=versions, actor=None)
        for username in usernames:
            _rater(username, secret, group, study)
    return {"image_bytes": min(map(len, pictures)), "characters": len(text), "tasks": len(versions)}


def _version(source: Source, number: int, content: bytes, text: str) -> NarrativeVersion:
    group = CaseGroup.objects.create(source=source, key=f"p{number}", split="training")
    case = Case.objects.create(
        source=source,
        group=group,
        source_key=f"k{number}",
        diagnosis="seborrhoeic keratosis",
        diagnosis_basis=Case.Basis.HISTOPATHOLOGY,
        age=54,
        sex=Case.Sex.FEMALE,
        body_site="forearm",
        skin_tone="light",
        skin_tone_scale="three-level",
    )
    image = CaseImage(
        case=case,
        position=0,
        media_type="image/jpeg",
        width=SIZE[0],
        height=SIZE[1],
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        original_sha256=uuid.uuid4().hex * 2,
    )
    image.file.save("image.jpg", ContentFile(content), save=False)
    image.thumbnail.save("thumbnail.jpg", ContentFile(content), save=False)
    image.save()
    return create_narrative(case=case, text=text, author_kind=NarrativeVersion.Author.MACHINE)


def _rater(username: str, secret: str, group: Group, study: Study) -> None:
    rater = User.objects.create(username=username, password=secret, first_name="Rater", last_name=username)
    rater.groups.add(group)
    invite_rater(study=study, rater=rater, actor=None)
    accept_sheet(
        study=study,
        rater=rater,
        sheet_version=1,
        qualification="Board-certified dermatologist",
        years_experience=7,
        country="Norway",
        conflicts="none",
        languages=["en"],
    )


def audit(title: str) -> dict[str, Any]:
    """What the tables say: rated assignments by public id, narratives past their overlap, raters' duplicates."""
    study = Study.objects.get(title=title)
    ratings = Rating.objects.current().filter(study=study)
    taken = Q(state__in=[Assignment.State.SUBMITTED, Assignment.State.CLAIMED])
    crowded = study.assignments.filter(taken).values("version").annotate(n=Count("pk")).filter(n__gt=study.overlap)
    overrated = ratings.values("version").annotate(n=Count("pk")).filter(n__gt=study.overlap)
    twice = ratings.values("version", "rater").annotate(n=Count("pk")).filter(n__gt=1)
    return {
        "rated": [str(key) for key in ratings.values_list("assignment__public_id", flat=True)],
        "over_assigned": len({row["version"] for row in [*crowded, *overrated]}),
        "duplicates": twice.count(),
        "incomplete": ratings.annotate(n=Count("scores")).exclude(n=6).count(),
    }


if __name__ == "__main__":
    command, argument = sys.argv[1:]
    print(json.dumps(seed(json.loads(argument)) if command == "seed" else audit(argument)))
