"""Looking into datasets: which configurations and splits a repository has, their columns, rows and statistics.

Everything is read from Parquet, by row groups and columns. What is stored in another format is converted once and kept.
Files meet parsers only in child processes with limits (`child`, `pool`).
"""
