"""Results as tables and files."""
