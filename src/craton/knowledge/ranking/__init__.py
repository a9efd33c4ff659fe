"""Putting found things into one order: scores of several kinds fused, near-copies dropped, sentences compared.

Pure functions over a few hundred candidates; nothing here knows where they come from.
"""
