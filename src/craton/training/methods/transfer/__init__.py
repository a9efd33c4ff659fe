"""Transfer learning: what an encoder of text learned elsewhere, put to another use."""
