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


cdef int64_t walk_rows(const uint8_t[::1] body, const int64_t[::1] sizes, int64_t[:, ::1] starts,
                       int64_t* row) noexcept nogil:
    cdef int64_t end = body.shape[0], rows = starts.shape[1], column, row_start, size, at = 0
    cdef int64_t columns = sizes.shape[0]
    row[0] = 0
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


def walk(const uint8_t[::1] body, const int64_t[::1] sizes, int64_t[:, ::1] starts):
    """Find where the fields of rows start, as far as `body` reaches.

    Parameters
    ----------
    body
        Rows, from the start of one on; at least one byte.
    sizes
        Bytes of each column's field; -1 for text with a u8 length, -2 with a u32 length.
    starts
        Filled in: shape (columns, rows).

    Returns
    -------
    tuple
        How many rows are wholly there, and their size in bytes.
    """
    cdef int64_t row = 0, end
    with nogil:
        end = walk_rows(body, sizes, starts, &row)
    return row, end


cdef uint64_t load64(const uint8_t* at) noexcept nogil:
    return (<uint64_t>at[0] | <uint64_t>at[1] << 8 | <uint64_t>at[2] << 16 | <uint64_t>at[3] << 24
            | <uint64_t>at[4] << 32 | <uint64_t>at[5] << 40 | <uint64_t>at[6] << 48 | <uint64_t>at[7] << 56)


cdef bint field_out(const uint8_t* at, int64_t count, int bits, uint32_t span, int32_t* out) noexcept nogil:
    """The values of one field; False where one is above `span`, or the padding is not zero."""
    cdef uint64_t pending = 0, mask = (<uint64_t>1 << bits) - 1
    cdef uint32_t value, above = 0
    cdef int64_t i, whole = (count * bits + 7) // 8 - 8, quick = 0
    cdef int held
    if whole >= 0:
        quick = min(count, whole * 8 // bits)  # their eight bytes end within the field
    for i in range(quick):
        value = load64(at + (i * bits >> 3)) >> (i * bits & 7) & mask
        above |= value > span
        out[i] = <int32_t>value
    held = -<int>(quick * bits & 7)
    at += quick * bits >> 3
    for i in range(quick, count):
        while held < bits:
            if held < 0:
                pending = at[0] >> -held
            else:
                pending |= <uint64_t>at[0] << held
            at += 1
            held += 8
        value = pending & mask
        above |= value > span
        out[i] = <int32_t>value
        pending >>= bits
        held -= bits
    return not above and not pending


cdef int64_t bits_out(const uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, int bits,
                      uint32_t span, int32_t[:, ::1] out) noexcept nogil:
    cdef int64_t row
    for row in range(out.shape[0]):
        if not field_out(&body[0] + starts[row] + skip, out.shape[1], bits, span, &out[row, 0]):
            return row
    return -1


def read_bits(const uint8_t[::1] body, const int64_t[::1] starts, int64_t skip, int bits, uint32_t span,
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


cdef bint counts_of(const int32_t[::1] milli, double images_per_milli, const int32_t[::1] known,
                    int32_t[::1] out) noexcept nogil:
    cdef int64_t i
    cdef int32_t top = <int32_t>(known.shape[0] - 1), count
    for i in range(milli.shape[0]):
        count = <int32_t>(milli[i] * images_per_milli + 0.5)
        if count < 0 or count > top or known[count] != milli[i]:
            return False
        out[i] = count
    return True


def find_counts(const int32_t[::1] milli, double images_per_milli, const int32_t[::1] known,
                int32_t[::1] out):
    """Fill in the counts whose shares are `milli`, where `known` is the share of each count.

    Returns
    -------
    bool
        False where some value is not the share of a count.
    """
    cdef bint all_found
    with nogil:
        all_found = counts_of(milli, images_per_milli, known, out)
    return all_found
