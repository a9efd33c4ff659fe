"""Labels known for all rows: classification and regression."""
