"""What a page does with a finished run: one process holds the run and answers the studio line by line."""
