"""Tells how much of a GPU each process uses, where there is an NVIDIA one and `nvidia-ml-py`.

The driver speaks of process numbers as the outermost namespace has them, so inside a container it
is not asked: it would name strangers.
"""

import importlib
import os
from typing import Any

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of include/uapi/linux/nsfs.h


class GpuUsage:
    """The GPUs of this machine; `reason` says why there is none to ask."""

    def __init__(self) -> None:
        self.reason = ""
        self._library: Any = None
        self._devices: list[Any] = []
        self._seen_us: list[int] = []
        self._start()

    @property
    def is_available(self) -> bool:
        """Whether any GPU can be asked."""
        return bool(self._devices)

    def read(self) -> dict[int, float]:
        """Percent of one GPU that each process used since the last call, added up over GPUs.

        A process that holds a GPU without using it has 0; one that holds none is not there.
        """
        usage: dict[int, float] = {}
        for index, device in enumerate(self._devices):
            for pid, percent in self._read_device(index, device).items():
                usage[pid] = usage.get(pid, 0.0) + percent
        return usage

    def close(self) -> None:
        """Let go of the driver."""
        if self._library is not None:
            self._library.nvmlShutdown()
            self._library = None
            self._devices = []

    def _start(self) -> None:
        try:
            library = importlib.import_module("pynvml")
        except ImportError:
            self.reason = "nvidia-ml-py is not installed"
            return
        try:
            if _pid_namespace() != _INITIAL_PID_NAMESPACE:
                self.reason = "process numbers of a container are not those of the driver"
                return
        except OSError as error:
            self.reason = f"the namespace of process numbers is unknown: {error}"
            return
        try:
            library.nvmlInit()
        except library.NVMLError as error:
            self.reason = f"no NVIDIA driver: {error}"
            return
        self._library = library
        try:
            count = library.nvmlDeviceGetCount()
            self._devices = [library.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        except library.NVMLError as error:
            self.close()
            self.reason = f"the GPUs cannot be listed: {error}"
            return
        self._seen_us = [0] * len(self._devices)
        self.reason = "" if self._devices else "there is no GPU"

    def _read_device(self, index: int, device: Any) -> dict[int, float]:
        library = self._library
        usage: dict[int, float] = {}
        try:
            for process in (
                *library.nvmlDeviceGetComputeRunningProcesses(device),
                *library.nvmlDeviceGetGraphicsRunningProcesses(device),
            ):
                usage[process.pid] = 0.0
            samples = library.nvmlDeviceGetProcessUtilization(device, self._seen_us[index])
        except library.NVMLError as error:
            # Nobody used it since the last call, which pynvml may call an error "success"; or it
            # cannot tell, and then nothing is known.
            nobody = (library.NVML_SUCCESS, library.NVML_ERROR_NOT_FOUND)
            return usage if error.value in nobody else {}
        newest: dict[int, int] = {}
        for sample in samples:
            if sample.timeStamp > newest.get(sample.pid, 0):
                newest[sample.pid] = sample.timeStamp
                usage[sample.pid] = float(sample.smUtil)
        self._seen_us[index] = max([self._seen_us[index], *newest.values()])
        return usage


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
