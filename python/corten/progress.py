"""A progress bar over texts. tqdm is imported only where a bar is shown."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(total: int | None, *, show: bool) -> Iterator[Callable[[int], None] | None]:
    """Yields a function to be told how many texts are finished, or None where no bar is shown.

    Without a `total` the bar counts but has no end.
    """
    if not show:
        yield None
        return
    from tqdm.auto import tqdm  # noqa: PLC0415  importing tqdm costs more than importing corten

    with tqdm(total=total, desc="Encoding", unit="text") as bar:

        def advance(finished: int) -> None:
            bar.update(finished - bar.n)

        yield advance
