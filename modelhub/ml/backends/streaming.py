"""A text piece by piece out of a generation that may fail or hang: the reader never waits for ever."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator

from modelhub.ml.backends.base import Failure, Output, Tick

logger = logging.getLogger(__name__)

Start = Callable[[Tick, Callable[[str], None]], Iterator[Output | Failure]]
UNFINISHED = "\ufffd"  # what a decoder shows for the first bytes of a character


class StreamError(Exception):
    """The stream ended without the whole text; the message is a sentence for people."""


class _Unwanted(Exception):
    """Nobody reads any more."""


def stream_text(start: Start, *, timeout_s: float) -> Iterator[str]:
    """Pieces of the one text that `start` generates, in a thread of its own.

    `start` is given a tick that ends the work once nobody reads, and a function that takes the text so far. Raises
    StreamError with the failure's sentence, or where nothing new comes for `timeout_s` seconds.
    """
    news: queue.SimpleQueue[str | Output | Failure | Exception] = queue.SimpleQueue()
    unwanted = threading.Event()

    def tick() -> None:
        if unwanted.is_set():
            raise _Unwanted

    def work() -> None:
        try:
            for result in start(tick, news.put):
                news.put(result)
        except _Unwanted:
            return
        except Exception as error:
            logger.exception("A streamed generation failed")
            news.put(error)
        news.put(StreamError("The generation ended without a text."))  # nobody reads this after a result

    threading.Thread(target=work, name="stream", daemon=True).start()
    try:
        yield from _pieces(news, timeout_s)
    finally:
        unwanted.set()


def _pieces(news: "queue.SimpleQueue[str | Output | Failure | Exception]", timeout_s: float) -> Iterator[str]:
    sent = 0
    while True:
        try:
            new = news.get(timeout=timeout_s)
        except queue.Empty:
            raise StreamError(f"Nothing new was written for {timeout_s:g} seconds, so the text was given up.") from None
        if isinstance(new, Failure):
            raise StreamError(new.sentence)
        if isinstance(new, Exception):
            raise new if isinstance(new, StreamError) else StreamError("The generation failed; see the log.") from new
        text = new.text if isinstance(new, Output) else new.rstrip(UNFINISHED)
        if len(text) > sent:
            yield text[sent:]
            sent = len(text)
        if isinstance(new, Output):
            return
