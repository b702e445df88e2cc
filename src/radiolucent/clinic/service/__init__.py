"""Use cases: each is one transaction with its audit entries, and nothing else writes."""
