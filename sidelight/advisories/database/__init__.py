"""The advisory database: building it from advisories, and reading it."""
