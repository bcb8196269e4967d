"""Commands about the command line itself: help, version, completion, manual pages."""
