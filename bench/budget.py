"""A limit on time that pieces of work ask about, so that a bench ends and prints what it has."""

import time


class OutOfTime(Exception):
    """The rest is left out."""


class Budget:
    """`seconds` from now. A part of it never outlasts the whole."""

    def __init__(self, seconds: float, what: str) -> None:
        self.ends = time.monotonic() + seconds
        self.seconds, self.what = seconds, what

    def part(self, seconds: float, what: str) -> "Budget":
        return Budget(min(seconds, self.left), what)

    @property
    def left(self) -> float:
        return max(0.0, self.ends - time.monotonic())

    def check(self) -> None:
        """Raises OutOfTime."""
        if self.left <= 0:
            raise OutOfTime(f"the {self.seconds:.0f} seconds for {self.what} are over; the rest is left out")
