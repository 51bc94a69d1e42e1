"""Pictures, videos, numbered pictures, cameras and streams → frames with true numbers and times."""
