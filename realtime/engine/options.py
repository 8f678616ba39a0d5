"""A user's options for vLLM, as plain data. Pure: imports no vLLM, so that `--help` and the tests stay quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

STARTER_MODEL = str(Path(__file__).parent.parent / "models" / "starter")

NonEmpty = Annotated[str, Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(gt=0, le=1)]


class RemoteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Remote engines: where the `vllm serve` processes are, and how long they may take (see docs/engines.md)."""

    engine_url: Annotated[
        tuple[str, ...],
        Meta(description="with `--engine remote`: http(s)://HOST:PORT of each engine", extra={"url": True}),
    ] = ()
    engine_key: Annotated[
        NonEmpty | None, Meta(description="their API key, the same for all; no flag", extra={"secret": True})
    ] = None
    engine_key_file: Annotated[NonEmpty | None, Meta(description="file with `engine_key`")] = None
    engine_connect_seconds: Annotated[float, Meta(gt=0, description="time to connect to an engine")] = 5
    engine_check_seconds: Annotated[
        float, Meta(gt=0, description="time between two health checks of an engine, and for the answer to one")
    ] = 5
    engine_first_token_seconds: Annotated[
        float, Meta(gt=0, description="time to a response's first token, the engine's own queue included")
    ] = 600
    engine_silence_seconds: Annotated[
        float, Meta(gt=0, description="time without a further token after which an engine counts as lost")
    ] = 60
    engine_abort_seconds: Annotated[
        float, Meta(gt=0, description="time to prove that a response was aborted; then its connection is closed")
    ] = 10

    def __post_init__(self) -> None:
        if self.engine_key and self.engine_key_file:
            raise ValueError("engine_key and engine_key_file are both given: use one of them")


class VllmOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The model, and how vLLM runs it. Options that are not set keep vLLM's own defaults."""

    model: Annotated[
        NonEmpty,
        Meta(description="model: a folder, an id of the Hugging Face hub, or a name that `realtime models` lists"),
    ] = STARTER_MODEL
    served_name: Annotated[
        NonEmpty | None, Meta(description="name that clients use; else the last part of the model's")
    ] = None
    dtype: Annotated[str, Meta(description="number format of weights and activations, e.g. bfloat16")] = "auto"
    max_model_len: Annotated[
        Positive | None, Meta(description="context window in tokens, prompt and answer together")
    ] = None
    max_num_seqs: Annotated[Positive | None, Meta(description="responses in one engine batch at most")] = None
    gpu_memory_utilization: Annotated[
        Share | None, Meta(description="share of the accelerator's memory that vLLM may take")
    ] = None
    kv_cache_memory_bytes: Annotated[
        Positive | None, Meta(description="memory for the KV cache; takes precedence over the share")
    ] = None
    tensor_parallel_size: Annotated[Positive, Meta(description="devices that share each layer")] = 1
    pipeline_parallel_size: Annotated[Positive, Meta(description="groups of devices that share the layers")] = 1
    distributed_executor_backend: Annotated[
        Literal["mp", "ray", "uni"] | None,
        Meta(description="what runs the workers of one engine: processes here (`mp`), Ray, or the engine itself"),
    ] = None
    data_parallel_size: Annotated[
        Positive, Meta(description="copies of the engine behind this server, or in all, if it has one of them")
    ] = 1
    data_parallel_size_local: Annotated[
        Positive | None, Meta(description="how many of them run on this machine; default: all")
    ] = None
    data_parallel_rank: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="which of them this server has, if each has a server of its own"),
    ] = None
    data_parallel_address: Annotated[
        NonEmpty | None, Meta(description="host of the first of them, where they run on several machines")
    ] = None
    data_parallel_rpc_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None, Meta(description="TCP port for that, on that host")
    ] = None
    data_parallel_backend: Annotated[
        Literal["mp", "ray"] | None, Meta(description="what starts the copies: processes here, or Ray anywhere")
    ] = None
    enable_expert_parallel: Annotated[
        bool, Meta(description="share the experts of a mixture among devices in place of each layer")
    ] = False
    enforce_eager: Annotated[
        bool | None, Meta(description="run without torch.compile and CUDA graphs: starts sooner, runs slower")
    ] = None
    quantization: Annotated[str | None, Meta(description="quantization method, where the model does not say")] = None
    tokenizer: Annotated[str | None, Meta(description="tokenizer folder or hub id, if not the model's own")] = None
    revision: Annotated[str | None, Meta(description="branch, tag or commit of the model on the hub")] = None
    trust_remote_code: Annotated[
        bool, Meta(description="run Python code that comes with the model; only for a source that you trust")
    ] = False
    family: Annotated[
        NonEmpty,
        Meta(
            description="how the model writes reasoning and calls: a family's name, a TOML file that describes it, "
            "`auto` by its chat template, `none` for nothing of that kind"
        ),
    ] = "auto"
    reasoning_parser: Annotated[
        NonEmpty, Meta(description="reasoning by the name of vLLM's parser, `auto` by the family, `none` for none")
    ] = "auto"
    tool_parser: Annotated[
        NonEmpty, Meta(description="tool calls by the name of vLLM's parser, `auto` by the family, `none` for none")
    ] = "auto"
    dialect: Annotated[
        Literal["auto", "chat", "harmony"],
        Meta(
            description="how the model is spoken to: `chat` by its template, `harmony` like gpt-oss, `auto` by its type"
        ),
    ] = "auto"
    harmony_vocabulary: Annotated[
        str | None,
        Meta(description="folder with `o200k_base.tiktoken`, where the installed Harmony package does not carry it"),
    ] = None
    seed: Annotated[int, Meta(ge=0, description="seed of the sampler for requests that bring none")] = 0
    seed_every_request: Annotated[
        bool | None,
        Meta(
            description="draw a seed for requests that bring none, so that after a crash their answers go on with the "
            "very same tokens; default: where it costs no speed, on CPUs and with vLLM's Model Runner V2"
        ),
    ] = None
    enable_prefix_caching: Annotated[
        bool | None, Meta(description="keep the KV cache of prompts for the next request that begins alike")
    ] = None
    grammar_compile_seconds: Annotated[
        float,
        Meta(
            gt=0, description="CPU time to compile one schema or grammar of a request; up to 5 times as much for many"
        ),
    ] = 1
    extra: Annotated[
        dict[str, Any], Meta(description="further vLLM engine arguments by their Python name, as JSON or a TOML table")
    ] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that clients use for the model."""
        return self.served_name or Path(self.model).name
