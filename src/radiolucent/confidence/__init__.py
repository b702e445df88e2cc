"""How sure the model is of each finding: sampled agreement, direct questions, and what the picture adds."""
