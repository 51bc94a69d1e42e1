"""Published results run again: the table of rows, the queue that trains them, their result files and the page."""
