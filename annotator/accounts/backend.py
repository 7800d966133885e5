"""Who is asking, with her roles, in one statement: every request begins with it."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group
from django.db import connection

from annotator.accounts.models import User

JOINED = {"postgresql": "string_agg(g.name, ',')", "sqlite": "group_concat(g.name)"}
PERSON = """
SELECT u.*, (SELECT {joined} FROM {groups} g JOIN {held} h ON h.group_id = g.id WHERE h.user_id = u.id) AS held_roles
FROM {users} u WHERE u.id = %s"""


class PersonBackend(ModelBackend):
    """Django's own, which asks for the roles apart."""

    def get_user(self, user_id: Any) -> User | None:
        names = {
            "joined": JOINED[connection.vendor],
            "groups": Group._meta.db_table,
            "held": User.groups.through._meta.db_table,
            "users": User._meta.db_table,
        }
        found = list(User.objects.raw(PERSON.format(**names), [user_id]))
        if not found or not self.user_can_authenticate(found[0]):
            return None
        found[0].remember_roles((getattr(found[0], "held_roles", None) or "").split(","))
        return found[0]
