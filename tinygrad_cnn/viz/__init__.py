"""Pictures of graphs and of training: a graph becomes plain data once, and every renderer reads that."""
