"""Patches of celery's and kombu's classes; a test for each checks that its target still exists."""
