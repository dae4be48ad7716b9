# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Loops over the inflated body of a `.blox` file; `bloxdb.codecs.blox` checks all arguments first.

Fields of a row start at byte offsets that the caller gives as an int64 array, one entry a row.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    TEXT8 = -1   # u8 length, then that many bytes
    TEXT32 = -2  # u32 length, then that many bytes


cdef int64_t field_size(const uint8_t* at, int64_t left, int64_t size) noexcept nogil:
    """Bytes of one field; more than `left` where its length prefix is not there yet."""
    if size >= 0:
        return size
    if size == TEXT8:
        return 1 + <int64_t>at[0] if left >= 1 else 1
    if left < 4:
        return 4
    return 4 + (at[0] | (<int64_t>at[1] << 8) | (<int64_t>at[2] << 16) | (<int64_t>at[3] << 24))


cdef int64_t walk_rows(const uint8_t[::1] body, int64_t at, int64_t first, const int64_t[::1] sizes,
                       int64_t[:, ::1] starts, int64_t* row) noexcept nogil:
    cdef int64_t end = body.shape[0], rows = starts.shape[1], column, row_start, size
    cdef int64_t columns = sizes.shape[0]
    row[0] = first
    while row[0] < rows:
        row_start = at
        for column in range(columns):
            starts[column, row[0]] = at
            size = field_size(&body[0] + at, end - at, sizes[column])
            if size > end - at:
                return row_start
            at += size
        row[0] += 1
    return at


def walk(const uint8_t[::1] body, int64_t at, int64_t first, const int64_t[::1] sizes, int64_t[:, ::1] starts):
    """Find where the fields of rows `first`, … start, as far as `body` reaches.

    Parameters
    ----------
    body
        What is inflated so far, at least one byte.
    at
        Offset of row `first`.
    sizes
        Bytes of each column's field; -1 for text with a u8 length, -2 with a u32 length.
    starts
        Filled in: shape (columns, rows).

    Returns
    -------
    tuple
        The first row that is not wholly there (the number of rows if all are), and its offset.
    """
    cdef int64_t row = 0, end
    with nogil:
        end = walk_rows(body, at, first, sizes, starts, &row)
    return row, end


cdef int64_t bits_out(const uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, int bits,
                      int64_t span, int32_t[:, ::1] out) noexcept nogil:
    cdef int64_t rows = out.shape[0], count = out.shape[1], row, i
    cdef uint64_t pending, mask = (<uint64_t>1 << bits) - 1
    cdef int held
    cdef const uint8_t* at
    for row in range(rows):
        at = &body[0] + starts[row] + skip
        pending = 0
        held = 0
        for i in range(count):
            while held < bits:
                pending |= <uint64_t>at[0] << held
                at += 1
                held += 8
            if <int64_t>(pending & mask) > span:
                return row
            out[row, i] = <int32_t>(pending & mask)
            pending >>= bits
            held -= bits
        if pending:
            return row
    return -1


def read_bits(const uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, int bits, int64_t span,
              int32_t[:, ::1] out):
    """Unpack bit fields, least significant bit first, `out.shape[1]` a row.

    Returns
    -------
    int
        -1, or the first row with a value above `span` or with a set bit in its padding.
    """
    cdef int64_t bad
    with nogil:
        bad = bits_out(body, starts, skip, bits, span, out)
    return bad


cdef void bits_in(uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, int bits, int32_t low,
                  const int32_t[:, ::1] values) noexcept nogil:
    cdef int64_t rows = values.shape[0], count = values.shape[1], row, i
    cdef uint64_t pending
    cdef int held
    cdef uint8_t* at
    for row in range(rows):
        at = &body[0] + starts[row] + skip
        pending = 0
        held = 0
        for i in range(count):
            pending |= <uint64_t><uint32_t>(values[row, i] - low) << held
            held += bits
            while held >= 8:
                at[0] = pending & 0xFF
                at += 1
                pending >>= 8
                held -= 8
        if held:
            at[0] = pending & 0xFF


def write_bits(uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, int bits, int32_t low,
               const int32_t[:, ::1] values):
    """Pack ``values - low``, each below ``2**bits``, as `read_bits` reads them."""
    with nogil:
        bits_in(body, starts, skip, bits, low, values)


cdef void bytes_out(const uint8_t[::1] body, const int64_t[::1] starts, int64_t skip,
                    uint8_t[:, ::1] out) noexcept nogil:
    cdef int64_t row, rows = out.shape[0]
    for row in range(rows):
        memcpy(&out[row, 0], &body[0] + starts[row] + skip, out.shape[1])


def read_bytes(const uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, uint8_t[:, ::1] out):
    """Copy `out.shape[1]` bytes a row out of the body."""
    with nogil:
        bytes_out(body, starts, skip, out)


cdef void bytes_in(uint8_t[::1] body, const int64_t[::1] starts, int64_t skip,
                   const uint8_t[:, ::1] values) noexcept nogil:
    cdef int64_t row, rows = values.shape[0]
    for row in range(rows):
        memcpy(&body[0] + starts[row] + skip, &values[row, 0], values.shape[1])


def write_bytes(uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, const uint8_t[:, ::1] values):
    """Copy a row of bytes into each row of the body."""
    with nogil:
        bytes_in(body, starts, skip, values)
