"""The first tables, and the leaderboard view."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEADERBOARD = """
CREATE VIEW leaderboard AS
SELECT runs.arch_id, archs.hash, archs.vec, recipes.name AS recipe, runs.seed, runs.flops,
       runs.params, runs.val_top1, runs.test_top1, runs.train_time_s
FROM runs
JOIN archs ON archs.id = runs.arch_id
JOIN recipes ON recipes.id = runs.recipe_id
WHERE runs.status = 'finished'
"""


MILLI, MICRO = 1000, 1_000_000
SHOWN = {
    "train_top1": ("train_top1_milli", MILLI),
    "train_top5": ("train_top5_milli", MILLI),
    "train_loss": ("train_loss_micro", MICRO),
    "val_top1": ("val_top1_milli", MILLI),
    "val_top5": ("val_top5_milli", MILLI),
    "val_loss": ("val_loss_micro", MICRO),
}
"""What shows a stored integer in its natural unit: the integer, and by what it is divided."""


def _computes_on_reading() -> bool:
    """Whether generated columns cost no room; before 18, PostgreSQL stores them, 48 bytes for each epoch."""
    dialect = op.get_context().dialect
    return dialect.name != "postgresql" or (dialect.server_version_info or (0,)) >= (18,)


def _natural(name: str) -> str:
    stored, scale = SHOWN[name]
    return f"CAST({stored} AS DOUBLE PRECISION) / {scale}"


def upgrade() -> None:
    """Make all tables of an empty database."""
    op.create_table(
        "blocks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scheme", sa.String(length=3), nullable=False),
        sa.Column("op1", sa.String(length=8), nullable=False),
        sa.Column("op2", sa.String(length=8), nullable=True),
        sa.Column("cell", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocks")),
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("name", name=op.f("uq_devices_name")),
    )
    op.create_table(
        "envs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("codebase_commit", sa.Text(), nullable=False),
        sa.Column("codebase_version", sa.Text(), nullable=False),
        sa.Column("cuda", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("ptflops_version", sa.Text(), nullable=False),
        sa.Column("python", sa.Text(), nullable=False),
        sa.Column("torch_commit", sa.Text(), nullable=False),
        sa.Column("torch_cuda_version", sa.Text(), nullable=False),
        sa.Column("torch_version", sa.Text(), nullable=False),
        sa.Column("torchvision_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_envs")),
        sa.UniqueConstraint(
            "codebase_commit",
            "codebase_version",
            "cuda",
            "driver",
            "gpu",
            "platform",
            "ptflops_version",
            "python",
            "torch_commit",
            "torch_cuda_version",
            "torch_version",
            "torchvision_version",
            name="uq_envs_fields",
        ),
    )
    op.create_table(
        "recipes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("dataset", sa.String(length=200), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("train_images", sa.Integer(), nullable=True),
        sa.Column("val_images", sa.Integer(), nullable=True),
        sa.Column("test_images", sa.Integer(), nullable=True),
        sa.Column("config", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipes")),
        sa.UniqueConstraint("name", name=op.f("uq_recipes_name")),
    )
    op.create_table(
        "archs",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.Column("block1_id", sa.Integer(), nullable=False),
        sa.Column("block2_id", sa.Integer(), nullable=False),
        sa.Column("block3_id", sa.Integer(), nullable=False),
        sa.Column("vec", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["block1_id"], ["blocks.id"], name=op.f("fk_archs_block1_id_blocks")),
        sa.ForeignKeyConstraint(["block2_id"], ["blocks.id"], name=op.f("fk_archs_block2_id_blocks")),
        sa.ForeignKeyConstraint(["block3_id"], ["blocks.id"], name=op.f("fk_archs_block3_id_blocks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archs")),
        sa.UniqueConstraint("hash", name=op.f("uq_archs_hash")),
    )
    op.create_table(
        "latencies",
        sa.Column("arch_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("spread_ms", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["arch_id"], ["archs.id"], name=op.f("fk_latencies_arch_id_archs")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_latencies_device_id_devices")),
        sa.PrimaryKeyConstraint("arch_id", "device_id", name=op.f("pk_latencies")),
    )
    op.create_index(
        op.f("ix_latencies_device_id_latency_ms"),
        "latencies",
        ["device_id", "latency_ms"],
        unique=False,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("arch_id", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("env_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("best_epoch", sa.Integer(), nullable=True),
        sa.Column("val_top1", sa.Double(), nullable=True),
        sa.Column("test_top1", sa.Double(), nullable=True),
        sa.Column("test_top5", sa.Double(), nullable=True),
        sa.Column("test_loss", sa.Double(), nullable=True),
        sa.Column("train_time_s", sa.BigInteger(), nullable=True),
        sa.Column("flops", sa.BigInteger(), nullable=False),
        sa.Column("params", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'finished', 'failed', 'diverged')",
            name=op.f("ck_runs_status"),
        ),
        sa.ForeignKeyConstraint(["arch_id"], ["archs.id"], name=op.f("fk_runs_arch_id_archs")),
        sa.ForeignKeyConstraint(["env_id"], ["envs.id"], name=op.f("fk_runs_env_id_envs")),
        sa.ForeignKeyConstraint(["recipe_id"], ["recipes.id"], name=op.f("fk_runs_recipe_id_recipes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("arch_id", "recipe_id", "seed", name=op.f("uq_runs_arch_id_recipe_id_seed")),
    )
    op.create_index(
        op.f("ix_runs_recipe_id_seed_arch_id"),
        "runs",
        ["recipe_id", "seed", "arch_id"],
        unique=False,
    )
    for measure in ("test_top1", "val_top1", "test_top5", "test_loss", "train_time_s"):
        op.create_index(
            op.f(f"ix_runs_{measure}_flops_params"), "runs", [measure, "flops", "params"], unique=False
        )
    op.create_index(op.f("ix_runs_flops_params"), "runs", ["flops", "params"], unique=False)
    op.create_index(op.f("ix_runs_params_flops"), "runs", ["params", "flops"], unique=False)
    op.create_table(
        "static_info",
        sa.Column("arch_id", sa.Integer(), nullable=False),
        sa.Column("flops", sa.BigInteger(), nullable=False),
        sa.Column("params", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["arch_id"], ["archs.id"], name=op.f("fk_static_info_arch_id_archs")),
        sa.PrimaryKeyConstraint("arch_id", name=op.f("pk_static_info")),
    )
    op.create_index(op.f("ix_static_info_flops"), "static_info", ["flops"], unique=False)
    op.create_index(op.f("ix_static_info_params"), "static_info", ["params"], unique=False)
    shown: list[sa.Column[float]] = [
        sa.Column(name, sa.Double(), sa.Computed(_natural(name))) for name in SHOWN
    ]
    table = "epochs" if _computes_on_reading() else "stored_epochs"
    op.create_table(
        table,
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("train_top1_milli", sa.Integer(), nullable=True),
        sa.Column("train_top5_milli", sa.Integer(), nullable=True),
        sa.Column("train_loss_micro", sa.BigInteger(), nullable=True),
        sa.Column("val_top1_milli", sa.Integer(), nullable=True),
        sa.Column("val_top5_milli", sa.Integer(), nullable=True),
        sa.Column("val_loss_micro", sa.BigInteger(), nullable=True),
        *(shown if table == "epochs" else []),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_epochs_run_id_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "epoch", name=op.f("pk_epochs")),
        sqlite_with_rowid=False,
    )
    if table != "epochs":  # a view of one table, which is written like a table
        computed = ", ".join(f"{_natural(name)} AS {name}" for name in SHOWN)
        op.execute(f"CREATE VIEW epochs AS SELECT {table}.*, {computed} FROM {table}")  # noqa: S608
    op.execute(LEADERBOARD)


def downgrade() -> None:
    """Remove all tables."""
    op.execute("DROP VIEW leaderboard")
    if "epochs" in sa.inspect(op.get_bind()).get_view_names():
        op.execute("DROP VIEW epochs")
        op.drop_table("stored_epochs")
    else:
        op.drop_table("epochs")
    op.drop_table("static_info")
    op.drop_table("runs")
    op.drop_table("latencies")
    op.drop_table("archs")
    op.drop_table("recipes")
    op.drop_table("envs")
    op.drop_table("devices")
    op.drop_table("blocks")
