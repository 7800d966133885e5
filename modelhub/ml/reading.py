"""Token ids back to text, and when a text is complete."""

from collections.abc import Sequence

from modelhub.ml.backends.base import answer_end
from modelhub.ml.loading import LoadedModel
from modelhub.ml.processor import control_tokens

TAIL_TOKENS = 24  # enough to hold `</answer>` in any tokenizer


class TextReader:
    """Reads what one model writes."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.tokenizer = loaded.tokenizer
        self.ends = frozenset(loaded.end_token_ids)
        self.silent = frozenset(control_tokens(loaded.processor).values()) | self.ends
        pieces = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        self.closers = frozenset(number for number, piece in enumerate(pieces) if piece and ">" in piece)

    def ended(self, written: Sequence[int]) -> bool:
        """Whether the last token completed the text: an end token, or the last character of `</answer>`."""
        if written[-1] in self.ends:
            return True
        if written[-1] not in self.closers or answer_end(self.decode(written[-TAIL_TOKENS:])) is None:
            return False
        return answer_end(self.decode(written)) is not None

    def text(self, written: Sequence[int]) -> str:
        """The text up to its end token or `</answer>`; control tokens are not part of it."""
        text = self.decode(written)
        return text[: answer_end(text)]

    def decode(self, written: Sequence[int]) -> str:
        spelled = [token for token in written if token not in self.silent]
        text: str = self.tokenizer.decode(spelled, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text
