"""Studies: drafting, starting, pausing; inviting raters, their consent and their leaving."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring import protocol
from scoring.digest import content_hash
from scoring.models import (
    CertificationPolicy,
    Enrolment,
    InformationSheet,
    RubricVersion,
    Study,
)
from scoring.rubric import rubric_content, rubric_hash
from scoring.services.audit import record_event
from scoring.services.calibration import check_gate, recognise_gate
from scoring.services.releasing import release_rater
from scoring.verdict import Policy


@transaction.atomic
def current_rubric() -> RubricVersion:
    """The rubric as it stands in the code, stored as a version the first time it is asked for."""
    found = RubricVersion.objects.filter(content_hash=rubric_hash()).first()
    if found is not None:
        return found
    number = (RubricVersion.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    return RubricVersion.objects.create(number=number, content=rubric_content(), content_hash=rubric_hash())


@transaction.atomic
def policy_version(rule: Policy) -> CertificationPolicy:
    """The stored version of a policy with these thresholds."""
    digest = content_hash(rule.as_dict())
    found = CertificationPolicy.objects.filter(content_hash=digest).first()
    if found is not None:
        return found
    number = (CertificationPolicy.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    return CertificationPolicy.objects.create(number=number, settings=rule.as_dict(), content_hash=digest)


@transaction.atomic
def create_study(*, actor: Any, thresholds: Mapping[str, float] | None = None, **fields: Any) -> Study:
    """A draft study under the current rubric, with a policy of these thresholds for its overlap.

    Raises ``ValidationError`` keyed by field for values that do not fit.
    """
    study = Study(rubric=current_rubric())
    apply_settings(study=study, changes=fields, thresholds=thresholds or {})
    record_event(actor=actor, action="study.created", subject=study)
    return study


def apply_settings(*, study: Study, changes: Mapping[str, Any], thresholds: Mapping[str, float]) -> None:
    """Set parts of the protocol, and thresholds of the policy, and save the study as a whole.

    The one way in for drafts and amendments. Raises ``ValidationError`` keyed by field.
    """
    unknown = sorted(set(changes) - set(protocol.FIELDS))
    if unknown:
        raise ValidationError(_("A study has no %(names)s to change.") % {"names": ", ".join(unknown)})
    for name, value in changes.items():
        setattr(study, name, value)
    before = study.policy.settings if study.policy_id else {}
    try:
        rule = Policy(**{**before, **thresholds, "overlap": study.overlap})
    except ValueError as error:
        raise ValidationError({"overlap" if "overlap" in str(error) else "__all__": str(error)}) from error
    study.policy = policy_version(rule)
    study.full_clean()
    study.save()


@transaction.atomic
def add_sheet(*, study: Study, text: str, actor: Any) -> InformationSheet:
    """A new version of what raters are told; earlier consents keep naming theirs."""
    if not text.strip():
        raise ValidationError(_("The information sheet is empty."))
    last = study.sheets.aggregate(last=Max("version"))["last"] or 0
    sheet = InformationSheet.objects.create(study=study, version=last + 1, text=text, content_hash=content_hash(text))
    record_event(actor=actor, action="study.sheet_added", subject=study, detail={"version": sheet.version})
    return sheet


@transaction.atomic
def start_study(*, study: Study, actor: Any) -> Study:
    """Lock, date and hash the protocol. Later changes are amendments.

    Raises ``ValidationError`` when it has started already, a part of the protocol is empty, or
    there is no information sheet.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    if locked.state != Study.State.DRAFT:
        raise ValidationError(_("The study has already started."))
    empty = [name.replace("_", " ") for name in protocol.MUST_BE_WRITTEN if not getattr(locked, name).strip()]
    if empty:
        raise ValidationError(_("Fill in before starting: %(names)s.") % {"names": ", ".join(empty)})
    if not locked.sheets.exists():
        raise ValidationError(_("Write the information sheet for raters before starting."))
    check_gate(locked)
    locked.protocol_hash = content_hash(locked.protocol())
    locked.state = Study.State.RUNNING
    locked.started_at = timezone.now()
    locked.started_by = actor
    locked.save()
    record_event(
        actor=actor,
        action="study.started",
        subject=locked,
        detail={"protocol_hash": locked.protocol_hash},
    )
    return locked


@transaction.atomic
def set_study_state(*, study: Study, actor: Any, state: str) -> Study:
    """Pause, resume or close a started study."""
    allowed = {
        Study.State.RUNNING: {Study.State.PAUSED, Study.State.CLOSED},
        Study.State.PAUSED: {Study.State.RUNNING, Study.State.CLOSED},
    }
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    if state not in allowed.get(Study.State(locked.state), set()):
        raise ValidationError(
            _("A study that is %(now)s cannot become %(state)s.")
            % {"now": locked.get_state_display().lower(), "state": state}
        )
    locked.state = state
    locked.save(update_fields=["state"])
    record_event(actor=actor, action=f"study.{state}", subject=locked)
    return locked


@transaction.atomic
def invite_rater(*, study: Study, rater: Any, actor: Any) -> Enrolment:
    """Let a rater into a study; she rates once she has accepted its information sheet."""
    enrolment, created = Enrolment.objects.get_or_create(study=study, rater=rater)
    if created:
        record_event(
            actor=actor,
            action="study.rater_invited",
            subject=study,
            detail={"rater": str(rater.public_id)},
        )
    return enrolment


@transaction.atomic
def accept_sheet(
    *,
    study: Study,
    rater: Any,
    sheet_version: int,
    qualification: str,
    years_experience: int | None,
    country: str,
    conflicts: str,
    languages: Sequence[str],
) -> Enrolment:
    """The rater's consent to the newest information sheet, with her statement.

    Raises ``ValidationError`` when she was not invited, read an older sheet, or left her
    qualification, years, country or languages out.
    """
    enrolment = Enrolment.objects.select_for_update().filter(study=study, rater=rater).first()
    if enrolment is None:
        raise ValidationError(_("You are not invited to this study. Ask its administrator."))
    sheet = study.sheets.first()
    if sheet is None or sheet.version != sheet_version:
        raise ValidationError(_("The information sheet has changed. Read the new version first."))
    problems = {}
    if not qualification.strip():
        problems["qualification"] = _("State your qualification.")
    if years_experience is None or not 0 <= years_experience <= 80:
        problems["years_experience"] = _("State your years of experience in dermatology, 0 to 80.")
    if not country.strip():
        problems["country"] = _("State the country you work in.")
    if not languages:
        problems["languages"] = _("Choose the languages in which you can judge a narrative.")
    if problems:
        raise ValidationError(problems)
    enrolment.sheet = sheet
    enrolment.accepted_at = timezone.now()
    enrolment.withdrawn_at = None
    enrolment.qualification = qualification.strip()
    enrolment.years_experience = years_experience
    enrolment.country = country.strip()
    enrolment.conflicts = conflicts.strip()
    enrolment.languages = list(languages)
    enrolment.save()
    recognise_gate(rater=rater, rubric=study.rubric)
    record_event(actor=rater, action="study.consented", subject=study, detail={"sheet": sheet.version})
    return enrolment


@transaction.atomic
def withdraw(*, study: Study, rater: Any) -> Enrolment:
    """The rater leaves: her open slots go to others, what she submitted stays and is marked in reports."""
    enrolment = Enrolment.objects.select_for_update().filter(study=study, rater=rater).first()
    if enrolment is None or not enrolment.may_rate:
        raise ValidationError(_("You are not taking part in this study."))
    enrolment.withdrawn_at = timezone.now()
    enrolment.save(update_fields=["withdrawn_at"])
    freed = release_rater(study=study, rater=rater)
    record_event(actor=rater, action="study.withdrawn", subject=study, detail={"freed": freed})
    return enrolment
