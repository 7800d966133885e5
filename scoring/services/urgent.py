"""Urgent notices: told at once to those who must know, kept until somebody has answered."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Case, Study, UrgentNotice
from scoring.services.audit import record_event

NO_SERVER = "No mail server is set up (EMAIL_HOST)."
NO_ADDRESS = "Nobody who must know has an e-mail address."


@transaction.atomic
def report_urgent(*, study: Study, case: Case, rater: Any, note: str = "") -> UrgentNotice:
    """A rater sees a possible missed malignancy. Her open notice of this case is returned if there is one."""
    notice, created = UrgentNotice.objects.get_or_create(
        case=case,
        raised_by=rater,
        answered_at=None,
        defaults={"study": study, "note": note.strip(), "clinician": study.clinician},
    )
    if created:
        record_event(
            actor=rater, action="urgent.reported", subject=notice, detail={"clinician": study.clinician is not None}
        )
    return notice


def mail_notice(*, notice: UrgentNotice, addresses: Iterable[str], link: str) -> UrgentNotice:
    """Write to these addresses that a notice waits at ``link``; keep whether the mail server took it.

    The mail names the case by its code alone: nothing of the patient leaves the studio. It belongs outside a
    transaction, for a mail cannot be taken back.
    """
    known = sorted({address for address in addresses if address})
    if not settings.EMAIL_HOST:
        error = NO_SERVER
    elif not known:
        error = NO_ADDRESS
    else:
        error = _send(notice, known, link)
    notice.mail_error = error
    if not error:
        notice.mailed_at, notice.mailed_to = timezone.now(), len(known)
    notice.save(update_fields=["mail_error", "mailed_at", "mailed_to"])
    record_event(actor=None, action="urgent.mailed", subject=notice, detail={"to": notice.mailed_to, "error": error})
    return notice


def _send(notice: UrgentNotice, addresses: list[str], link: str) -> str:
    words = _(
        "A rater of the study “%(study)s” sees a possible missed malignancy in case %(code)s.\n\n"
        "Look at it and answer here:\n%(link)s\n\nResearch use only. Outputs need clinical review."
    ) % {"study": notice.study.title, "code": notice.case.code, "link": link}
    subject = _("Urgent: possible missed malignancy, case %(code)s") % {"code": notice.case.code}
    try:
        EmailMessage(subject, words, to=addresses).send()
    except OSError as refused:  # what smtplib and sockets raise
        return f"{type(refused).__name__}: {refused}"[:500]
    return ""


@transaction.atomic
def answer_notice(*, notice: UrgentNotice, actor: Any, answer: str) -> UrgentNotice:
    """Close a notice with what the clinician found or did, dated. Raises ``ValidationError`` without words or twice."""
    if not answer.strip():
        raise ValidationError(_("Say what you found or did."))
    answered = UrgentNotice.objects.filter(pk=notice.pk, answered_at=None).update(
        answer=answer.strip(), answered_by=actor, answered_at=timezone.now()
    )
    if not answered:
        raise ValidationError(_("This notice has been answered already."))
    notice.refresh_from_db()
    record_event(actor=actor, action="urgent.answered", subject=notice)
    return notice
