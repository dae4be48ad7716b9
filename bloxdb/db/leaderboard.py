"""The view of finished runs, which ranks them."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table

LEADERBOARD_COLUMNS = (
    "arch_id",
    "hash",
    "vec",
    "recipe",
    "seed",
    "flops",
    "params",
    "val_top1",
    "test_top1",
    "train_time_s",
)

leaderboard = Table("leaderboard", MetaData(), *(Column(name) for name in LEADERBOARD_COLUMNS))
"""The view of finished runs, for queries; its definition is a migration."""
