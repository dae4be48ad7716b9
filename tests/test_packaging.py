"""What is built from the project: the sdist, the wheel made from it, what they say of themselves, and what they hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from bloxdb import space

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Where each folder of the sources lies once it is installed.
INSTALLED = {"bloxdb": "bloxdb", "trainer": "bloxdb/trainer", "migrations": "bloxdb/_migrations"}
FOLDERS = {*INSTALLED, ".ci", "benchmarks", "docs", "examples", "tests"}
TOP_FILES = {
    ".gitattributes", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in",
    "Makefile", "README.md", "alembic.ini", "constraints.txt", "pyproject.toml",
}  # fmt: skip
BUILT = (".c", ".pyc", ".so")


def sources(folder: str) -> set[str]:
    """The files of a folder as a fresh clone has it."""
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in paths if path.suffix not in BUILT}


def python(*arguments: object, cwd: Path, path: Path | None = None) -> str:
    """What a new interpreter prints, which starts away from the sources."""
    environment = {key: value for key, value in os.environ.items() if key not in ("BLOXDB_URL", "PYTHONPATH")}
    if path:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    python("-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a user's pip makes it: from the sdist; but for the compiler's patience with the kernels."""
    folder = tmp_path_factory.mktemp("wheel")
    settings = sdist / "pyproject.toml"
    settings.write_text(settings.read_text().replace('"-O3"', '"-O0"'))
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, sdist, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def metadata(site: Path) -> Message:
    (path,) = site.glob("*.dist-info/METADATA")
    return message_from_string(path.read_text())


@pytest.mark.slow
def test_the_sdist_is_the_whole_project_and_nothing_that_was_built(sdist: Path) -> None:
    made = {"PKG-INFO", "setup.cfg", "bloxdb.egg-info"}  # by setuptools
    assert {path.name for path in sdist.iterdir()} == FOLDERS | TOP_FILES | made
    for folder in FOLDERS:
        held = {str(path.relative_to(sdist)) for path in (sdist / folder).rglob("*") if path.is_file()}
        assert held == sources(folder)
    assert os.access(sdist / ".ci" / "check", os.X_OK)


@pytest.mark.slow
def test_the_wheel_puts_one_package_into_site_packages(site: Path) -> None:
    assert {path.name for path in site.iterdir()} == {"bloxdb", f"bloxdb-{PROJECT['version']}.dist-info"}


@pytest.mark.slow
def test_the_wheel_has_every_module_and_every_kernel_compiled(site: Path) -> None:
    modules, kernels = 0, 0
    for folder, package in INSTALLED.items():
        for source in map(Path, sources(folder)):
            installed = site / package / source.relative_to(folder)
            if source.suffix == ".py":
                modules += 1
                assert installed.read_bytes() == (ROOT / source).read_bytes(), source
            elif source.suffix == ".pyx":
                kernels += 1
                assert len(list(installed.parent.glob(f"{source.stem}.*.so"))) == 1, source
    assert modules > 80
    assert kernels > 5


@pytest.mark.slow
def test_the_wheel_has_the_files_that_are_no_modules(site: Path) -> None:
    assert (site / "bloxdb" / "space" / "hashes.bin").read_bytes() == space.all_digests().tobytes()
    assert (site / "bloxdb" / "py.typed").is_file()
    assert "def upgrade" in (site / "bloxdb" / "_migrations" / "script.py.mako").read_text()
    assert {path.suffix for path in site.rglob("bloxdb/**/*.*")} == {
        ".bin", ".css", ".html", ".js", ".mako", ".md", ".pxd", ".py", ".pyi", ".pyx", ".so", ".svg", ".txt", ".typed",
    }  # fmt: skip
    page = ROOT / "bloxdb" / "web" / "site"
    for path in (path for path in page.rglob("*") if path.is_file()):
        assert (site / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_the_wheel_works_where_there_are_no_sources(site: Path, tmp_path: Path) -> None:
    code = "import bloxdb, bloxdb.trainer, bloxdb._migrations as m; print(bloxdb.__file__, bloxdb.trainer.__file__, m.__file__)"
    for place in python("-c", code, cwd=tmp_path, path=site).split():
        assert Path(place).is_relative_to(site)
    database = tmp_path / "wheel.db"
    assert f"created {database}" in python("-m", "bloxdb", "init", "--db", database, cwd=tmp_path, path=site)
    python("-m", "bloxdb", "upgrade", "--db", database, cwd=tmp_path, path=site)
    count = python(
        "-m",
        "bloxdb",
        "sql",
        "--db",
        database,
        "SELECT count(*) AS n FROM archs",
        "--json",
        cwd=tmp_path,
        path=site,
    )
    assert str(space.NUM_ARCHS) in count


@pytest.mark.slow
def test_the_metadata_say_where_the_project_lives_and_what_it_runs_on(metadata: Message) -> None:
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} == set(urls)
    assert all(url.startswith("https://") for url in urls.values())
    classifiers = metadata.get_all("Classifier", [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} < set(classifiers)
    assert [line for line in classifiers if line.startswith("Operating System")] == [
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
    ]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text()


def test_the_readme_has_no_link_that_a_package_index_cannot_follow() -> None:
    readme = (ROOT / "README.md").read_text()
    code = r"^```.*?^```|^    .*?$|`[^`\n]*`"
    readme = re.sub(code, "", readme, flags=re.MULTILINE | re.DOTALL)
    definitions = dict(re.findall(r"^\[(.+?)\]: (\S+)$", readme, flags=re.MULTILINE))
    named = re.findall(r"\[([^\]\n]+)\](?![\(:\[])", readme)
    assert set(named) == set(definitions)
    targets = [*definitions.values(), *re.findall(r"\]\(([^)]+)\)", readme)]
    assert len(targets) >= 7
    assert all(target.startswith("https://") for target in targets)
    ours = f"{PROJECT['urls']['Homepage']}/blob/main/"
    files = [target.removeprefix(ours) for target in targets if target.startswith(ours)]
    assert len(files) >= 7
    assert all((ROOT / file).is_file() for file in files)


def test_the_readme_opens_with_pictures_that_are_there() -> None:
    readme = (ROOT / "README.md").read_text()
    names = re.findall(r"!\[[^\]]{20,}\]\[(\S+?)\]", readme.split("\n\n")[1])
    assert len(names) == 2
    for name in names:
        url = f"https://raw.githubusercontent.com/bloxdb/bloxdb/main/docs/images/{name}"
        assert f"[{name}]: {url}\n" in readme
        assert (ROOT / "docs" / "images" / name).is_file()


def test_pictures_of_documents_are_small_and_said_in_words() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    assert max(pictures.values()) < 150_000
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(path.read_text() for path in documents)
    shown = re.findall(r"!\[[^\]]{10,}\]\(images/(\S+?)\)", text)
    assert set(shown) == set(pictures)


def test_the_readmes_first_screen_says_where_the_data_are_and_under_which_licence() -> None:
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:30])
    readme = (ROOT / "README.md").read_text()
    assert "[releases page]" in screen
    assert "[releases page]: https://github.com/SamsungLabs/blox/releases/tag/v1.0.0\n" in readme
    assert "CC BY-NC 4.0" in screen
    for kind in ("blox-info", "blox-base-SEED", "blox-ext-SEED", "blox-env-SEED", "blox-bench-DEVICE"):
        assert f"`{kind}`" in screen, kind


def test_hints_name_what_pip_can_install_without_a_checkout() -> None:
    """Which extras are asked for is looked at in tests/test_extras.py."""
    named = set()
    for folder in ("bloxdb", "trainer"):
        for path in (ROOT / folder).rglob("*.py"):
            for what in re.findall(r"pip install (-\S+ \S+\b|'[^']*'|\S+)", path.read_text()):
                of_any = what == "'bloxdb[{extra}]'" and path.name == "extras.py"
                assert of_any or what == "-U bloxdb" or re.fullmatch(r"'bloxdb\[[a-z]+\]'", what), (
                    f"{path}: {what}"
                )
                named.add(what)
    assert named >= {"-U bloxdb", "'bloxdb[{extra}]'"}


@pytest.mark.slow
def test_python_m_bloxdb_is_the_command(tmp_path: Path) -> None:
    output = python("-m", "bloxdb", "--help", cwd=tmp_path)
    assert output.startswith("Usage: python -m bloxdb [OPTIONS] COMMAND")
    assert PROJECT["version"] in python("-m", "bloxdb", "--version", cwd=tmp_path)


def test_make_help_lists_every_target_with_its_comment() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = dict(re.findall(r"^([a-z]+): *## (.+)$", makefile, flags=re.MULTILINE))
    assert {"help", "test", "ci"} <= set(targets)
    assert set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE)) == set(targets)
    assert set(makefile.partition(".PHONY: ")[2].splitlines()[0].split()) == set(targets)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("MAKE")
    }  # as without `make test`
    done = subprocess.run(["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()] == [
        list(pair) for pair in targets.items()
    ]
