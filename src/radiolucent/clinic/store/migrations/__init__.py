"""Alembic's migrations of the clinic's database."""
