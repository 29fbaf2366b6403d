"""Journal rows to records and back."""

import zlib
from collections.abc import Sequence

import msgspec

from counterpoint.errors import StoreCorruptError
from counterpoint.model.records import Record, decode_records, encode_records
from counterpoint.model.rows import ExecutionRow, JournalRow
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import ReadableStore


def journal_row(key: int, first_seq: int, records: list[Record], codec: Codec) -> JournalRow:
    """Return the row that keeps everything one execution records in one commit."""
    body = codec.encode(encode_records(records))
    return JournalRow(key, first_seq, len(records), codec.tag, body, zlib.crc32(body))


def journal_records(rows: Sequence[JournalRow], codec: Codec) -> list[Record]:
    """Return the records of a whole journal, in order.

    Raises:
        StoreCorruptError: a row is missing or its body cannot be read.
    """
    records: list[Record] = []
    for row in rows:
        if row.first_seq != len(records) + 1:
            raise StoreCorruptError(
                f"execution {row.execution_key}: the journal lacks record {len(records) + 1}"
            )
        if row.codec != codec.tag:
            raise StoreCorruptError(
                f"execution {row.execution_key}: record {row.first_seq} was written with the codec "
                f"{row.codec!r}, this app has {codec.tag!r}"
            )
        try:
            records.extend(decode_records(codec.decode(row.body)))
        except msgspec.MsgspecError as error:
            raise StoreCorruptError(
                f"execution {row.execution_key}: record {row.first_seq} cannot be read: {error}"
            ) from error
    return records


async def records_of(store: ReadableStore, codec: Codec, row: ExecutionRow) -> list[Record]:
    """Return the whole journal of an execution.

    Raises:
        StoreCorruptError: it cannot be read.
        StoreError: the store cannot.
    """
    return journal_records(await store.journal(row.key), codec)
