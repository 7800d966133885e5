"""A random two-layer Qwen2.5-VL checkpoint, made in a second, for tests that need a whole model but no knowledge."""

import json
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

CONTROL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    raw.add_tokens([AddedToken(token, special=False) for token in ("<think>", "</think>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=TEMPLATE,
        padding_side="left",
    )


def tiny_config(vocabulary: int, ids: dict[str, int], *, tied: bool) -> Qwen2_5_VLConfig:
    text = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|im_end|>"],
        "tie_word_embeddings": tied,
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "window_size": 112,
        "out_hidden_size": 32,
        "fullatt_block_indexes": [1],
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=tied,
    )


def make_checkpoint(folder: Path, *, tied: bool = False, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """Write config, weights (safetensors), tokenizer and image processor; return the folder."""
    tokenizer = byte_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in CONTROL}
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(tiny_config(len(tokenizer), ids, tied=tied))
    with torch.no_grad():  # the usual 0.02 gives near-uniform logits, whose ties make greedy text fragile
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.12)
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112).save_pretrained(folder)
    return folder


def make_shards(folder: Path, count: int) -> Path:
    """Spread a checkpoint's single file over shards with an index; return the folder."""
    state = load((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    where = {name: f"model-{1 + i * count // len(names):05}-of-{count:05}.safetensors" for i, name in enumerate(names)}
    for file in sorted(set(where.values())):
        save_file(
            {name: state[name] for name in names if where[name] == file}, folder / file, metadata={"format": "pt"}
        )
    total = sum(value.nbytes for value in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def make_image(path: Path, size: tuple[int, int] = (56, 56), seed: int = 0) -> Path:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(path)
    return path


def make_dataset(folder: Path, count: int = 8, **labels: object) -> Path:
    """train.jsonl in the reference trainer's schema with random pictures and short answers."""
    (folder / "images").mkdir(parents=True)
    answers = ["<think>round.</think> Answer: a.", "<think>oval.</think> Answer: b."]
    with (folder / "train.jsonl").open("w") as lines:
        for i in range(count):
            make_image(folder / "images" / f"{i}.png", seed=i % 2)
            record = {
                "messages": [
                    {"role": "user", "content": "<image>Describe."},
                    {"role": "assistant", "content": answers[i % 2]},
                ],
                "images": [f"images/{i}.png"],
                "skin_labels": i % 3,
            }
            lines.write(json.dumps(record) + "\n")
    return folder


OTHER_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {% for part in message.content %}{% if part.type == 'image' %}"
    "<image>{% else %}{{ part.text }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
SMALL_VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def llama_config(tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    return {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": end,
    }


def make_idefics(folder: Path, *, seed: int = 0) -> Path:
    """A random Idefics3 with its own processor: another architecture, other names of tensors, split pictures."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken("<global-img>", special=True)])
    images = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=OTHER_TEMPLATE)
    config = Idefics3Config(
        vision_config=SMALL_VISION | {"image_size": 32, "patch_size": 8},
        text_config=llama_config(tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
    )
    return save_other(folder, Idefics3ForConditionalGeneration, config, processor, seed)


def make_llava(folder: Path, *, seed: int = 0) -> Path:
    """A random LLaVA (CLIP and Llama) with its own processor."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken("<image>", special=True)])
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=OTHER_TEMPLATE,
        num_additional_image_tokens=1,
    )
    config = LlavaConfig(
        vision_config=SMALL_VISION | {"model_type": "clip_vision_model", "image_size": 32, "patch_size": 8},
        text_config=llama_config(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    return save_other(folder, LlavaForConditionalGeneration, config, processor, seed)


def save_other(folder: Path, model_class: type, config: object, processor: object, seed: int) -> Path:
    torch.manual_seed(seed)
    model = model_class(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.12)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder
