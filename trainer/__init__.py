"""Training architectures into a database; the only part of the project that imports torch."""
