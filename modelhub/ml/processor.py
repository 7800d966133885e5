"""Qwen2.5-VL's processor without torchvision, and prompts in which user text cannot act as control tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor

from modelhub.ml.patch_worker import UNREADABLE, resized, upright, upright_size
from modelhub.ml.patches import PictureError, patch_rule

IMAGE_MARK = "<image>"
REASONING_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


class ImageTextProcessor(Qwen2_5_VLProcessor):
    """The released processor without its video half, which would demand torchvision."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_video: Any
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)


@dataclass(frozen=True)
class Message:
    """One turn; each `<image>` in `text` stands for the next of the conversation's images."""

    role: str
    text: str


def load_processor(path: Path) -> ImageTextProcessor:
    """Tokenizer, chat template and PIL image processor of a checkpoint folder; pads on the left.

    Raises OSError or ValueError where the folder lacks one of them.
    """
    processor = ImageTextProcessor.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    if processor.tokenizer.chat_template is None and processor.chat_template is None:
        raise ValueError(f"{path} has no chat template (chat_template.jinja or in tokenizer_config.json)")
    processor.tokenizer.padding_side = "left"
    return processor


def open_image(path: Path) -> Image.Image:
    """In RGB, turned as its camera says. Raises PictureError (an OSError) naming the file."""
    try:
        with Image.open(path) as image:
            return upright(image)
    except UNREADABLE as error:
        raise PictureError(f"{path.name} cannot be read as an image: {error}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, as it is to be seen; reads the header only. Raises PictureError naming the file."""
    try:
        with Image.open(path) as image:
            return upright_size(image)
    except UNREADABLE as error:
        raise PictureError(f"{path.name} cannot be read as an image: {error}") from error


def visual_tokens(processor: ImageTextProcessor, path: Path) -> int:
    """Merged visual tokens that the image at `path` becomes. Raises PictureError naming the file."""
    rule = patch_rule(processor.image_processor)
    wide, high = resized(*image_size(path), rule)
    return wide * high // (rule.patch * rule.merge) ** 2


def to_conversation(messages: Sequence[Message], images: Sequence[Any]) -> list[dict[str, Any]]:
    """The chat template's form, `images` as they are. Without a mark they stand before the first user text.

    Raises ValueError where marks and images do not pair up.
    """
    marks = sum(message.text.count(IMAGE_MARK) for message in messages)
    if marks not in (0, len(images)):
        raise ValueError(f"{marks} {IMAGE_MARK} marks for {len(images)} images")
    waiting = iter(images)
    conversation = []
    for message in messages:
        content: list[dict[str, Any]] = []
        if not marks and message.role == "user":
            content += [{"type": "image", "image": image} for image in waiting]
        for number, piece in enumerate(message.text.split(IMAGE_MARK)):
            if number:
                content.append({"type": "image", "image": next(waiting)})
            if piece:
                content.append({"type": "text", "text": piece})
        conversation.append({"role": message.role, "content": content})
    return conversation


def prompt_ids(processor: ImageTextProcessor, prompt: str, images: int) -> list[int]:
    """A user's turn ready for the answer: `images` pictures, one image token each, then `prompt` as plain characters.

    Nothing in `prompt` can act as a control token or as the place of a picture.
    """
    content = [{"type": "image"} for _ in range(images)] + [{"type": "text", "text": prompt}]
    ids = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        chat_template=processor.chat_template or processor.tokenizer.chat_template,
        tokenize=True,
        return_dict=False,
        add_generation_prompt=True,
        sanitize_control_tokens=True,
    )
    return list(ids)


def count_prompt_tokens(processor: ImageTextProcessor, messages: Sequence[Message], images: Sequence[Path]) -> int:
    """Length that `encode_prompts` would give, from the images' headers alone."""
    ids = processor.tokenizer.apply_chat_template(
        to_conversation(messages, images),
        tokenize=True,
        return_dict=False,
        add_generation_prompt=True,
        sanitize_control_tokens=True,
    )
    return len(ids) + sum(visual_tokens(processor, path) - 1 for path in images)


def encode_prompts(
    processor: ImageTextProcessor, prompts: Sequence[tuple[Sequence[Message], Sequence[Path]]]
) -> dict[str, Tensor]:
    """Left-padded batch ready for the model: input_ids, attention_mask, mm_token_type_ids [rows, length] and, where any
    row has images, pixel_values [patches, patch_dim] and image_grid_thw [images, 3].

    Control tokens written in user text are encoded as plain characters.
    """
    batch = processor.apply_chat_template(
        [to_conversation(messages, [open_image(path) for path in images]) for messages, images in prompts],
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        sanitize_control_tokens=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left", "return_mm_token_type_ids": True},
    )
    return {name: value for name, value in batch.items() if isinstance(value, Tensor)}


def encode_answer(processor: ImageTextProcessor, text: str, end_token_id: int) -> Tensor:
    """Token ids of an answer and its end token, [tokens]; control tokens in it are plain characters.

    Reasoning tags keep their own token where the tokenizer has one, as the model writes them.
    """
    tokenizer = processor.tokenizer
    control = sorted((t for t in control_tokens(processor)), key=len, reverse=True)
    pieces, rest = [], text
    while rest:
        found = min(((rest.find(t), t) for t in control if t in rest), default=None)
        cut = len(rest) if found is None else found[0]
        if cut:
            pieces += tokenizer(rest[:cut], add_special_tokens=False)["input_ids"]
        rest = rest[cut:]
        if found is not None:
            pieces += tokenizer.encode(found[1], add_special_tokens=False, split_special_tokens=True)
            rest = rest[len(found[1]) :]
    return torch.tensor([*pieces, end_token_id])


def control_tokens(processor: ImageTextProcessor) -> dict[str, int]:
    """Tokens that steer the model rather than spell text: special ones, reasoning tags apart."""
    added = processor.tokenizer.added_tokens_decoder.items()
    return {t.content: number for number, t in added if t.special and t.content not in REASONING_TAGS}
