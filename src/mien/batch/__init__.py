"""Millions of photos, thousands of videos: planned in shards, analysed by workers, written as Parquet."""
