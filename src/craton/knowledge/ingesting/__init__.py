"""The job that brings a source's documents into a knowledge base.

    list -> compare with the ledger -> fetch, parse, chunk -> embed -> write -> wait for the index -> flip

`job.ingest` runs it. It writes rows only; `knowledge.syncing`, in the server, carries them into the index.
"""
