"""Mien reads facial expressions: faces in photos, the emotions they show, the age range they look like."""
