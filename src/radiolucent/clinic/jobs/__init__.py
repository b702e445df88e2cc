"""Work that is done once, whatever dies in between."""
