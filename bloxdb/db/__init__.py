"""The database, whoever asks it: where it is, its schema, its rows; nothing of files of a release."""
