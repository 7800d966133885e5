"""Comparison models: any image-and-text model that transformers itself knows, asked through its own processor."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from modelhub.ml.processor import REASONING_TAGS, Message, open_image, to_conversation

ZERO_WIDTH_SPACE = "\u200b"


class ComparisonProcessor:
    """A processor of transformers, and which of its outputs the network takes."""

    def __init__(self, processor: Any, inputs: set[str]) -> None:
        self.processor, self.inputs = processor, inputs
        self.tokenizer = processor.tokenizer

    def encode(self, prompts: Sequence[tuple[str, Sequence[Path]]]) -> dict[str, Tensor]:
        """Left-padded batch ready for the network, a row per (user's text, pictures); `<image>` marks place pictures.

        Raises OSError naming a picture that cannot be read, ValueError where marks and pictures do not pair up.
        """
        conversations = []
        for text, images in prompts:
            turn = to_conversation([Message("user", text)], [open_image(path) for path in images])
            conversations.append([self._without_control(message) for message in turn])
        extra = {"return_mm_token_type_ids": True} if "mm_token_type_ids" in self.inputs else {}
        batch = self.processor.apply_chat_template(
            conversations,
            tokenize=True,
            return_dict=True,
            add_generation_prompt=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left", **extra},
        )
        return {name: value for name, value in batch.items() if name in self.inputs and isinstance(value, Tensor)}

    def _without_control(self, message: dict[str, Any]) -> dict[str, Any]:
        """Added tokens in what people wrote are broken by a space without width, so that they are plain characters:
        transformers' own way does it only for some processors."""
        parts = []
        for part in message["content"]:
            if part["type"] == "text":
                text = part["text"]
                for token in self.tokenizer.get_added_vocab():
                    if len(token) > 1 and token not in REASONING_TAGS:
                        text = text.replace(token, f"{token[0]}{ZERO_WIDTH_SPACE}{token[1:]}")
                part = part | {"text": text}
            parts.append(part)
        return message | {"content": parts}


def load_comparison_processor(folder: Path, network: nn.Module) -> ComparisonProcessor:
    """Raises ValueError, OSError or ImportError where the folder lacks a part or this machine a library."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise ValueError("it reads text or images only (processor_config.json or preprocessor_config.json is missing)")
    if processor.tokenizer.chat_template is None and processor.chat_template is None:
        raise ValueError("there is no chat template (chat_template.jinja or in tokenizer_config.json)")
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    processor.tokenizer.padding_side = "left"
    return ComparisonProcessor(processor, set(inspect.signature(network.forward).parameters))
