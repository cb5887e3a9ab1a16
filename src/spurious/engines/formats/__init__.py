"""One module a file format: which columns say it is this one, and what its rows say in our words."""
