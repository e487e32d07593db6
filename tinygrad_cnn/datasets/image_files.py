"""Pictures in files as data sets: found in folders of classes (`ImageFolder`) or named by a table (`ImageTable`).

The list of files is made once and checked; each picture is read when its sample is asked for, so that the data loader's
workers read ahead while the network trains.
"""

from __future__ import annotations

import csv
import hashlib
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.datasets.base import Transform
from tinygrad_cnn.datasets.pictures import ENDINGS, read_picture
from tinygrad_cnn.support.errors import DataError

__all__ = ["ImageFiles", "ImageFolder", "ImageTable", "picture_files"]

_MOST_BYTES = 1 << 28


class ImageFiles:
    """Pictures in files with a label each; sample i is (float32 (C, H, W) in [0, 1], label).

    samples    list of (path, label);  `imgs` is the same list, `targets` the labels alone
    classes    names of the labels, empty where they are no classes;  class_to_idx: the position of each name
    size       (height, width) to which every picture is scaled; None leaves each its own, and a batch then needs
               pictures of one size
    channels   1 (grey), 3 (RGB) or 4
    transform, target_transform   called on every picture and label
    loader     reads a file in another way; what it returns goes to `transform` as it is, and `size` and `channels` are
               not looked at

    An unreadable file is a DataError with its name when its sample is asked for; `unreadable()` looks at all.
    """

    def __init__(
        self, samples: Sequence[tuple[str, Any]], classes: Sequence[str] = (), transform: Transform | None = None,
        target_transform: Transform | None = None, *, size: int | tuple[int, int] | None = None, channels: int = 3,
        loader: Callable[[str], Any] | None = None,
    ) -> None:  # fmt: skip
        self.samples = list(samples)
        self.classes = tuple(classes)
        self.transform = transform
        self.target_transform = target_transform
        self.size = (size, size) if isinstance(size, int) else None if size is None else (int(size[0]), int(size[1]))
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"{type(self).__name__} expected size as (height, width) from 1 up, got {size}")
        if channels not in (1, 3, 4):
            raise ValueError(f"{type(self).__name__} expected 1, 3 or 4 channels, got {channels}")
        self.channels = channels
        self.loader = loader

    @property
    def imgs(self) -> list[tuple[str, Any]]:
        return self.samples

    @property
    def targets(self) -> list[Any]:
        return [label for _path, label in self.samples]

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, Any]:
        """Sample `index` as (input, label); negative ones count from the end. IndexError outside the set."""
        i = self._checked(index)
        path, label = self.samples[i]
        try:
            value: Any = self.loader(path) if self.loader else np.divide(self.pixels(i), 255, dtype=np.float32)
            if self.transform is not None:
                value = self.transform(value)
        except DataError:
            raise  # names the file already
        except Exception as error:
            error.add_note(f"the picture is {path}")
            raise
        return value, label if self.target_transform is None else self.target_transform(label)

    def pixels(self, index: SupportsIndex) -> npt.NDArray[np.uint8]:
        """The picture of sample `index` before any transform, uint8 (C, H, W)."""
        picture = read_picture(self.samples[self._checked(index)][0], self.channels, self.size)
        return np.ascontiguousarray(picture.transpose(2, 0, 1))

    def unreadable(self) -> list[tuple[str, str]]:
        """(path, what is wrong) of every file that cannot be read."""
        found = []
        for i, (path, _label) in enumerate(self.samples):
            try:
                self.pixels(i)
            except DataError as error:
                found.append((path, str(error)))
        return found

    def part(self, indices: Iterable[int], transform: Transform | None = None) -> ImageFiles:
        """A data set of some of these pictures, with `transform` in the place of this one's where it is given."""
        return ImageFiles(
            [self.samples[i] for i in indices], self.classes, transform or self.transform, self.target_transform,
            size=self.size, channels=self.channels, loader=self.loader,
        )  # fmt: skip

    def split(self, share: float, seed: int = 0) -> tuple[ImageFiles, ImageFiles]:
        """(most, `share` of them): of each class alike, and at least one.

        Which pictures are set apart depends on the file names and the seed, not on where the folder is. ValueError
        for a share outside 0 to 1, DataError for a class with a single picture.
        """
        if not 0 < share < 1:
            raise ValueError(f"split expected a share between 0 and 1, got {share}")
        groups: dict[Any, list[int]] = {}
        for i, (_path, label) in enumerate(self.samples):
            groups.setdefault(label if self.classes else None, []).append(i)
        apart: set[int] = set()
        for label, members in groups.items():
            if len(members) < 2:
                name = f"the class {self.classes[label]!r}" if self.classes else "the data set"
                only = self.samples[members[0]][0]
                raise DataError(f"{name} has a single picture ({only}): a split needs two or more")
            order = sorted(members, key=lambda i: self._name_hash(i, seed))
            apart.update(order[: min(len(members) - 1, max(1, round(share * len(members))))])
        return self.part(i for i in range(len(self)) if i not in apart), self.part(sorted(apart))

    def digest(self) -> str:
        """A hash of all names, labels and contents: it changes with any of the files."""
        found = hashlib.blake2b(digest_size=16)
        for path, label in self.samples:
            found.update(f"{Path(path).parent.name}/{Path(path).name}={label}\n".encode(errors="surrogateescape"))
            with open(path, "rb") as file:
                found.update(hashlib.file_digest(file, "blake2b").digest())
        return found.hexdigest()

    def _name_hash(self, i: int, seed: int) -> bytes:
        path = Path(self.samples[i][0])
        return hashlib.blake2b(f"{seed}/{path.parent.name}/{path.name}".encode(errors="surrogateescape")).digest()

    def _checked(self, index: SupportsIndex) -> int:
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} samples, got index {i}")
        return i

    def __repr__(self) -> str:
        size = "their own sizes" if self.size is None else f"{self.size[0]} × {self.size[1]}"
        return f"{type(self).__name__}({len(self):,} pictures of {size}, {len(self.classes)} classes)"


class ImageFolder(ImageFiles):
    """Pictures in a folder with a sub-folder per class, ``root/cat/1.png``; deeper folders belong to the class above.

    Args:
        root: the folder
        transform: called on every picture, float32 (C, H, W) in [0, 1]
        target_transform: called on every label
        loader: reads a file in another way, as torchvision's
        is_valid_file: decides by its path whether a file is a picture; otherwise its ending does
        allow_empty: class folders without pictures are allowed
        size: (height, width), or one number for both, that every picture is scaled to
        channels: 1 (grey), 3 (RGB) or 4
        classes: the class folders to read, in this order; all in the order of their names unless given

    Raises:
        DataError: when there is no such folder, no class folder in it, or no picture in one of them
    """

    def __init__(
        self, root: str | os.PathLike[str], transform: Transform | None = None,
        target_transform: Transform | None = None, loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False, *,
        size: int | tuple[int, int] | None = None, channels: int = 3, classes: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self.root = Path(root)
        names = _class_folders(self.root) if classes is None else tuple(classes)
        samples: list[tuple[str, Any]] = []
        empty = []
        for label, name in enumerate(names):
            if not (self.root / name).is_dir():
                raise DataError(f"{self.root} has no class folder {name!r}; it has {_some(_class_folders(self.root))}")
            paths = picture_files(self.root / name, is_valid_file)
            samples += [(path, label) for path in paths]
            if not paths:
                empty.append(name)
        if empty and not allow_empty:
            raise DataError(
                f"no picture was found in {_some(str(self.root / name) for name in empty)}: expected "
                f"files that end in {', '.join(ENDINGS)}"
            )
        super().__init__(
            samples, names, transform, target_transform, size=size, channels=channels, loader=loader
        )


class ImageTable(ImageFiles):
    """Pictures that a table names, one a row, with a class or numbers beside each.

    Args:
        table: a CSV file with a line of headings (separated by commas, semicolons or tabs), or anything that gives
            a column by its name, such as a dict of lists or a pandas DataFrame
        folder: where relative file names start; the table's own folder unless given
        x_col: heading of the file names
        y_col: heading of the labels; with ``numbers``, one or several headings
        numbers: the labels are numbers to predict, a float32 array (1,) or (columns,), and no classes
        classes: names of the classes, in this order; those in the table, sorted, unless given
        transform: called on every picture, float32 (C, H, W) in [0, 1]
        target_transform: called on every label
        size: (height, width), or one number for both, that every picture is scaled to
        channels: 1 (grey), 3 (RGB) or 4
        loader: reads a file in another way

    Raises:
        DataError: for a table that is missing, damaged, has no such column or no row, and for a file that is not there,
            with its line
    """

    def __init__(
        self, table: str | os.PathLike[str] | Any, folder: str | os.PathLike[str] | None = None,
        x_col: str = "filename", y_col: str | Sequence[str] = "class", *, numbers: bool = False,
        classes: Sequence[str] | None = None, transform: Transform | None = None,
        target_transform: Transform | None = None, size: int | tuple[int, int] | None = None, channels: int = 3,
        loader: Callable[[str], Any] | None = None,
    ) -> None:  # fmt: skip
        named = isinstance(table, (str, os.PathLike))
        name = str(table) if named else "the table"
        headings = [y_col] if isinstance(y_col, str) else list(y_col)
        if not numbers and len(headings) != 1:
            raise ValueError(f"ImageTable expected one column of classes, got {headings}: several are for numbers=True")
        columns = _read_table(Path(table), [x_col, *headings]) if named else _columns(table, [x_col, *headings])
        base = Path(folder) if folder is not None else Path(table).parent if named else Path()
        paths = [_existing(base, file, name, row) for row, file in enumerate(columns[0], 2)]
        if not paths:
            raise DataError(f"{name} names no picture: it has headings and no row")
        labels: list[Any]
        names: tuple[str, ...] = ()
        if numbers:
            labels = _numbers(columns[1:], headings, name)
        else:
            given = [str(value).strip() for value in columns[1]]
            names = tuple(str(c) for c in classes) if classes is not None else _sorted_classes(given)
            position = {c: i for i, c in enumerate(names)}
            for row, value in enumerate(given, 2):
                if value not in position:
                    raise DataError(f"{name}, line {row}: expected one of the classes {_some(names)}, got {value!r}")
            labels = [position[value] for value in given]
        super().__init__(
            list(zip(paths, labels)), names, transform, target_transform, size=size, channels=channels, loader=loader
        )


def picture_files(folder: str | os.PathLike[str], is_valid_file: Callable[[str], bool] | None = None) -> list[str]:
    """The pictures in a folder and the folders below it, sorted by name; hidden ones are left out."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(files):
            path = os.path.join(place, name)
            valid = is_valid_file(path) if is_valid_file else name.lower().endswith(ENDINGS) and not _hidden(name)
            if valid:
                found.append(path)
    return found


def _class_folders(root: Path) -> tuple[str, ...]:
    try:
        entries = sorted(root.iterdir())
    except FileNotFoundError as error:
        raise DataError(f"there is no folder {root}") from error
    except OSError as error:
        raise DataError(f"the folder {root} cannot be read: {error.strerror or error}") from error
    names = tuple(path.name for path in entries if path.is_dir() and not _hidden(path.name))
    if not names:
        loose = sum(path.suffix.lower() in ENDINGS for path in entries)
        what = f"{loose} pictures and no folder" if loose else "no folder"
        raise DataError(
            f"{root} holds {what}: expected a sub-folder per class with its pictures ({root / 'cat' / '1.png'})"
        )
    return names


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _read_table(path: Path, headings: list[str]) -> list[list[str]]:
    """The columns of these headings. A row is a line here, so that errors name it."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is larger than {_MOST_BYTES >> 20} MB: cut it into several tables")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"there is no table {path}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no table of text in UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise DataError(f"the table {path} cannot be read: {error.strerror or error}") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} is no table of comma-separated values: {error}") from error
    if not rows:
        raise DataError(f"{path} is empty: expected a line of headings, then a row per picture")
    head = [cell.strip() for cell in rows[0]]
    places = [_place(head, name, str(path)) for name in headings]
    kept = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
    for number, row in kept:
        if len(row) != len(head):
            raise DataError(f"{path}, line {number}: expected {len(head)} values as in the headings, got {len(row)}")
    return [[row[place] for _number, row in kept] for place in places]


def _place(head: Sequence[str], name: str, table: str) -> int:
    if name not in head:
        raise DataError(f"{table} has no column {name!r}; its columns are {_some(head)}")
    return list(head).index(name)


def _columns(table: Any, headings: list[str]) -> list[list[Any]]:
    names = list(table.keys() if isinstance(table, Mapping) else getattr(table, "columns", ()))
    for name in headings:
        _place([str(n) for n in names], name, "the table")
    columns = [list(table[name]) for name in headings]
    if len({len(column) for column in columns}) > 1:
        raise DataError(f"the table's columns {_some(headings)} differ in length: {[len(c) for c in columns]}")
    return columns


def _existing(base: Path, file: Any, table: str, row: int) -> str:
    path = base / str(file).strip()
    try:
        there = bool(str(file).strip()) and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise DataError(f"{table}, line {row}: there is no file {str(path)!r}")
    return str(path)


def _numbers(columns: Sequence[Sequence[Any]], headings: Sequence[str], table: str) -> list[Any]:
    try:
        values = np.array([[float(v) for v in column] for column in columns], np.float32).T
    except (TypeError, ValueError) as error:
        raise DataError(f"{table}: expected numbers in {_some(headings)}: {error}") from error
    return list(np.ascontiguousarray(values))


def _sorted_classes(values: Sequence[str]) -> tuple[str, ...]:
    """In the order of numbers where all of them are some, "10" behind "9"; otherwise that of words."""
    names = sorted(set(values))
    if all(name.isascii() and name.isdecimal() for name in names):
        names.sort(key=lambda name: len(name.lstrip("0")))
    return tuple(names)


def _some(names: Iterable[str], most: int = 5) -> str:
    """A few names for a message."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(map(str, listed[:most])) or "none") + more
