"""The settings of an agent's spool."""

from typing import Literal

from rnts.settings_fields import Folder, Section, setting, whole


class SpoolSettings(Section):
    """What an agent keeps on disk when memory does not reach."""

    folder: Folder = setting(
        "folder of the spools; null is the state folder",
        "an absolute path or null",
        example="/var/lib/rnts",
    )
    bytes_max: int = whole(
        0, 1 << 44, "disk for frames that memory does not hold; beyond it they are lost; 0 is off"
    )
    segment_bytes: int = whole(1 << 16, 1 << 30, "size at which a file of the spool is full")
    sync: Literal["none", "segment", "entry"] = setting(
        "what is waited for until it would outlive a power cut; a kill loses nothing either way"
    )
