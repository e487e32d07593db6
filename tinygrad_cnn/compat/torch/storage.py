"""`torch.storage`: the names of storage types, which old checkpoints and annotations mention."""


class UntypedStorage:
    """The memory of tensors in a file; tensors here share NumPy's."""


class TypedStorage:
    """As `UntypedStorage`, with a dtype."""
