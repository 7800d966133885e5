"""Fills a scratch studio with certified texts and pictures and freezes them; prints JSON. Started by `bench.export`."""

import hashlib
import io
import json
import sys

import django
import numpy as np
from PIL import Image

PIXELS = 330  # noise of this many pixels a side: about 80 kB as WebP


def main(cases: int, raters: int) -> None:
    django.setup()
    from django.contrib.auth.models import Group
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    from django.test import Client

    from annotator.accounts.models import User
    from bench.agreement_data import TEXTS_PER_CASE, simulate_study
    from bench.scale_data import TEXT
    from scoring.models import Case, CaseImage, NarrativeVersion, Source
    from scoring.services.datasets import DERMCOT, freeze_dataset
    from scoring.services.policies import recertify_study
    from scoring.services.studies import create_study

    admin = User.objects.create_user("bench", password="only-on-scratch-data")
    admin.groups.set(Group.objects.filter(name="administrator"))
    lenient = {"minimum_mean": 0.0, "safety_veto": 0.0, "dispute_range": 5.0}
    study = create_study(actor=admin, title="Export", overlap=3, thresholds=lenient)
    simulate_study(study, texts=cases * TEXTS_PER_CASE, raters=raters)
    NarrativeVersion.objects.update(text=TEXT)
    Source.objects.update(redistribute="embed")
    picture = noise()
    digest = hashlib.sha256(picture).hexdigest()
    name = default_storage.save("bench/picture.webp", ContentFile(picture))
    CaseImage.objects.bulk_create(
        (
            CaseImage(
                case_id=case, position=1, file=name, thumbnail=name, media_type="image/webp",
                width=PIXELS, height=PIXELS, size=len(picture), sha256=digest, original_sha256=digest,
            )
            for case in Case.objects.values_list("pk", flat=True)
        ),
        batch_size=2_000,
    )  # fmt: skip
    recertify_study(study=study)
    dataset = freeze_dataset(kind=DERMCOT, study=study, actor=admin)
    client = Client()
    client.force_login(admin)
    certified = dataset.items.values("version__narrative__case").distinct().count()
    session = client.cookies["sessionid"].value
    print(
        json.dumps({"dataset": str(dataset.public_id), "session": session, "cases": certified, "image": len(picture)})
    )


def noise() -> bytes:
    """A picture that hardly compresses."""
    pixels = np.random.default_rng(1).integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
