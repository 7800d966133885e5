"""A base for DermEval in small: the tiny model, taught what a critique looks like and nothing of what it should say.

The shipped tiny model never wrote a digit, and LoRA leaves the vocabulary as it is; so the whole language part first
learns to write six lines with random scores about narratives. Nothing is committed: it is made in a minute or two.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from modelhub.ml.backends.base import Request
from modelhub.ml.dermeval_format import SHORT_PROMPT, fill_prompt, write_critique
from modelhub.ml.dermeval_rows import AnsweredPrompts
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.synthetic.lesion import sample
from modelhub.ml.synthetic.physicians import draw_kind, rated_text, reasons_of
from modelhub.ml.tiny_model import save
from modelhub.ml.train_checkpoint import write_json
from scoring.rubric import DIMENSION_KEYS, LEVELS

STEPS, BATCH, RATE, SEED = 120, 12, 1.5e-3, 7
CANNOT_JUDGE_SHARE = 0.03


def make_evaluator_base(
    tiny: Path, out: Path, *, seed: int = SEED, steps: int = STEPS, log: Callable[[str], None] = print
) -> Path:
    """`out`, a checkpoint folder like `tiny`; the same for a seed and one thread. It appears whole or not at all.

    No picture and no true score is shown: what a narrative deserves is left for physicians to teach.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    loaded = load(LoadSpec(tiny))
    rows, network = AnsweredPrompts(loaded), loaded.model.qwen
    learning = [*network.model.language_model.requires_grad_(True).parameters()]
    optimizer = torch.optim.AdamW(learning, lr=RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for step in range(1, steps + 1):
        requests, answers = _texts(rng, rows)
        batch, first = rows.batch(requests, answers)
        logits = loaded.model.hidden_states(batch)[:, first - 1 : -1] @ network.lm_head.weight.T
        targets, told = batch["input_ids"][:, first:], batch["attention_mask"][:, first:].bool()
        loss = functional.cross_entropy(logits[told], targets[told])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            log(f"evaluator base, step {step} of {steps}, loss {loss.item():.3f}")
    draft = out.with_name(f".{out.name}.draft")
    save(network, loaded.tokenizer, draft)
    write_json(draft / "training.json", {"tiny_sha256": loaded.identity.weights_sha256, "seed": seed, "steps": steps})
    draft.rename(out)
    return out


def _texts(rng: np.random.Generator, rows: AnsweredPrompts) -> tuple[list[Request], list[list[int]]]:
    requests, answers = [], []
    for number in range(BATCH):
        lesion = sample(rng)
        text = rated_text(lesion, draw_kind(rng), rng)
        scores = {key: _random_score(rng) for key in DIMENSION_KEYS}
        requests.append(Request(str(number), (), fill_prompt(SHORT_PROMPT, text)))
        answers.append(rows.answer(write_critique(scores, reasons_of(scores))))
    return requests, answers


def _random_score(rng: np.random.Generator) -> float | None:
    return None if rng.random() < CANNOT_JUDGE_SHARE else float(rng.choice(LEVELS))
