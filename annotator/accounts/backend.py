"""Who is asking: every request begins with it."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from annotator.accounts.models import User
from scoring.prepared import Given, Prepared

PERSON: Prepared[User] = Prepared(lambda: User.objects.filter(pk=Given("pk")))


class PersonBackend(ModelBackend):
    """Django's own; the person is read by a statement that is put together once."""

    def get_user(self, user_id: Any) -> User | None:
        found = PERSON.first(pk=user_id)
        return found if found is not None and self.user_can_authenticate(found) else None
