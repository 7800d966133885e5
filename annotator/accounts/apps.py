from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "annotator.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(create_roles, sender=self)


def create_roles(using: str, **_: Any) -> None:
    """The four roles exist wherever the tables do: after a migration and after a flush alike."""
    from django.contrib.auth.models import Group

    from annotator.accounts.roles import ROLES

    Group.objects.using(using).bulk_create([Group(name=role) for role in ROLES], ignore_conflicts=True)
