"""Loading a whole model's checkpoint into it, whole or not at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mmengine.runner.checkpoint
from torch import Tensor, nn

from .integrity import CheckpointError
from .naming import authors_name, describe, differences, listed


@contextmanager
def loading_whole(checkpoint: str) -> Iterator[None]:
    """Have mmengine load state dicts strictly: by itself it loads what fits, and warns.

    Args:
        checkpoint (str): The file's name, for the message.

    Raises:
        CheckpointError: If something is loaded within that isn't the model's.
    """
    runner = mmengine.runner.checkpoint
    load = runner.load_state_dict

    def load_whole(model, state_dict, strict=False, logger=None):
        try:
            load(model, state_dict, strict=True, logger=logger)
        except RuntimeError as error:
            why = misfit(model, state_dict) or str(error)
            raise CheckpointError(f"{checkpoint} is not of this config's model: {why}") from None

    runner.load_state_dict = load_whole
    try:
        yield
    finally:
        runner.load_state_dict = load


def misfit(model: nn.Module, state_dict: Mapping[str, Tensor]) -> str:
    """How a checkpoint's parameters differ from a model's, in a sentence or two; empty if they don't."""
    own, given = (
        {authors_name(k): v for k, v in values.items() if not k.endswith('num_batches_tracked')}
        for values in (model.state_dict(), state_dict)
    )
    sizes = {k: ['x'.join(map(str, v[k].shape)) for v in (given, own)] for k in own.keys() & given}
    shapes = [f'{k} {theirs} for {ours}' for k, (theirs, ours) in sizes.items() if theirs != ours]
    kinds = {'missing': own.keys() - given, 'unknown': given.keys() - own, 'of another shape': shapes}
    found = [f'{len(names)} {what} ({listed(sorted(names), 3)})' for what, names in kinds.items() if names]
    if not found:
        return ''
    theirs, ours = (
        describe({k.removeprefix('backbone.'): v for k, v in values.items() if k.startswith('backbone.')})
        for values in (given, own)
    )
    differing = ['type'] if ours.get('type') != theirs.get('type') else differences(theirs, ours)
    said = [', '.join(f'{k}={arch[k]}' for k in differing if k in arch) for arch in (theirs, ours)]
    network = f"; its backbone has {said[0]}, the config's {said[1] or 'is another one'}" if said[0] else ''
    counts = f"of its {len(given)} parameters and statistics and the model's {len(own)}"
    return f'{counts}, {", ".join(found)}{network}'
