"""Figures that papers report for DermBench. They were not measured here and stand apart from what was."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportedRow:
    """A model's mean of six dimensions (0 to 5) as printed; ``about``: read off to two digits at most."""

    model: str
    mean: float
    about: bool
    source: str
    address: str


SKINGPT_R1 = "SkinGPT-R1, arXiv 2511.15242 (November 2025)"
REPORTED: tuple[ReportedRow, ...] = (
    ReportedRow("SkinGPT-R1", 4.031, False, SKINGPT_R1, "https://arxiv.org/abs/2511.15242"),
    ReportedRow("Vision-R1", 2.87, True, SKINGPT_R1, "https://arxiv.org/abs/2511.15242"),
)
