"""Seeds on CPUs: take back the draw of a step that has not read the whole prompt. For EngineCore and its workers."""

from __future__ import annotations

from typing import Any


def take_back_draws_on_cpus() -> None:
    """Let requests with a seed have prompts that are read in several steps.

    In a step that has not read the whole prompt vLLM samples all the same, and takes the draw back by the generator's
    offset. A CPU's generator has no offset, and the error ends EngineCore with everything that runs. Instead, the
    generator's state is saved before such a draw and restored after it.
    """
    import numpy
    from vllm.v1.worker.cpu_model_runner import CPUModelRunner

    sample, bookkeep = CPUModelRunner._sample, CPUModelRunner._bookkeeping_sync  # internal: see the test
    if sample.__module__ == __name__:
        return

    def sample_and_restore(self: Any, *args: Any, **kwargs: Any) -> Any:
        batch = self.input_batch
        discarded = numpy.nonzero(self.discard_request_mask.np[: batch.num_reqs])[0].tolist()
        kept = [(batch.generators[index], batch.generators[index].get_state())
                for index in discarded if index in batch.generators]  # fmt: skip
        output = sample(self, *args, **kwargs)
        for generator, state in kept:
            generator.set_state(state)
        return output

    def bookkeep_without_generators(self: Any, *args: Any, **kwargs: Any) -> Any:
        batch = self.input_batch
        generators, batch.generators = batch.generators, {}
        try:
            return bookkeep(self, *args, **kwargs)
        finally:
            batch.generators = generators

    CPUModelRunner._sample = sample_and_restore
    CPUModelRunner._bookkeeping_sync = bookkeep_without_generators
