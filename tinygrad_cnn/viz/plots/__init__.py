"""Pictures of training and of models, drawn with matplotlib: each gives a Figure, and writes it when given a path."""
