"""Models from one form into another: imported, converted, quantised, merged, copied."""
