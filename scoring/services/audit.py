"""Appends to the audit trail."""

from typing import Any

from django.db.models import Model

from scoring.models import AuditEvent


def record_event(*, actor: Any, action: str, subject: Model, detail: dict[str, Any] | None = None) -> AuditEvent:
    """Append one event; ``actor`` is ``None`` for what the system did by itself.

    The subject is named by its public id where it has one, else by its key.
    """
    subject_id = str(getattr(subject, "public_id", subject.pk))
    return AuditEvent.objects.create(
        actor=actor,
        action=action,
        subject_type=subject._meta.label_lower,
        subject_id=subject_id,
        detail=detail or {},
    )
