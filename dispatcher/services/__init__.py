"""Services that the command line, the API and the console call."""
