"""Fast tokenizers that are made here, of the kinds that decode in ways of their own; nothing is downloaded."""

from __future__ import annotations

from typing import Any

WORDS = ("the", "fox", "Paris", "ing", "é", "日本", "🙂", "a", "b", ".", "\n", "  ", "```")
SPECIALS = ("<s>", "</s>", "<|call|>", "<think>")
PLAIN = ("[note]",)  # added, and not special


def byte_level() -> Any:
    """As GPT-2, Qwen and Llama 3 have it: each token is some bytes, and half a character is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    texts = [split.pre_tokenize_str(text)[0][0] for text in (*WORDS, *(" " + word for word in WORDS))]
    vocabulary = {text: number for number, text in enumerate(dict.fromkeys((*alphabet, *texts)))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    return _with_added(tokenizer)


def sentencepiece() -> Any:
    """As Llama 2 and Mistral have it: a sign for the space begins a word, unknown characters are bytes, and a space
    at the beginning of a text is none.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers

    texts = [f"<0x{byte:02X}>" for byte in range(256)] + ["▁", *("▁" + word for word in WORDS), *WORDS]
    vocabulary = {text: number for number, text in enumerate(dict.fromkeys(["<unk>", *texts]))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _with_added(tokenizer)


def word_piece() -> Any:
    """As BERT has it: what goes on with a word says so, and the decoder tidies up spaces before signs."""
    from tokenizers import Tokenizer, decoders, models

    texts = ["[UNK]", *WORDS, *("##" + word for word in WORDS), ",", "'", "s", "!"]
    tokenizer = Tokenizer(models.WordPiece({text: number for number, text in enumerate(texts)}, unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return _with_added(tokenizer)


def _with_added(tokenizer: Any) -> Any:
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in PLAIN])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", clean_up_tokenization_spaces=False)
