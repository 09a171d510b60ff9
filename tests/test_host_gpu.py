"""GPU shares of processes, from a driver that is played by this test."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from host_tools import Facts, Machine

from rnts import host_gpu
from rnts.host_gpu import GpuUsage


class NVMLError(Exception):
    """As in pynvml: the code is in `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value


class Driver:
    """The part of pynvml that is used, for two GPUs."""

    NVMLError = NVMLError
    NVML_SUCCESS, NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NOT_FOUND = 0, 3, 6

    def __init__(self) -> None:
        self.init_error = 0
        self.count_error = 0
        self.is_open = False
        self.compute: list[list[int]] = [[5, 6], [5]]
        self.graphics: list[list[int]] = [[7], []]
        self.samples: list[Any] = [[(5, 100, 30), (5, 90, 99), (6, 80, 10)], [(5, 100, 20)]]
        self.asked_since: list[int] = []

    def nvmlInit(self) -> None:
        """Open the driver."""
        if self.init_error:
            raise NVMLError(self.init_error)
        self.is_open = True

    def nvmlShutdown(self) -> None:
        """Close it."""
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:
        """How many GPUs there are."""
        if self.count_error:
            raise NVMLError(self.count_error)
        return len(self.compute)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        """The number serves as the handle."""
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        """Processes that compute."""
        return [SimpleNamespace(pid=pid) for pid in self.compute[handle]]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        """Processes that draw."""
        return [SimpleNamespace(pid=pid) for pid in self.graphics[handle]]

    def nvmlDeviceGetProcessUtilization(self, handle: int, since_us: int) -> list[SimpleNamespace]:
        """Samples since a time; a number instead of samples is an error."""
        self.asked_since.append(since_us)
        samples = self.samples[handle]
        if isinstance(samples, int):
            raise NVMLError(samples)
        return [SimpleNamespace(pid=p, timeStamp=t, smUtil=u) for p, t, u in samples]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A machine outside all containers whose driver is played."""
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    outermost = host_gpu._INITIAL_PID_NAMESPACE
    monkeypatch.setattr(host_gpu, "_pid_namespace", lambda: outermost)
    return driver


def test_shares_are_the_newest_and_add_up(driver: Driver) -> None:
    """Per GPU the newest sample of a process counts; a process on two GPUs can pass 100 %."""
    gpu = GpuUsage()
    assert gpu.is_available and gpu.reason == ""
    assert gpu.read() == {5: 50.0, 6: 10.0, 7: 0.0}
    driver.samples = [Driver.NVML_ERROR_NOT_FOUND, Driver.NVML_SUCCESS]
    assert gpu.read() == {5: 0.0, 6: 0.0, 7: 0.0}
    assert driver.asked_since == [0, 0, 100, 100]
    gpu.close()
    gpu.close()
    assert not driver.is_open and not gpu.is_available and gpu.read() == {}


def test_a_gpu_that_cannot_tell_tells_nothing(driver: Driver) -> None:
    """What is not measured is absent, not zero."""
    driver.samples = [Driver.NVML_ERROR_NOT_SUPPORTED, [(5, 100, 20)]]
    assert GpuUsage().read() == {5: 20.0}


def test_reasons_for_no_gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each obstacle is named, and none is an error."""
    driver.compute = driver.graphics = []
    assert GpuUsage().reason == "there is no GPU"
    driver.count_error = 999
    assert GpuUsage().reason.startswith("the GPUs cannot be listed")
    assert not driver.is_open
    driver.init_error = 12
    assert GpuUsage().reason.startswith("no NVIDIA driver")
    monkeypatch.setattr(host_gpu, "_pid_namespace", lambda: 4026532000)
    assert "container" in GpuUsage().reason

    def refuse() -> int:
        raise PermissionError("forbidden")

    monkeypatch.setattr(host_gpu, "_pid_namespace", refuse)
    assert "unknown" in GpuUsage().reason

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert GpuUsage().reason == "nvidia-ml-py is not installed"


def test_the_share_is_recorded(driver: Driver, tmp_path: Path) -> None:
    """A process that holds a GPU carries its share in each record; others have none."""
    machine = Machine(tmp_path)
    gpu = GpuUsage()
    machine.source._gpu = gpu
    for pid in (5, 8):
        machine.put(pid, Facts())
    machine.beat()
    assert (machine.notes.take("work[5]") or {})["gpu_usage_percent"] == 50.0
    assert "gpu_usage_percent" not in (machine.notes.take("work[8]") or {"gpu_usage_percent": 0})
    machine.source.close()
    assert not driver.is_open
