"""Alembic's environment and the migrations, applied by `Store.migrate`."""
