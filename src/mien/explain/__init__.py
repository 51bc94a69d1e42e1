"""Where a network looks: maps of single faces, whether they are faithful, averages and contact sheets of a dataset."""
