"""The best of the architectures that are fast on a device are found in indices alone."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MEASURES = ["test_top1", "val_top1", "test_top5", "test_loss", "train_time_s", "flops", "params"]


def upgrade() -> None:
    """Put what is looked up beside what it is looked up by."""
    op.drop_index(op.f("ix_latencies_device_id_latency_ms"), "latencies")
    op.create_index(
        op.f("ix_latencies_device_id_latency_ms_arch_id"), "latencies", ["device_id", "latency_ms", "arch_id"]
    )
    op.create_index("ix_runs_of_archs", "runs", ["arch_id", "status", "recipe_id", "seed", *MEASURES])


def downgrade() -> None:
    """The indices as they were."""
    op.drop_index("ix_runs_of_archs", "runs")
    op.drop_index(op.f("ix_latencies_device_id_latency_ms_arch_id"), "latencies")
    op.create_index(op.f("ix_latencies_device_id_latency_ms"), "latencies", ["device_id", "latency_ms"])
