"""The audit trail: what happened, chained and signed so that no change goes unseen."""
