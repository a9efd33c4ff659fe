"""Text, a line a row; and Arrow's own files, as `save_to_disk` and the cache of `datasets` write them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.data.viewing.features import features_of
from craton.data.viewing.frames import Source
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.streams import Unpacked, whole_lines
from craton.data.viewing.values import Feature


class TextTable:
    """One column, "text"."""

    def __init__(self, source: Source, limits: ViewLimits) -> None:
        self._source, self._limits = source, limits
        self._cut = False
        self.schema = pa.schema([("text", pa.string())])
        self.features: dict[str, Feature] = features_of(self.schema)

    @property
    def cut(self) -> bool:
        return self._cut

    def batches(self) -> Iterator[pa.RecordBatch]:
        with Unpacked(self._source, self._limits) as stream:
            for piece in whole_lines(stream, self._source.name, self._limits):
                try:
                    lines = piece.decode("utf-8").removesuffix("\n").split("\n")
                except UnicodeDecodeError:
                    raise Damaged(repr(self._source.name), "it is not UTF-8; save it as UTF-8") from None
                values = pa.array([line.removesuffix("\r") for line in lines], pa.string())
                yield pa.RecordBatch.from_arrays([values], schema=self.schema)
            self._cut = stream.cut


class ArrowTable:
    """An Arrow file or stream, read batch by batch."""

    def __init__(self, source: Source, limits: ViewLimits) -> None:
        if source.packing:
            raise Unsupported("Looking into packed Arrow files", "Arrow and Parquet pack their columns themselves.")
        self._source = source
        self.cut = False
        try:
            with pa.OSFile(source.path) as file:
                self.schema = self._reader(file).schema
        except (pa.ArrowException, OSError, ValueError):
            raise self._broken() from None
        if len(self.schema) > limits.columns:
            raise TooLarge(f"The columns of {source.name!r}", limits.columns, len(self.schema), "columns")
        self.features: dict[str, Feature] = features_of(self.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(self._source.path) as file:
            try:
                reader = self._reader(file)
                if isinstance(reader, pa.RecordBatchFileReader):
                    batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
                else:
                    batches = iter(reader)
                for batch in batches:
                    batch.validate(full=True)
                    yield batch
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, ValueError):
                raise self._broken() from None

    def _reader(self, file: pa.OSFile) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
        if file.read(6) == b"ARROW1":
            return pa.ipc.open_file(file)
        file.seek(0)
        return pa.ipc.open_stream(file)

    def _broken(self) -> Damaged:
        return Damaged(repr(self._source.name), "it is no Arrow file, or broken")
