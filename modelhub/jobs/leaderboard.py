"""Brings leaderboards up to date: paired comparisons, tie groups, people's figures, stored for the pages."""

from modelhub.jobs.base import RunContext
from modelhub.services.leaderboard_figures import boards_behind, refresh_leaderboard


def run(context: RunContext) -> None:
    boards = boards_behind()
    context.progress(0, len(boards))
    for done, board in enumerate(boards, 1):
        context.check()
        refresh_leaderboard(board)
        context.progress(done, message=f"{board}"[:300])
