"""The door: HTTP under ``/api/v1``, the review page, and what watches over both."""
