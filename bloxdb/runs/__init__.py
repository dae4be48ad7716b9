"""The life of a run in the database, whoever trains it: results, the queue, heartbeats, what has become of it."""
