"""Where workers train: kinds of device, places, and what each is called."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bloxdb.trainer import devices
from bloxdb.trainer.graphs import are_used
from bloxdb.trainer.loop import _rate_on, _Sums
from bloxdb.trainer.recipe import default_recipe

import bloxdb
from tests.trainer.helpers import ROOT, some_digits

DESCRIBED = {"gpu", "cuda", "driver"}


def there() -> list[str]:
    """The kinds of which this machine has one."""
    return [name for name, kind in devices.KINDS.items() if kind.count()]


@pytest.mark.parametrize("device", ["tpu", "tpu:1", "", "CPU"])
def test_a_kind_that_is_unknown_is_refused_with_the_choices(device: str) -> None:
    choices = ", ".join(devices.KINDS)
    with pytest.raises(bloxdb.QueryError, match=f"there is no device .*; choose one of: {choices}"):
        devices.kind_of(device)


def test_the_kind_is_that_of_the_name_with_and_without_a_number() -> None:
    assert "cpu" in there()
    for name in there():
        for device in (name, f"{name}:0", torch.device(name), torch.device(f"{name}:0")):
            assert devices.kind_of(device) is devices.KINDS[name]
    with pytest.raises(bloxdb.QueryError, match="there is no device 'meta'"):
        devices.kind_of(torch.device("meta"))


def test_every_kind_that_is_there_describes_itself_waits_and_frees() -> None:
    for name in there():
        kind = devices.kind_of(name)
        found = kind.describe(torch.device(name))
        assert set(found) == DESCRIBED
        assert all(isinstance(text, str) for text in found.values())
        assert found["gpu"]
        kind.synchronise()
        kind.free()


WITHOUT_GPUS = """
import torch
from bloxdb.errors import QueryError
from bloxdb.trainer.devices import Place, kind_of, places

for ask in (
    lambda: kind_of("cuda"),
    lambda: kind_of(torch.device("cuda:1")),
    lambda: places("all", 1, None),
    lambda: places("0", 1, None),
    lambda: places("0,2", 1, None),
    lambda: places("first", 1, None),
    lambda: places("", 1, 1),
):
    try:
        print(ask())
    except QueryError as error:
        print(error)
print(places(None, 1, 3) == places("none", 1, 3) == [Place("cpu", 3)])
"""


@pytest.mark.parametrize(
    "gpus", ["²", "0,²", "१", "-1", "+0", "0,,1", ",", "1_0", "0x0", "9" * 30, "9" * 5000, "first", " "]
)
def test_what_is_no_number_of_a_gpu_is_refused_with_what_can_be_said(gpus: str) -> None:
    with pytest.raises(bloxdb.QueryError, match="--gpus is all, none, or numbers such as 0,2, not '"):
        devices.places(gpus, 1, None)


@pytest.mark.slow
def test_gpus_that_are_not_there_are_refused_and_the_cpu_is_taken_where_nothing_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_GPUS],
        capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    no_device = "this machine has no cuda device that torch can use; choose cpu"
    no_gpus = "this machine has 0 GPUs that torch can use; train on the CPU with --gpus none"
    assert done.stdout.splitlines() == [
        *[no_device] * 2,
        *[no_gpus] * 3,
        "--gpus is all, none, or numbers such as 0,2, not 'first'",
        no_gpus,
        "True",
    ]


@pytest.mark.parametrize(
    ("gpus", "count", "numbers"),
    [("all", 3, [0, 1, 2]), ("0", 1, [0]), ("2", 3, [2]), ("0,2", 3, [0, 2]), ("2, 0", 3, [2, 0])],
)
def test_gpus_are_chosen_by_their_numbers(gpus: str, count: int, numbers: list[int]) -> None:
    assert devices._numbers(gpus, count) == numbers


@pytest.mark.parametrize("gpus", ["3", "0,3", "all", "1"])
def test_a_number_that_no_gpu_has_is_refused_with_how_many_there_are(gpus: str) -> None:
    count = {"3": 3, "0,3": 3, "all": 0, "1": 1}[gpus]
    with pytest.raises(bloxdb.QueryError, match=f"has {count} GPUs"):
        devices._numbers(gpus, count)


@pytest.mark.parametrize("gpus", ["x", "0,x", "-1", "0;1", "1.0", ",", "0,"])
def test_what_names_no_gpus_is_refused(gpus: str) -> None:
    with pytest.raises(bloxdb.QueryError, match="--gpus is all, none, or numbers such as 0,2, not"):
        devices._numbers(gpus, 4)


def test_workers_share_the_cores_where_images_are_worth_it() -> None:
    cores = os.cpu_count() or 1
    for workers in (1, 2, cores, 2 * cores + 1):
        assert devices.places("none", workers, None) == [devices.Place("cpu", None)] * workers
        for count in (1, 45_000):
            large, small = (
                torch.zeros(1, dtype=torch.uint8).expand(count, 3, side, side) for side in (32, 8)
            )
            assert devices.threads_for(large, workers) == max(1, cores // workers)
            assert devices.threads_for(small, workers) == 1
    assert devices.places("none", 2, 5) == [devices.Place("cpu", 5)] * 2


def test_the_digits_are_small_images() -> None:
    assert devices.threads_for(some_digits().train.images, 1) == 1


def test_settling_sets_the_threads_of_the_process() -> None:
    before = torch.get_num_threads()
    try:
        devices.Place("cpu", 1).settle()
        assert torch.get_num_threads() == 1
        devices.Place("cpu").settle()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA"), True),
        (RuntimeError("CUDA error: Out of Memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError(""), False),
    ],
)
def test_want_of_memory_is_told_from_other_errors(error: BaseException, expected: bool) -> None:
    assert devices.is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True),
        (RuntimeError("CUDA error: unspecified launch failure"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA error"), False),
    ],
)
def test_a_device_that_fails_is_told_from_what_it_was_given(error: BaseException, expected: bool) -> None:
    assert devices.is_of_a_device(error) is expected


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64"}])
def test_memory_of_a_gpu_can_grow_unless_the_environment_says_otherwise(given: dict[str, str]) -> None:
    names = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    code = f"import os; from bloxdb.trainer.devices import Place; Place('cpu').settle(); print([os.environ.get(n) for n in {names}])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env={**environment, **given}
    )  # fmt: skip
    expected = [None, given[names[1]]] if given else ["expandable_segments:True", None]
    assert done.stdout.strip() == str(expected)


def test_a_program_that_is_not_there_or_fails_prints_nothing() -> None:
    assert devices.run("echo", "a b") == "a b\n"
    assert devices.run("no-such-program-of-ours") == ""
    assert devices.run("false") == ""


# What is no question of a device: torch's settings of CUDA and its version, which are there on any machine,
# and the type of a dataclass's field.
OF_TORCH = {"switches.py": {"backends.cuda"}, "environment.py": {"version.cuda"}, "recipe.py": {"one.type"}}
KIND_NAMES = {"cpu", *devices.KINDS, "mps", "xpu"}


def asked_of_devices(path: Path) -> set[str]:
    """What a module says of kinds of device in code: `.type`, `is_cuda`, `torch.cuda`, and names as texts.

    That a tensor is brought to the processor, ``.cpu()``, asks nothing.
    """
    tree, found = ast.parse(path.read_text()), set()
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if node.attr == "type" or node.attr.removeprefix("is_") in KIND_NAMES - {"cpu"}:
                found.add(f"{owner}.{node.attr}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            found |= {node.value} if node.value.partition(":")[0] in KIND_NAMES else set()
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "trainer").glob("*.py")), ids=lambda path: path.name)
def test_no_other_module_asks_what_kind_a_device_is(path: Path) -> None:
    asked = asked_of_devices(path)
    if path.name == "devices.py":
        assert asked >= {"device.type", "torch.cuda", "cpu", "cuda"}
    else:
        assert asked == OF_TORCH.get(path.name, set())


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch) -> devices.Kind:
    """A line for another kind of GPU, of which there are two."""
    kind = devices.Kind(
        count=lambda: 2,
        synchronise=lambda: None,
        free=lambda: None,
        describe=lambda device: {"gpu": "another", "cuda": "", "driver": ""},
        choose=lambda device: None,
        sums=torch.float32,
    )
    monkeypatch.delitem(devices.KINDS, "cuda")
    monkeypatch.setitem(devices.KINDS, "mps", kind)
    return kind


def test_another_kind_is_a_line(mps: devices.Kind) -> None:
    assert devices.kind_of("mps:1") is devices.kind_named(torch.device("mps")) is mps
    assert [place.device for place in devices.places(None, 1, None)] == ["mps:0", "mps:1"]
    assert [place.device for place in devices.places("1", 2, None)] == ["mps:1"] * 2
    assert [place.device for place in devices.places("none", 1, None)] == ["cpu"]
    assert devices.name_of("mps:1") == "another"
    with pytest.raises(bloxdb.QueryError, match="leave --graphs out where a mps computes"):
        are_used(torch.device("mps"), default_recipe("digits", 1), True)
    assert isinstance(_rate_on(torch.device("cpu"), 0.5), float)


def test_sums_are_of_the_type_that_the_kind_has(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert _Sums(cpu).sums.dtype == torch.float64
    monkeypatch.setitem(devices.KINDS, "cpu", replace(devices.KINDS["cpu"], sums=torch.float32))
    sums = _Sums(cpu)
    sums.send()
    assert sums.sums.dtype == torch.float32
    assert not sums.is_known_to_diverge
