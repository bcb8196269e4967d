"""The stores' PostgreSQL server, for the fault tests as well."""

from tests.store.conftest import make_postgresql, postgresql

__all__ = ["make_postgresql", "postgresql"]
