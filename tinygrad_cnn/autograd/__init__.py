"""The engine: primitives with their local derivatives, the graph they record, the pass that walks it back."""
