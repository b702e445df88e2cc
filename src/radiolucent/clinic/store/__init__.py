"""What is kept: the tables, the databases that hold them, and what seals a patient's identity."""
