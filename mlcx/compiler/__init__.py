"""From a model to a library, by an ordered list of passes."""
