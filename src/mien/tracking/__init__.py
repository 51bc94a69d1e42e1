"""Faces over frames: track numbers, motion, appearance, propagation, scene cuts."""
