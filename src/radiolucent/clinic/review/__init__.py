"""The rules of a review, free of any store: states, rulings, texts, critical findings, order."""
