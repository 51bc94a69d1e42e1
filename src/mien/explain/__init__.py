"""Explanations: maps of single faces, tests of their faithfulness, averages and contact sheets of a dataset."""
