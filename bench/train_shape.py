"""The fixed shape of `make bench-train`: a Qwen2.5-VL of 112 million numbers, and cases of exactly equal length.

Text layers, head and vision tower take the shares that they have at 7 B (the head 6.6 %, as there).
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.gpu_model import Shape, draw_noise
from modelhub.ml.loading import LoadedModel
from modelhub.ml.processor import Message, count_prompt_tokens
from modelhub.ml.train_data import TrainRecord, teacher_file

GRID = 4  # visual tokens each way: 8 × 8 patches
PATCHES, VISUAL, PROMPT, SCORED = 64, 16, 64, 256
FULL_VOCABULARY = 152_064
FIXED = Shape(
    name="fixed",
    text={
        "vocab_size": 9_600,
        "hidden_size": 768,
        "intermediate_size": 4_096,
        "num_hidden_layers": 8,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
    },
    vision={"depth": 6, "hidden_size": 320, "intermediate_size": 864, "num_heads": 4, "out_hidden_size": 768},
    mrope=(8, 12, 12),
    branch={},
    precision="float32",
    visual=((GRID, GRID),),
    batches=(),
    new_tokens=0,
    cases=8,
    prompt_tokens=PROMPT,
    answer_tokens=SCORED,
    straightforward_cases=8,
)


def with_vocabulary(shape: Shape, size: int) -> Shape:
    return replace(shape, text=shape.text | {"vocab_size": size})


def make_records(loaded: LoadedModel, count: int, folder: Path) -> list[TrainRecord]:
    """Cases of one picture of 64 patches, 64 prompt tokens (the template's among them) and 256 scored tokens, with
    teacher features and skin labels, each case different."""
    assert loaded.model.branch is not None
    folder.mkdir()
    rng = np.random.default_rng(0)
    words = whole_words(loaded)
    images = draw_noise(folder, GRID, GRID, count)
    template = count_prompt_tokens(loaded.processor, [Message("user", "")], images[:1]) - VISUAL
    records = []
    for number, image in enumerate(images):
        np.save(teacher_file(image), rng.standard_normal(loaded.model.branch.config.teacher_width).astype(np.float32))
        prompt = "".join(rng.choice(words, PROMPT - template))
        answer = "".join(rng.choice(words, SCORED - 1))  # and the end token
        records.append(TrainRecord(number + 1, (Message("user", prompt),), answer, (image,), number % 3))
    return records


def whole_words(loaded: LoadedModel) -> list[str]:
    """Words with their space that are one token each, wherever they stand."""
    tokenizer = loaded.tokenizer
    known = (tokenizer.decode([number]) for number in range(tokenizer.vocab_size))
    words = [word for word in known if re.fullmatch(r" [a-z]{3,}", word)]
    return [word for word in words if len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1]
