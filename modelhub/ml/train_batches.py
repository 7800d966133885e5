"""Records to tensors to batches. A batch holds either token rows, for a backbone that runs, or kept hidden states."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from modelhub.ml.losses import NO_LABEL, Counts
from modelhub.ml.processor import ImageTextProcessor, count_prompt_tokens, encode_answer, encode_prompts
from modelhub.ml.train_data import RECORDS_FILE, DatasetError, TrainRecord, read_teacher

MOST_KEPT_BYTES = 1 << 30

Example = dict[str, Any]


class Source(Protocol):
    """Where a record's tensors come from: `answer` [tokens] and, where it has images, `pixel_values` [patches, …] and
    `image_grid_thw` [images, 3]; with them either `input_ids` and `mm_token_type_ids` [1, prompt] or `hidden` [tokens,
    hidden], the final hidden states that predict the answer."""

    def example(self, record: TrainRecord) -> Example: ...


class Encoder:
    """Records to token rows. Encoded records are kept up to a budget of memory, since every epoch asks again."""

    def __init__(self, processor: ImageTextProcessor, end_token_id: int) -> None:
        self.processor = processor
        self.end_token_id = end_token_id
        self._kept: dict[int, Example] = {}
        self._room = MOST_KEPT_BYTES

    def example(self, record: TrainRecord) -> Example:
        if record.line in self._kept:
            return self._kept[record.line]
        example = self.encode(record)
        size = sum(value.numel() * value.element_size() for value in example.values())
        if size <= self._room:
            self._kept[record.line] = example
            self._room -= size
        return example

    def encode(self, record: TrainRecord) -> Example:
        example: Example = dict(encode_prompts(self.processor, [(record.context, record.images)]))
        example["answer"] = self.answer(record)
        return example

    def answer(self, record: TrainRecord) -> Tensor:
        return encode_answer(self.processor, record.answer, self.end_token_id)

    def answer_lengths(self, records: Sequence[TrainRecord], *, max_length: int) -> list[int]:
        """Answer tokens of each record; no image is decoded for it.

        Raises DatasetError naming a record of more than `max_length` tokens of prompt, images and answer.
        """
        lengths = []
        for record in records:
            answer = len(self.answer(record))
            length = count_prompt_tokens(self.processor, record.context, record.images) + answer
            if length > max_length:
                raise DatasetError(f"{RECORDS_FILE}, line {record.line}: {length} tokens, max_length is {max_length}")
            lengths.append(answer)
        return lengths


def count_terms(record: TrainRecord, answer_tokens: int, teacher_width: int | None) -> Counts:
    """What a record has of each loss term's input. Raises DatasetError for a broken teacher file."""
    teachers = 0
    if teacher_width is not None:
        teachers = sum(read_teacher(image, teacher_width) is not None for image in record.images)
    images = len(record.images)
    return Counts(answer_tokens, images, teachers, images if record.skin_label is not None else 0)


def collate(records: Sequence[TrainRecord], source: Source, teacher_width: int | None) -> dict[str, Tensor]:
    """A batch: `targets` [tokens], `answer_lengths` and `images_per_row` [rows], `skin_labels` [images], the patches of
    all images, with a teacher `teacher` [images, width] and `teacher_present` [images]; `hidden` [tokens, hidden] or
    right-padded token rows with `scored` [rows, length], the positions that predict an answer token."""
    examples = [source.example(record) for record in records]
    batch = hidden_rows(examples) if "hidden" in examples[0] else token_rows(examples)
    labels = [NO_LABEL if r.skin_label is None else r.skin_label for r in records for _ in r.images]
    batch |= {
        "targets": torch.cat([example["answer"] for example in examples]),
        "answer_lengths": torch.tensor([len(example["answer"]) for example in examples]),
        "images_per_row": torch.tensor([len(record.images) for record in records]),
        "skin_labels": torch.tensor(labels, dtype=torch.long),
    }
    pictured = [example for example in examples if "pixel_values" in example]
    if pictured:
        batch["pixel_values"] = torch.cat([example["pixel_values"] for example in pictured])
        batch["image_grid_thw"] = torch.cat([example["image_grid_thw"] for example in pictured])
        if teacher_width is not None:
            features = [read_teacher(image, teacher_width) for record in records for image in record.images]
            blank = torch.zeros(teacher_width)
            batch["teacher"] = torch.stack([blank if f is None else f for f in features])
            batch["teacher_present"] = torch.tensor([f is not None for f in features])
    return batch


def hidden_rows(examples: Sequence[Example]) -> dict[str, Tensor]:
    return {"hidden": torch.cat([example["hidden"] for example in examples])}


def token_rows(examples: Sequence[Example]) -> dict[str, Tensor]:
    rows, kinds, scored = [], [], []
    for example in examples:
        prompt, answer = example["input_ids"][0], example["answer"]
        rows.append(torch.cat([prompt, answer]))
        kinds.append(torch.cat([example["mm_token_type_ids"][0].long(), torch.zeros(len(answer), dtype=torch.long)]))
        mark = torch.zeros(len(rows[-1]), dtype=torch.bool)
        mark[len(prompt) - 1 : -1] = True
        scored.append(mark)
    return {
        "input_ids": pad(rows, int(examples[0]["answer"][-1])),  # the end token, as the checkpoints pad
        "attention_mask": pad([torch.ones_like(row) for row in rows], 0),
        "mm_token_type_ids": pad(kinds, 0),
        "scored": pad(scored, 0),
    }


def pad(rows: Sequence[Tensor], value: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def epoch_order(records: Sequence[TrainRecord], *, seed: int, epoch: int) -> list[TrainRecord]:
    """The same order for the same seed and epoch, whatever came before."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return [records[i] for i in torch.randperm(len(records), generator=generator).tolist()]


def cut(records: Sequence[TrainRecord], size: int) -> Iterator[Sequence[TrainRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]
