"""The demo's people: six who log in, and simulated colleagues who cannot."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Group

from annotator.accounts.models import User
from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, DERMATOLOGIST, RESEARCHER


@dataclass(frozen=True)
class Person:
    username: str
    first_name: str
    last_name: str
    role: str
    country: str


PEOPLE = (
    Person("lin", "Mei", "Lin", DERMATOLOGIST, "China"),
    Person("okafor", "Ada", "Okafor", DERMATOLOGIST, "Nigeria"),
    Person("moreau", "Claire", "Moreau", DERMATOLOGIST, "France"),
    Person("haas", "Jonas", "Haas", ADJUDICATOR, "Austria"),
    Person("admin", "Asha", "Chen", ADMINISTRATOR, "Singapore"),
    Person("researcher", "Tomás", "Reyes", RESEARCHER, "Chile"),
)
COLLEAGUES = ("simulated-a", "simulated-b", "simulated-c")


def logins_file() -> Path:
    """Where the first-run passwords are kept, readable by the owner only."""
    return Path(settings.VAR_DIR) / "demo_logins.json"


def create_people() -> dict[str, User]:
    """The six people with passwords made now, and the colleagues without; by user name."""
    people: dict[str, User] = {}
    logins = []
    for person in PEOPLE:
        password = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
        people[person.username] = _create(person, password)
        logins.append({"role": person.role, "username": person.username, "password": password})
    for number, username in enumerate(COLLEAGUES):
        colleague = Person(username, "Simulated colleague", "ABC"[number], DERMATOLOGIST, "nowhere")
        people[username] = _create(colleague, None)
    path = logins_file()
    path.touch(mode=0o600)
    path.write_text(json.dumps(logins, indent=1))
    return people


def _create(person: Person, password: str | None) -> User:
    rates = person.role == DERMATOLOGIST
    user = User.objects.create_user(
        person.username,
        password=password,
        first_name=person.first_name,
        last_name=person.last_name,
        qualification="specialist" if rates else "",
        years_experience=8 if rates else None,
        country=person.country if rates else "",
        conflicts="none" if rates else "",
        languages=["en"] if rates else [],
    )
    user.groups.set(Group.objects.filter(name=person.role))
    return user
