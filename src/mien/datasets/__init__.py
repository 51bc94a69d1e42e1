"""Datasets: readers for the published layouts, and the one compact file that training reads."""
