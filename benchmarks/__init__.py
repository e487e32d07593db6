"""Speed, measured: every contestant in its own process, taking turns on the same work.

``python -m benchmarks`` runs all workloads; ``python -m benchmarks mnist-cnn-train chain`` some of them.
"""
