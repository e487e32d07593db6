"""Single kernels for pytest-benchmark: ``python -m pytest benchmarks/kernels --benchmark-group-by=param:case``."""
