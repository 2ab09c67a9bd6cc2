"""Companies: what is said of them, by whom, and which of it wins."""
