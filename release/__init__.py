"""What makes a release, and reports the licences of what it depends on."""
