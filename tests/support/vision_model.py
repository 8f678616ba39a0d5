"""The smallest model that sees: Idefics 3's shape with random weights and the starter model's tokenizer, made on the
spot. (Most others need torchvision, which vLLM's CPU build does without.)

It says nothing sensible, yet all that has to be right around it is real: the chat template with image parts, the
processor that expands an image to its tokens, the vision tower, the prefix cache.
"""

from __future__ import annotations

import json
from pathlib import Path

from realtime.engine.options import STARTER_MODEL

# 32 x 32 pixels in patches of 8, 4 of which make a token: 4 tokens, between two markers and after a third.
_PIXELS, _PATCH, _SCALE = 32, 8, 2
_SEQUENCE = (_PIXELS // _PATCH // _SCALE) ** 2
IMAGE_TOKENS = _SEQUENCE + 3
_MARKERS = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
_TEMPLATE = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}\
{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def make(folder: Path) -> None:
    """Write the model's files. Takes about as long as importing torch and transformers."""
    import torch
    from transformers import AutoTokenizer, Idefics3Config, Idefics3ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(STARTER_MODEL)
    tokenizer.add_special_tokens({"additional_special_tokens": _MARKERS})
    tokenizer.chat_template = _TEMPLATE
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        "model_type": "llama", "vocab_size": len(tokenizer), "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 1024, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config = Idefics3Config(
        vision_config={**shape, "image_size": _PIXELS, "patch_size": _PATCH},
        text_config={**shape, **text},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=_SCALE,
    )
    torch.manual_seed(7)
    model = Idefics3ForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():  # wide enough that what is seen decides what is said
            parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    longest = {"longest_edge": _PIXELS}
    images = {
        "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor", "size": longest,
        "max_image_size": longest, "do_image_splitting": False, "do_convert_rgb": True,
    }  # fmt: skip
    processor = {"processor_class": "Idefics3Processor", "image_seq_len": _SEQUENCE}
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    (folder / "processor_config.json").write_text(json.dumps(processor))
