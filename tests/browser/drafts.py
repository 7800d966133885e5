"""What a rater enters, and what the server has of it."""

from scoring.models import RatingDraft


def wait_for(page, state: str) -> None:
    page.wait_for_selector(f"[data-saved][data-saved-state={state}]", timeout=10_000)


def drafted(**expected: str) -> bool:
    fields = RatingDraft.objects.get().content["fields"]
    return {name: fields.get(name) or None for name in expected} == expected


def score(page, keys: str = "345012") -> None:
    for key in keys:
        page.keyboard.press(key)
