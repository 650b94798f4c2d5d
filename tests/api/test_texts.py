"""What counts as a text, and the exact words for what does not."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import corten

TEXTS = ["the heart", "of a patient", "cells"]


class Text(str):
    __slots__ = ()


class Countless:
    """Iterable, without a length."""

    def __iter__(self) -> Iterator[str]:
        return iter(TEXTS)


@pytest.mark.parametrize(
    "texts",
    [
        tuple(TEXTS),
        iter(TEXTS),
        (text for text in TEXTS),
        dict.fromkeys(TEXTS).keys(),
        Countless(),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        [Text(text) for text in TEXTS],
        [np.str_(text) for text in TEXTS],
    ],
    ids=["tuple", "iterator", "generator", "keys", "no length", "numpy U", "numpy object", "subclass", "np.str_"],
)
@pytest.mark.parametrize("show_progress_bar", [False, True])
def test_iterables_of_texts(tiny: corten.Encoder, texts: Any, show_progress_bar: bool) -> None:
    if isinstance(texts, Iterator):
        texts = iter(TEXTS)  # an iterator can be used only once, the test runs twice
    assert np.array_equal(tiny.encode(texts, show_progress_bar=show_progress_bar), tiny.encode(TEXTS))


def test_a_series_of_pandas(tiny: corten.Encoder) -> None:
    for dtype in (object, "string"):
        assert np.array_equal(tiny.encode(pd.Series(TEXTS, dtype=dtype)), tiny.encode(TEXTS))
    with pytest.raises(TypeError, match=r"^texts\[1\]: expected str, got "):
        tiny.encode(pd.Series(["a", None], dtype=object))


@pytest.mark.parametrize("text", [Text("the heart"), np.str_("the heart")])
def test_one_text_may_be_a_subclass_of_str(tiny: corten.Encoder, text: str) -> None:
    assert np.array_equal(tiny.encode(text), tiny.encode("the heart"))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "b", 3], "texts[2]: expected str, got int"),
        (["a", None], "texts[1]: expected str, got NoneType"),
        ([["a", "b"]], "texts[0]: expected str, got list"),
        ([("a", "b")], "texts[0]: expected str, got tuple"),
        ([{"text": "a"}], "texts[0]: expected str, got dict"),
        ([1.5], "texts[0]: expected str, got float"),
        (["a", pathlib.PurePosixPath("b")], "texts[1]: expected str, got PurePosixPath"),
        ([b"a"], 'texts[0]: expected str, got bytes (hint: decode it first, e.g. text.decode("utf-8"))'),
        (np.array([1, 2]), "texts[0]: expected str, got int64"),
        (b"a", 'texts: expected an iterable of str, got bytes (hint: decode it first, e.g. [text.decode("utf-8")])'),
        (
            {"a": 1},
            "texts: expected an iterable of str, got dict (hint: pass its keys or values, e.g. list(texts.values()))",
        ),
        (None, "texts: expected an iterable of str, got NoneType"),
        (7, "texts: expected an iterable of str, got int"),
    ],
)
def test_what_is_not_a_text(tiny: corten.Encoder, texts: Any, message: str) -> None:
    for output_value in ("sentence_embedding", "token_embeddings"):
        with pytest.raises(TypeError) as error:
            tiny.encode(texts, output_value=output_value)
        assert str(error.value) == message


@pytest.mark.parametrize("place", [0, 7])
def test_a_lone_surrogate(tiny: corten.Encoder, place: int) -> None:
    broken = "é" * place + "\ud800" + "x"
    message = f"not valid Unicode (lone surrogate at character {place})"
    for texts, name in (([*TEXTS, broken], "texts[3]"), (broken, "texts[0]")):
        with pytest.raises(ValueError, match=r".") as error:
            tiny.encode(texts)
        assert str(error.value) == f"{name}: {message}"
    with pytest.raises(ValueError, match=r".") as error:
        tiny.encode(TEXTS, prompt=broken)
    assert str(error.value) == f"prompt: {message}"


def test_an_error_in_the_callers_iterator_comes_through(tiny: corten.Encoder) -> None:
    def texts() -> Iterator[str]:
        yield "a"
        raise LookupError("from the generator")

    with pytest.raises(LookupError, match=r"^from the generator$"):
        tiny.encode(texts())


def test_a_generator_may_encode(tiny: corten.Encoder) -> None:
    """No lock is held while the texts are read."""
    texts = (f"cell {tiny.encode(text).shape[0]}" for text in TEXTS)
    assert np.array_equal(tiny.encode(texts), tiny.encode(["cell 16"] * 3))


@pytest.mark.parametrize("text", ["", " ", " \t\n ", "\x00", "\u200b", "\x07\x1b"])
def test_texts_without_words_are_cls_and_sep(tiny: corten.Encoder, text: str) -> None:
    ids = tiny.token_ids(text)[0]
    assert ids[0] == 2
    assert ids[-1] == 3
    if not text.strip() or text == "\x00":
        assert ids == [2, 3]
        assert np.array_equal(tiny.encode(text), tiny.encode(""))
    assert np.isfinite(tiny.encode(text)).all()


def test_a_changed_list_does_not_change_the_call(tiny: corten.Encoder) -> None:
    """The texts are copied before the work begins."""
    texts = list(TEXTS) * 50
    expected = tiny.encode(texts)

    class Clearing(list[str]):
        def __len__(self) -> int:
            return 10**6

    assert np.array_equal(tiny.encode(Clearing(texts)), expected)


def test_limits_of_length(tiny: corten.Encoder) -> None:
    """Below, at and above the limit of 32 tokens, [CLS] and [SEP] included."""
    for words, tokens in ((29, 31), (30, 32), (31, 32), (500, 32)):
        assert len(tiny.token_ids("a " * words)[0]) == tokens
    assert np.array_equal(tiny.encode("a " * 31), tiny.encode("a " * 30))
    assert not np.array_equal(tiny.encode("a " * 29), tiny.encode("a " * 30))
