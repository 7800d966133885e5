"""Blind comparisons as administrators see them: two arms, their pairs, what was voted, what was held back."""
