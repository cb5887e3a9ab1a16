"""See docs and DESIGN."""
