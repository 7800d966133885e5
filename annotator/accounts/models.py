"""People: who logs in, what they may do, and what a reader of their scores needs to know about them."""

import uuid
from datetime import timedelta
from functools import cached_property

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotator.accounts import roles
from scoring.prepared import Given, Prepared

GROUPS: Prepared[tuple[str]] = Prepared(lambda: Group.objects.filter(user=Given("user")).values_list("name"))


class Qualification(models.TextChoices):
    SPECIALIST = "specialist", _("Board-certified dermatologist")
    RESIDENT = "resident", _("Dermatology resident")
    OTHER_PHYSICIAN = "other_physician", _("Physician of another specialty")
    STUDENT = "student", _("Medical student")
    NON_CLINICAL = "non_clinical", _("Not a clinician")


LANGUAGES_READ = {
    "en": _("English"),
    "zh-hans": _("Chinese (simplified)"),
    "de": _("German"),
    "es": _("Spanish"),
    "fr": _("French"),
    "pt": _("Portuguese"),
}


class User(AbstractUser):
    """A person. `public_id` is random and is the only id of hers that leaves the database."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    qualification = models.CharField(_("qualification"), max_length=32, choices=Qualification.choices, blank=True)
    years_experience = models.PositiveSmallIntegerField(
        _("years of experience in dermatology"), null=True, blank=True, validators=[MaxValueValidator(80)]
    )
    country = models.CharField(_("country"), max_length=80, blank=True)
    conflicts = models.TextField(_("conflicts of interest"), blank=True, help_text=_("Write “none” if there are none."))
    languages = models.JSONField(_("languages read"), default=list, blank=True)
    interface_language = models.CharField(
        _("language of the interface"),
        max_length=12,
        choices=settings.LANGUAGES,
        blank=True,
        help_text=_("Empty: what the browser asks for."),
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(years_experience__isnull=True) | Q(years_experience__lte=80),
                name="years_experience_is_at_most_80",
            )
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username

    @cached_property
    def roles(self) -> frozenset[str]:
        """Names of the roles held; one query per request."""
        held = {name for (name,) in GROUPS.rows(user=self.pk)} & set(roles.ROLES)
        return frozenset(held | {roles.ADMINISTRATOR} if self.is_superuser else held)

    @property
    def role_names(self) -> list[str]:
        """The roles held, in words."""
        return [str(roles.ROLE_NAMES[role]) for role in roles.ROLES if role in self.roles]

    def has_role(self, *wanted: str) -> bool:
        return self.is_active and not self.roles.isdisjoint(wanted)

    @property
    def is_dermatologist(self) -> bool:
        return self.has_role(roles.DERMATOLOGIST)

    @property
    def is_adjudicator(self) -> bool:
        return self.has_role(roles.ADJUDICATOR)

    @property
    def is_administrator(self) -> bool:
        return self.has_role(roles.ADMINISTRATOR)

    @property
    def is_researcher(self) -> bool:
        return self.has_role(roles.RESEARCHER)

    @property
    def profile_is_complete(self) -> bool:
        """True when she has stated all that is asked before her first case."""
        stated = self.qualification and self.country and self.conflicts and self.languages
        return bool(stated) and self.years_experience is not None


class FailedLoginQuerySet(models.QuerySet["FailedLogin"]):
    def recent(self, *, username: str, address: str) -> "FailedLoginQuerySet":
        """Failures of this name from this address inside the throttle's window."""
        since = timezone.now() - timedelta(minutes=settings.LOGIN_FAILURE_WINDOW_MINUTES)
        return self.filter(username=username.lower(), address=address, at__gte=since)


class FailedLogin(models.Model):
    """One refused log-in; counted by the throttle, deleted when it is older than the window."""

    username = models.CharField(max_length=150)
    address = models.GenericIPAddressField()
    at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = FailedLoginQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["username", "address", "at"], name="failed_login_lookup")]

    def __str__(self) -> str:
        return f"{self.username} from {self.address} at {self.at:%Y-%m-%d %H:%M:%S}"
