"""Values: said once, then only read; what `dataclasses` would make of them, made by hand.

`dataclasses` loads `inspect` and `ast` and compiles the methods of each class, which was a quarter
of the time of `import rnts`. Here a class annotates its fields, and its `__init__` fills `__dict__`
with them in the same order.
"""

TYPE_CHECKING = False  # that of `typing` would cost 10 ms; checkers of types go by the name
if TYPE_CHECKING:
    from typing import dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """Tell checkers of types what is frozen; nothing else."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Value:
    """Frozen, equal to others of its class whose fields are equal, and hashable if they are."""

    __match_args__: tuple[str, ...] = ()  # the names of the fields

    def __init_subclass__(cls) -> None:
        cls.__match_args__ = tuple(cls.__annotations__)  # type: ignore[misc]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} cannot be set: {type(self).__name__} is a value")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} cannot be deleted: {type(self).__name__} is a value")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={field!r}" for name, field in self.__dict__.items())
        return f"{type(self).__qualname__}({shown})"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), tuple(self.__dict__.values())
