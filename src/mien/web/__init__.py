"""The page: its files, which ``mien serve`` answers with and ``mien web`` writes, and what both state about models."""
