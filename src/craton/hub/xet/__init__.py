"""Files that came in as chunks: what is known of their xorbs, and how they are put together again."""
