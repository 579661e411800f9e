"""Reports for people: the HTML page, its plots, and two reports side by side."""
