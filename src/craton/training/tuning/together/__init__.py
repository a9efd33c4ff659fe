"""Several processes that tune one model, of which each holds a part."""
