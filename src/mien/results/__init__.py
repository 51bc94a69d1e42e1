"""The values that the stages return, and how they are written: dictionaries, tables, files, schemas."""
