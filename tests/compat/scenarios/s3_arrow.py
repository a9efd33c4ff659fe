"""Apache Arrow's file system for S3 (the C++ SDK), and DuckDB over it."""

from __future__ import annotations

import os
import uuid

from checks import ACCESS_KEY_ID, SECRET_ACCESS_KEY, URL, equal, holds, run

os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}

import duckdb
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet

bucket = f"arrow-{uuid.uuid4().hex[:12]}"
files = pyarrow.fs.S3FileSystem(
    endpoint_override=URL, region="us-east-1", allow_bucket_creation=True, allow_bucket_deletion=True
)
files.create_dir(bucket)
TABLE = pyarrow.table({"number": list(range(1000)), "text": [str(number) for number in range(1000)]})


def parquet_there_and_back() -> None:
    pyarrow.parquet.write_table(TABLE, f"{bucket}/t/one.parquet", filesystem=files)
    holds(pyarrow.parquet.read_table(f"{bucket}/t/one.parquet", filesystem=files).equals(TABLE), "another table came")
    holds(pyarrow.parquet.read_table(f"{bucket}/t", filesystem=files).equals(TABLE), "another table came")


def a_stream_in_parts() -> None:
    with files.open_output_stream(f"{bucket}/big") as stream:
        for _ in range(3):
            stream.write(b"x" * 6_000_000)
    equal(files.get_file_info(f"{bucket}/big").size, 18_000_000)
    with files.open_input_file(f"{bucket}/big") as file:
        file.seek(17_999_990)
        equal(file.read(), b"x" * 10)


def copy_move_and_delete() -> None:
    files.copy_file(f"{bucket}/big", f"{bucket}/copy")
    files.move(f"{bucket}/copy", f"{bucket}/moved")
    files.delete_file(f"{bucket}/moved")
    equal(files.get_file_info(f"{bucket}/moved").type, pyarrow.fs.FileType.NotFound)


def folders() -> None:
    files.create_dir(f"{bucket}/made/deep")
    equal(files.get_file_info(f"{bucket}/made").type, pyarrow.fs.FileType.Directory)
    selected = files.get_file_info(pyarrow.fs.FileSelector(bucket, recursive=True))
    holds(f"{bucket}/made/deep" in [one.path for one in selected], "it is not listed")
    files.delete_dir(f"{bucket}/made")
    equal(files.get_file_info(f"{bucket}/made").type, pyarrow.fs.FileType.NotFound)


def duckdb_over_arrow() -> None:
    numbers = pyarrow.dataset.dataset(f"{bucket}/t", filesystem=files, format="parquet")
    connection = duckdb.connect()
    connection.register("numbers", numbers)
    equal(connection.sql("SELECT sum(number) FROM numbers WHERE number > 500").fetchall(), [(374250,)])


def a_bucket_is_emptied_and_removed() -> None:
    files.delete_dir_contents(bucket)
    files.delete_dir(bucket)
    equal(files.get_file_info(bucket).type, pyarrow.fs.FileType.NotFound)


run(
    [
        parquet_there_and_back,
        a_stream_in_parts,
        copy_move_and_delete,
        folders,
        duckdb_over_arrow,
        a_bucket_is_emptied_and_removed,
    ]
)
