"""What the model did when it wrote each word, and which words look at a place."""
