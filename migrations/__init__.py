"""Revisions of the schema; each freezes the tables it needs and imports nothing from bloxdb."""
