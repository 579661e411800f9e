"""From rows to pages: the report's claims and proposals, what the studies answer, and the templates."""
