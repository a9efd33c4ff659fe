"""Blobs: bytes named by their SHA-256. `protocol` says what all of them do; where they live is a module each."""

from craton.store.blobs.protocol import CHUNK, Blob, Blobs, BlobStore, Listed

__all__ = ["CHUNK", "Blob", "BlobStore", "Blobs", "Listed"]
