"""A look inside a model: its tokens, what it attends to, what it would say next."""
