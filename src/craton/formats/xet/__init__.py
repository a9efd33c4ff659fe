"""Xet: files as runs of content-defined chunks, packed into xorbs and described by shards."""
