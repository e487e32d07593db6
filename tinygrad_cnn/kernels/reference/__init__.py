"""The kernels in plain NumPy: what each computes, readable, and fast enough to train with where Numba is
missing.

Every name here has the contract written in `tinygrad_cnn.kernels`; the compiled path is held equal to these.
"""
