"""Whether an explanation can be trusted: the grade of each map, and methods compared on known lesions."""
