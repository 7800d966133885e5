"""What a rater does with keys and clicks, counted, and which case she holds."""


class Hands:
    """Counts what she does: a key, a click, or a run of typing is one action each."""

    def __init__(self, page) -> None:
        self.page, self.actions, self.clicks = page, 0, 0

    def press(self, *keys: str) -> "Hands":
        for key in keys:
            self.page.keyboard.press(key)
            self.actions += 1
        return self

    def click(self, selector: str, **options) -> "Hands":
        self.page.locator(selector).first.click(**options)
        self.actions += 1
        self.clicks += 1
        return self

    def write(self, text: str) -> "Hands":
        """Typing itself is not an action."""
        self.page.keyboard.type(text)
        return self


def next_case(page, before: str) -> None:
    page.wait_for_function("(before) => document.getElementById('scores')?.dataset.assignment !== before", arg=before)


def held(page) -> str:
    return page.locator("#scores").get_attribute("data-assignment")
