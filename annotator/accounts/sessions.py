"""Sessions in the database, Django's own, read by a statement that is put together once."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone

from scoring.prepared import Given, Prepared

LIVING: Prepared[Session] = Prepared(
    lambda: Session.objects.filter(
        session_key=Given("key", models.CharField()), expire_date__gt=Given("now", models.DateTimeField())
    )
)


class SessionStore(DatabaseSessions):
    def _get_session_from_db(self) -> Session | None:
        found = LIVING.first(key=self.session_key, now=timezone.now())
        if found is None:
            self._session_key = None
        return found
