"""The notice for people who are exposed to emotion recognition, and the checklist for those who use it."""
