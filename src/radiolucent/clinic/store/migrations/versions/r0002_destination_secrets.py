"""A destination's sealed token, its own certificate authority, our AE title there, and C-STORE over TLS."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; destinations that are there stay as they were."""
    with op.batch_alter_table("destinations") as table:
        table.add_column(sa.Column("calling_aet", sa.Text()))
        table.add_column(sa.Column("tls", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("ca_pem", sa.Text()))
        table.add_column(sa.Column("sealed_token", sa.LargeBinary()))


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("destinations") as table:
        for name in ("calling_aet", "tls", "ca_pem", "sealed_token"):
            table.drop_column(name)
