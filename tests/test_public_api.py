"""What the package shows to the outside."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import bloxdb


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a new interpreter has after running `code`."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_public_name_is_there_and_documented() -> None:
    for name in bloxdb.__all__:
        found = getattr(bloxdb, name)
        assert not isinstance(found, types.ModuleType)
        assert name == "__version__" or found.__doc__, name
    assert sorted(bloxdb.__all__) == bloxdb.__all__
    assert set(bloxdb.__all__) < set(dir(bloxdb))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bloxdb.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code", ["import bloxdb", "import bloxdb; bloxdb.top; bloxdb.codecs.read; bloxdb.import_release"]
)
def test_the_library_loads_no_torch_rich_or_click(code: str) -> None:
    assert not loaded_after(code) & {"torch", "rich", "click", "alembic", "sklearn", "trainer"}


def test_the_command_line_loads_no_torch() -> None:
    assert not loaded_after("import bloxdb.cli") & {"torch", "sklearn", "trainer"}
