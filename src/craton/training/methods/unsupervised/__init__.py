"""No labels: groups of rows, rows in fewer dimensions, topics of texts."""
