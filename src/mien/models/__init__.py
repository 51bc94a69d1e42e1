"""Model cards, the catalog of models, and the shipped files."""
