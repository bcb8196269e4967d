"""The Celery application."""
