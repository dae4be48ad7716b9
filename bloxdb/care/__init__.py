"""Whether a database is whole, what can be saved of one that is not, and checkpoints that nobody needs."""
