"""Running it: logs, metrics, backups, retention, and how well the drafts do on this site."""
