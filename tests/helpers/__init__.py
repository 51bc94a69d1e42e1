"""Pictures, videos, datasets, models and services that the tests share."""
