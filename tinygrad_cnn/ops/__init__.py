"""The primitives: each op's forward beside its derivative, one file per family."""
