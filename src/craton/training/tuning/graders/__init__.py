"""What scores the answers of a model that learns from rewards: a function, an address, or another model."""
