"""From a prepared dataset and a recipe to a trained network."""
