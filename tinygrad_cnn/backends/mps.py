"""Apple's GPU, which is not used."""


def is_available() -> bool:
    """False: everything runs on the CPU."""
    return False


def is_built() -> bool:
    """False: everything runs on the CPU."""
    return False
