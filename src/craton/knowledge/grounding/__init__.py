"""Whether a source holds what a sentence says: checked by its numbers and names, its words and its meaning."""
