"""Reading the process environment; every refusal says which variable to set."""

import os

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"", "0", "false", "no", "off"}


def flag(name: str, default: bool = False) -> bool:
    """A yes/no variable. Raises ImproperlyConfigured for a word that is neither."""
    word = os.environ.get(name)
    if word is None:
        return default
    if word.lower() in TRUE_WORDS:
        return True
    if word.lower() in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{name} is {word!r}; set it to 1 or 0.")


def whole_number(name: str, default: int) -> int:
    """A non-negative whole number. Raises ImproperlyConfigured for anything else."""
    word = os.environ.get(name)
    if not word:
        return default
    if not word.isdecimal():
        raise ImproperlyConfigured(f"{name} is {word!r}; set it to a whole number, such as {default}.")
    return int(word)


def words(name: str, default: list[str]) -> list[str]:
    """A comma-separated list; blanks around the commas do not count."""
    given = os.environ.get(name)
    if not given:
        return default
    return [word.strip() for word in given.split(",") if word.strip()]


def require(example_by_name: dict[str, str]) -> None:
    """Raises ImproperlyConfigured naming every variable that production needs and lacks."""
    missing = [name for name in example_by_name if not os.environ.get(name)]
    if missing:
        settings = "; ".join(f"{name} (for example {example_by_name[name]})" for name in missing)
        raise ImproperlyConfigured(f"PRODUCTION=1 needs more settings. Set these environment variables: {settings}.")
