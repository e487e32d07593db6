"""What every room may use: errors, optional packages, sizes, switches. It imports nothing else of the package."""
