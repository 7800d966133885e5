"""Cases: storing one with its images, all of it or nothing."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction

from scoring.models import Case, CaseGroup, CaseImage, Source, Split
from scoring.services.images import CleanImage, ImageRefused, clean_image

OLDEST = 130
LONGEST_GROUP_KEY = 200


def create_case(
    *,
    source: Source,
    source_key: str,
    group_key: str,
    split: str,
    diagnosis: str,
    basis: str,
    images: Sequence[bytes],
    age: int | None = None,
    sex: str = "",
    body_site: str = "",
    skin_tone: str = "",
    skin_tone_scale: str = "",
) -> Case:
    """A case from image files as they came. A case that its source already has is returned unchanged.

    ``age`` in years, ``None`` unknown; empty strings are unknown. Raises ``ValidationError`` with one sentence per
    fault: a bad picture, a group that lies in the other split, a skin tone without its scale, ...
    """
    existing = Case.objects.filter(source=source, source_key=source_key).first()
    if existing is not None:
        return existing
    case = Case(
        source=source,
        source_key=source_key,
        diagnosis=diagnosis,
        diagnosis_basis=basis,
        age=age,
        sex=sex,
        body_site=body_site,
        skin_tone=skin_tone,
        skin_tone_scale=skin_tone_scale,
    )
    check_case(case, group_key, split)
    return store_case(case=case, group_key=group_key, split=split, pictures=_cleaned(images))


def _cleaned(images: Sequence[bytes]) -> list[CleanImage]:
    pictures = []
    for number, data in enumerate(images, start=1):
        try:
            pictures.append(clean_image(data))
        except ImageRefused as error:
            raise ValidationError(f"Image {number} is refused: {error}.") from error
    return pictures


def check_case(case: Case, group_key: str, split: str) -> None:
    """All that can be checked without the images. Raises ``ValidationError`` with sentences."""
    faults: list[str] = []
    try:
        case.clean_fields(exclude=["source", "group"])
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            label = str(Case._meta.get_field(field).verbose_name)  # type: ignore[union-attr]
            faults += [f"{label.capitalize()}: {message}" for message in messages]
    if case.age is not None and case.age > OLDEST:
        faults.append(f"Age: {case.age} years is not believable; at most {OLDEST}, or leave it empty.")
    if bool(case.skin_tone) != bool(case.skin_tone_scale):
        faults.append("Skin tone: give the tone and the name of its scale, or neither.")
    if not group_key or len(group_key) > LONGEST_GROUP_KEY:
        faults.append(f"Group: name the patient or lesion in at most {LONGEST_GROUP_KEY} characters.")
    if split not in Split.values:
        faults.append(f"Split: “{split}” is neither {' nor '.join(Split.values)}.")
    if faults:
        raise ValidationError(faults)


def store_case(*, case: Case, group_key: str, split: str, pictures: Sequence[CleanImage]) -> Case:
    """Store a checked case and its cleaned pictures in one transaction; the files go again when it fails.

    Raises ``ValidationError`` without pictures, for a picture that another case of the source has, and where the
    group lies in the other split.
    """
    if not pictures:
        raise ValidationError("A case needs at least one image.")
    _check_repeats(case, pictures)
    rows: list[CaseImage] = []
    try:
        # Files first: writing them must not hold the database's write lock.
        rows.extend(_with_files(position, picture) for position, picture in enumerate(pictures))
        with transaction.atomic():
            case.group = _group_in_split(case.source, group_key, split)
            case.save()
            for row in rows:
                row.case = case
            CaseImage.objects.bulk_create(rows)
    except IntegrityError:
        _discard(rows)
        stored = Case.objects.filter(source=case.source, source_key=case.source_key).first()
        if stored is None:
            raise
        return stored  # somebody else stored it meanwhile
    except BaseException:
        _discard(rows)
        raise
    return case


def _check_repeats(case: Case, pictures: Sequence[CleanImage]) -> None:
    hashes = [picture.original_sha256 for picture in pictures]
    if len(set(hashes)) < len(hashes):
        raise ValidationError("Two of its images are the same file.")
    same = CaseImage.objects.filter(original_sha256__in=hashes, case__source=case.source).select_related("case").first()
    if same is not None:
        raise ValidationError(
            f"Its image is the same file as an image of “{same.case.source_key}”, which is already here. "
            "The same picture in two cases could end up in both splits."
        )


def _group_in_split(source: Source, key: str, split: str) -> CaseGroup:
    group, _ = CaseGroup.objects.get_or_create(source=source, key=key, defaults={"split": split})
    if group.split != split:
        raise ValidationError(
            f"Group “{key}” is in the {group.split} split, so this case cannot go to {split}: "
            "images of one patient or lesion stay on one side."
        )
    return group


def _with_files(position: int, picture: CleanImage) -> CaseImage:
    row = CaseImage(
        position=position,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        size=len(picture.content),
        sha256=picture.sha256,
        original_sha256=picture.original_sha256,
    )
    try:
        row.file.save(f"image.{picture.suffix}", ContentFile(picture.content), save=False)
        row.thumbnail.save("thumbnail.jpg", ContentFile(picture.thumbnail), save=False)
    except BaseException:
        _discard([row])
        raise
    return row


def _discard(rows: Sequence[CaseImage]) -> None:
    for row in rows:
        for stored in (row.file, row.thumbnail):
            if stored.name:
                stored.storage.delete(stored.name)
