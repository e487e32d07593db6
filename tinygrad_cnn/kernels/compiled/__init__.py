"""The kernels in Numba, one module per module of `reference/`, held equal to it by `tests/kernels`.

Compiled functions release the GIL, use one thread each and are cached on disk; `threads.run_shards` spreads
a batch.
"""
