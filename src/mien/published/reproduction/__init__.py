"""Published results run again: the table of rows, the queue that trains them, the files and the page they end in."""
