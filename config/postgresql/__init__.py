"""A database backend: Django's PostgreSQL backend with time limits."""
