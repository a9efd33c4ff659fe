"""Pictures in a dataset: of one size, refused by row and column before more is decoded than may be."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pytest.importorskip("PIL")
pytest.importorskip("sklearn")

from PIL import Image  # noqa: E402

from craton.core.errors import InvalidRequest, TooLarge  # noqa: E402
from craton.core.predicting import Field  # noqa: E402
from craton.engines.predictor.pictures import NoPicture, decoded, from_text, opened  # noqa: E402
from craton.engines.predictor.validating import checked  # noqa: E402
from craton.training.data.loading import tables  # noqa: E402
from craton.training.data.rows import Rows  # noqa: E402
from craton.training.specification.methods import Classification, Deep  # noqa: E402
from craton.training.specification.parts import Data, Model, Pictures  # noqa: E402

HUB, BYTES = {"_type": "Image"}, {"_type": "Value", "dtype": "binary"}


def file(pixels: Any, form: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(target, form)
    return target.getvalue()


def grey(value: int, height: int = 4, width: int = 4) -> bytes:
    return file(np.full((height, width), value, np.uint8))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header claims so many pixels; its data are a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def rows(values: list[Any], feature: Any = HUB) -> Rows:
    frame = pd.DataFrame({"picture": pd.Series(values, dtype=object), "y": ["no", "yes"] * (len(values) // 2)})
    return Rows(frame, None, "datasets/a/b@c", {"picture": feature})


def learned(found: Rows, *, use: str = "cnn", **data: Any) -> Any:
    said: list[str] = []
    asked = Deep(data=Data("a/b", target="y", **data), model=Model(use))
    return tables(asked, found, None, said.append), said


def test_pixels_become_numbers_from_0_to_1() -> None:
    dark, light = decoded(grey(0), (4, 4, 1)), decoded(file(np.full((4, 4, 3), 255, np.uint8), "BMP"), (4, 4, 3))
    assert (dark.shape, dark.dtype, dark.max(), light.min()) == ((4, 4, 1), np.float32, 0.0, 1.0)
    deep = file(np.full((2, 2), 32896, np.uint16))  # 16 bits: the middle stays the middle
    assert decoded(deep, (2, 2, 1))[0, 0, 0] == pytest.approx(128 / 255)
    assert np.allclose(decoded(grey(200, 9, 7), (3, 2, 1)), 200 / 255)


def test_pictures_that_are_alike_keep_their_size_and_others_are_brought_to_one() -> None:
    found, said = learned(rows([{"bytes": grey(value), "path": None} for value in range(0, 200, 10)]))
    assert (found.fields[0].kind, found.fields[0].shape, said) == ("image", (4, 4, 1), [])
    assert found.train["picture"].iloc[0].shape == (4, 4, 1)
    mixed = [grey(9, 5 + place % 2, 7) for place in range(20)]
    mixed[3] = file(np.zeros((9, 9, 3), np.uint8), "JPEG")
    found, said = learned(rows(mixed, BYTES), features=["picture"])
    assert found.fields[0].shape == (64, 64, 3)
    assert "64 x 64" in said[0]
    found, _ = learned(rows(mixed, BYTES), features=["picture"], pictures=Pictures(3, 5, 1))
    assert found.test["picture"].iloc[0].shape == (3, 5, 1)


def test_what_is_no_picture_is_refused_by_row_and_column() -> None:
    good = {"bytes": grey(1), "path": None}
    wrong = [b"GIF89a no", bomb(8_000, 7_000), grey(5)[:50], None, {"bytes": None, "path": "a/b.png"}]
    values = [good, *({"bytes": one, "path": None} if isinstance(one, bytes) else one for one in wrong), good, good]
    with pytest.raises(InvalidRequest) as refused:
        learned(rows(values), pictures=Pictures(4, 4))
    for row, why in enumerate(
        ("is no picture", "8,000 x 7,000 pixels", "ends too early", "missing", "names a file"), 1
    ):
        assert f"row {row}, column 'picture': " in refused.value.reason
        assert why in refused.value.reason


def test_other_methods_read_pictures_only_where_they_are_named() -> None:
    found = rows([{"bytes": grey(value), "path": None} for value in range(20)])
    found.train["size"] = np.arange(20) % 7 * 1.5
    said: list[str] = []
    spec = Classification(data=Data("a/b", target="y"))
    assert [field.name for field in tables(spec, found, None, said.append).fields] == ["size"]
    assert "pictures are for a cnn" in said[0]
    named = Classification(data=Data("a/b", target="y", features=["picture"]))
    assert tables(named, found, None, said.append).fields == (Field("picture", "image", shape=(4, 4, 1)),)


FIELDS = (Field("picture", "image", shape=(2, 2, 1)),)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_a_model_is_asked_with_files_or_numbers() -> None:
    numbers = [[[0.0], [0.5]], [[0.25], [1.0]]]
    values = [text(grey(255, 2, 2)), numbers, f"data:image/png;base64,{text(grey(0))}"]
    (found,) = checked(FIELDS, [values]).columns
    assert found.shape == (3, 2, 2, 1)
    assert (found[0].min(), found[1].tolist(), found[2].max()) == (1.0, numbers, 0.0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("%%%", "no base64"),
        (text(b"text"), "it is no picture"),
        (text(bomb(50_000, 50_000)), "far more than the 40,000,000 pixels"),
        (text(grey(1)[:50]), "ends too early"),
        ([[[1.0]]], "a picture's file in base64, or 2 x 2 x 1 numbers"),
        (None, "it is missing"),
    ],
)
def test_what_a_model_cannot_see_is_refused_by_its_row(value: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match="row 1, column 'picture'") as refused:
        checked(FIELDS, [[text(grey(3)), value, text(grey(4))]])
    assert said in refused.value.reason


def test_what_would_not_fit_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    large = (Field("picture", "image", shape=(1024, 1024, 3)),)
    with pytest.raises(TooLarge):
        checked(large, [[text(grey(3))] * 20])
    monkeypatch.setattr("craton.engines.predictor.pictures.MAX_BYTES", 10)
    with pytest.raises(NoPicture, match="bytes"):
        opened(grey(3))
    with pytest.raises(NoPicture, match="bytes"):
        from_text("A" * 100)
