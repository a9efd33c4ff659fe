"""Joules are what the machine counted, wherever its counters go round, and absent where it counts none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from craton.training.tracking.energy import Meter
from craton.training.tracking.environment import Cost, environment

RANGE = 10_000_000  # microjoules
LIBRARY = """
static unsigned long long spent[2] = {5000, 70000};
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  *device = &spent[index % 2];
  return index > 1 ? 2 : 0;
}
int nvmlDeviceGetHandleByUUID(const char *name, void **device) { *device = &spent[1]; return name[0] == 'G' ? 0 : 2; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {
  *energy = *(unsigned long long *)device += device == spent ? 1500 : 250;
  return 0;
}
"""
"""NVML's functions by its header: two devices that spend 1.5 and 0.25 joules between two looks."""


def zone(tree: Path, path: str, name: str, energy: int) -> Path:
    found = tree / path
    found.mkdir(parents=True)
    for file, value in (("name", name), ("max_energy_range_uj", RANGE), ("energy_uj", energy)):
        (found / file).write_text(f"{value}\n")
    return found / "energy_uj"


def meter(tree: Path) -> Meter:
    return Meter(tree, "libnothing.so.0")


def test_packages_add_up_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 4_000_000)
    others = [("intel-rapl:0:0", "core"), ("intel-rapl:2", "psys"), ("intel-rapl-mmio:0", "package-0")]
    counted_elsewhere = [zone(tmp_path, path, name, 0) for path, name in others]
    found = meter(tmp_path)
    first.write_text("3500000")
    second.write_text("5000000")
    for counter in counted_elsewhere:
        counter.write_text("9000000")
    assert found.joules() == {"joules": 3.5}


def test_a_counter_that_goes_round_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000)
    found = meter(tmp_path)
    counter.write_text("500000")
    assert found.joules() == {"joules": 1.5}
    for energy in (9_500_000, 0):  # looked at in between
        counter.write_text(str(energy))
        found.joules()
    assert found.joules() == {"joules": 11.0}


def test_what_is_not_told_is_absent(tmp_path: Path) -> None:
    assert meter(tmp_path / "none").joules() == {}
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    zone(tmp_path, "intel-rapl:1", "package-1", 1).write_text("no number")
    found = meter(tmp_path)
    assert found.joules() == {"joules": 0.0}
    counter.unlink()
    assert found.joules() == {}


def test_a_cost_has_its_joules(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    cost = Cost(tmp_path)
    counter.write_text("2500000")
    assert cost.so_far()["joules"] == 2.5
    assert cost.so_far().keys() >= {"seconds", "processor_seconds"}
    assert environment()["cores"] >= 1


@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles a small library")
def test_graphics_processors_tell_theirs(tmp_path: Path) -> None:
    source, library = tmp_path / "nvml.c", str(tmp_path / "libnvml.so")
    source.write_text(LIBRARY)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, str(source)], check=True)
    seen = {
        chosen: Meter(tmp_path / "none", library, {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}).joules()
        for chosen in (None, "0", "GPU-1f", "", "7")
    }
    both, one = {"gpu_joules": 1.8}, {"gpu_joules": 1.5}
    assert seen == {None: both, "0": one, "GPU-1f": {"gpu_joules": 0.2}, "": {}, "7": {}}
