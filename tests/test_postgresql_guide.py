"""The commands of docs/postgresql.md, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

import bloxdb
from bloxdb.db.connection import locate
from tests.conftest import POSTGRESQL

GUIDE = Path(__file__).parents[1] / "docs" / "postgresql.md"


@pytest.mark.slow
def test_the_guide_works_as_it_stands(golden: Path, tmp_path: Path) -> None:
    assert POSTGRESQL is not None
    url = make_url(POSTGRESQL)
    server = {
        "PGHOST": url.host or str(url.query.get("host", "")),
        "PGPORT": str(url.port or url.query.get("port", 5432)),
        "PGUSER": url.username or "",
    }
    shutil.copytree(golden / "release-tiny", tmp_path / "release")
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    engine = create_engine(locate(POSTGRESQL), isolation_level="AUTOCOMMIT")
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
            cwd=tmp_path, env={**os.environ, **server, "PATH": tools, "PYTHONPATH": str(GUIDE.parents[1])},
            capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    finally:
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS blox (FORCE)"))
            connection.execute(text("DROP ROLE IF EXISTS reader"))
        engine.dispose()
    assert "blox is whole" in done.stderr
    with bloxdb.open(tmp_path / "shared.db", read_only=True, current=False) as shared:
        assert shared.rows("SELECT count(*) AS n FROM runs") == [{"n": 42}]
    assert (tmp_path / "published" / "blox-info.blox").is_file()
    assert (tmp_path / "site" / "index.html").is_file()
    assert (tmp_path / "blox.dump").stat().st_size > 1_000_000
