# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Loops over the text of a `.csv` file; `bloxdb.codecs.csv` checks all arguments first.

A number is read as an integer of its last decimal and written from one, so no float is ever made. That an
integer divided by a power of ten is the very float of its decimal text is said in `bloxdb.measures`.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from bloxdb.codecs._hex cimport hex_bytes, put_hex

cdef enum:
    COMMA = 44
    QUOTE = 34
    RETURN = 13
    NEWLINE = 10

cdef enum:
    FINE, BAD, WIDTH, CUT_OFF  # what `split` says

cdef enum:
    ROW_HASH, ROW_INT, ROW_FLOAT, ROW_LIST  # what `bloxdb.codecs.rows` calls them

cdef uint32_t[7] SCALES = [1, 10, 100, 1000, 10000, 100000, 1000000]  # by decimals


cdef int64_t field_end(const uint8_t* body, int64_t at, int64_t size, int64_t* start, int64_t* end,
                       int64_t* doubled) noexcept nogil:
    """Where the separator after a field is, or -1; `doubled` counts its doubled quotes."""
    cdef const uint8_t* found
    cdef uint8_t byte
    doubled[0] = 0
    if at < size and body[at] == QUOTE:
        start[0] = at = at + 1
        while True:
            found = <const uint8_t*>memchr(body + at, QUOTE, size - at)
            if found == NULL:
                return -1
            at = found - body
            if at + 1 < size and body[at + 1] == QUOTE:
                doubled[0] += 1
                at += 2
                continue
            end[0] = at
            return at + 1
    start[0] = at
    while at < size:
        byte = body[at]
        if byte == COMMA or byte == RETURN or byte == NEWLINE:
            end[0] = at
            return at
        if byte == QUOTE:
            return -1
        at += 1
    return -1


def split(const uint8_t[::1] body, int64_t width, int64_t[:, :, ::1] fields):
    """Find the fields of all lines.

    Parameters
    ----------
    body
        The text.
    width
        How many fields a line must have.
    fields
        Filled in: start, end and doubled quotes of each field, shape (rows, width, 3).

    Returns
    -------
    tuple
        A code (0: all well, 1: a line that does not end or a stray quote, 2: a wrong number of fields, 3: a last
        line that is cut off), the row, the offset where it happened, and the number of fields of that line.
    """
    cdef int64_t size = body.shape[0], rows = fields.shape[0]
    cdef int64_t row = 0, at = 0, field_start = 0, count = 0
    cdef int64_t start = 0, end = 0, doubled = 0
    cdef const uint8_t* text = &body[0] if size else NULL
    cdef int code = FINE
    with nogil:
        while at < size and row < rows:
            field_start = at
            at = field_end(text, at, size, &start, &end, &doubled)
            if at >= 0 and at < size and text[at] == RETURN and at + 1 < size and text[at + 1] == NEWLINE:
                at += 1
            if at < 0 or at >= size or (text[at] != COMMA and text[at] != NEWLINE):
                code = BAD
                break
            if count < width:
                fields[row, count, 0] = start
                fields[row, count, 1] = end
                fields[row, count, 2] = doubled
            count += 1
            at += 1
            if text[at - 1] == NEWLINE:
                if count != width:
                    code = WIDTH
                    break
                row += 1
                count = 0
        if code == FINE and count:
            code = CUT_OFF
    return code, row, field_start if code == BAD else at, count


cdef const uint8_t* number(const uint8_t* at, const uint8_t* end, int decimals, int32_t* out) noexcept nogil:
    """Read a number as an integer of so many decimals; its end, or NULL where that is not exact or it is none."""
    cdef int64_t mantissa = 0
    cdef int shift = decimals, exponent = 0, digits = 0
    cdef bint negative = False, falls = False
    cdef const uint8_t* first
    if at < end and at[0] == 45:
        negative = True
        at += 1
    first = at
    while at < end and 48 <= at[0] <= 57:
        mantissa = mantissa * 10 + (at[0] - 48)
        at += 1
    digits = <int>(at - first) if at - first < 20 else 20
    if digits == 0:
        return NULL
    if at < end and at[0] == 46:
        at += 1
        first = at
        while at < end and 48 <= at[0] <= 57:
            mantissa = mantissa * 10 + (at[0] - 48)
            at += 1
        if at == first or at - first > 20:
            return NULL
        shift -= <int>(at - first)
        digits += <int>(at - first)
    if digits > 18:
        return NULL
    if at < end and at[0] == 101:
        at += 1
        if at < end and (at[0] == 43 or at[0] == 45):
            falls = at[0] == 45
            at += 1
        first = at
        while at < end and 48 <= at[0] <= 57 and at - first < 4:
            exponent = exponent * 10 + (at[0] - 48)
            at += 1
        if at == first:
            return NULL
        shift += -exponent if falls else exponent
    if mantissa == 0:
        shift = 0
        if negative:
            return NULL  # an integer has no -0.0
    while shift < 0:
        if mantissa % 10:
            return NULL
        mantissa //= 10
        shift += 1
    while mantissa <= 2147483647 and shift > 0:
        mantissa *= 10
        shift -= 1
    if mantissa > 2147483647:
        return NULL
    out[0] = <int32_t>(-mantissa if negative else mantissa)
    return at


cdef bint numbers(const uint8_t* at, const uint8_t* end, int decimals, int64_t count, bint is_list,
                  int32_t* out) noexcept nogil:
    cdef int64_t i
    if is_list:
        if end - at < 2 or at[0] != 91 or end[-1] != 93:
            return False
        at += 1
        end -= 1
    for i in range(count):
        if i:
            if end - at < 2 or at[0] != COMMA or at[1] != 32:
                return False
            at += 2
        at = number(at, end, decimals, out + i)
        if at == NULL:
            return False
    return at == end


def read_numbers(const uint8_t[::1] body, const int64_t[:, :, ::1] fields, int64_t column, int decimals,
                 bint is_list, int32_t[:, ::1] out):
    """Fill in a column of numbers, or of lists of `out.shape[1]` numbers, as integers of so many decimals.

    Returns
    -------
    int
        -1, or the first row that is not that, or that the integers do not hold exactly.
    """
    cdef int64_t row, bad = -1
    with nogil:
        for row in range(out.shape[0]):
            if not numbers(&body[0] + fields[row, column, 0], &body[0] + fields[row, column, 1], decimals,
                           out.shape[1], is_list, &out[row, 0]):
                bad = row
                break
    return bad


def read_hex(const uint8_t[::1] body, const int64_t[:, :, ::1] fields, int64_t column, uint8_t[:, ::1] out):
    """Fill in the bytes that texts of 32 hex digits spell; -1, or the first row that is none."""
    cdef int64_t row, bad = -1
    with nogil:
        for row in range(out.shape[0]):
            if fields[row, column, 1] - fields[row, column, 0] != 32 \
                    or not hex_bytes(&body[0] + fields[row, column, 0], &out[row, 0]):
                bad = row
                break
    return bad


cdef uint8_t* put_whole(uint8_t* out, int64_t value) noexcept nogil:
    """The digits of a number that is not negative."""
    cdef uint8_t digits[20]
    cdef int count = 0, i
    while True:
        digits[count] = 48 + value % 10
        count += 1
        value //= 10
        if value == 0:
            break
    for i in range(count):
        out[i] = digits[count - 1 - i]
    return out + count


cdef uint8_t* put_small(uint8_t* out, uint32_t value) noexcept nogil:
    """1 … 99 millionths as Python writes such floats: 1.2e-05."""
    if value < 10:
        out[0] = 48 + value
        memcpy(out + 1, b"e-06", 4)
        return out + 5
    out[0] = 48 + value // 10
    out += 1
    if value % 10:
        out[0] = 46
        out[1] = 48 + value % 10
        out += 2
    memcpy(out, b"e-05", 4)
    return out + 4


cdef uint8_t* put_number(uint8_t* out, int32_t stored, int decimals, uint32_t scale) noexcept nogil:
    """An integer of so many decimals as Python writes that float: the shortest text that reads back."""
    cdef uint32_t value = <uint32_t>stored, part
    cdef int i, last
    if stored < 0:
        value = 0 - value
        out[0] = 45
        out += 1
    if decimals > 4 and 0 < value * SCALES[6 - decimals] < 100:
        return put_small(out, value * SCALES[6 - decimals])
    part = value % scale
    value //= scale
    if value < 10:
        out[0] = 48 + value
        out += 1
    elif value < 100:
        out[0] = 48 + value // 10
        out[1] = 48 + value % 10
        out += 2
    else:
        out = put_whole(out, value)
    out[0] = 46
    for i in range(decimals, 0, -1):
        out[i] = 48 + part % 10
        part //= 10
    last = decimals
    while last > 1 and out[last] == 48:
        last -= 1
    return out + last + 1


cdef uint8_t* put_list(uint8_t* out, const int32_t* stored, int64_t count, int decimals, uint32_t scale) noexcept nogil:
    cdef int64_t i
    if count > 1:  # commas within need quotes around
        out[0] = QUOTE
        out += 1
    out[0] = 91
    out += 1
    for i in range(count):
        if i:
            out[0] = COMMA
            out[1] = 32
            out += 2
        out = put_number(out, stored[i], decimals, scale)
    out[0] = 93
    out += 1
    if count > 1:
        out[0] = QUOTE
        out += 1
    return out


cdef uint8_t* put_row(uint8_t* out, const int64_t[:, ::1] layout, const uint8_t* digest,
                      const int64_t[:, ::1] whole, const int32_t[:, ::1] fixed, int64_t row) noexcept nogil:
    cdef int64_t c, number_at = 0, at = 0
    cdef uint32_t scale
    for c in range(layout.shape[0]):
        if c:
            out[0] = COMMA
            out += 1
        scale = SCALES[layout[c, 2]]
        if layout[c, 0] == ROW_HASH:
            put_hex(out, digest)
            out += 32
        elif layout[c, 0] == ROW_INT:
            out = put_whole(out, whole[row, number_at])
            number_at += 1
        elif layout[c, 0] == ROW_FLOAT:
            out = put_number(out, fixed[row, at], <int>layout[c, 2], scale)
            at += 1
        else:
            out = put_list(out, &fixed[row, at], layout[c, 1], <int>layout[c, 2], scale)
            at += layout[c, 1]
    out[0] = RETURN
    out[1] = NEWLINE
    return out + 2


def write_rows(const int64_t[:, ::1] layout, const uint8_t[:, ::1] hashes, const int64_t[:, ::1] whole,
               const int32_t[:, ::1] fixed):
    """The lines of some rows, laid out as `bloxdb.codecs.rows.Rows` says."""
    cdef int64_t row, most = 32 + 20 * whole.shape[1] + 14 * fixed.shape[1] + 5 * layout.shape[0] + 2
    cdef uint8_t* start = <uint8_t*>malloc(most * hashes.shape[0] + 1)
    cdef uint8_t* out = start
    if start == NULL:
        raise MemoryError
    try:
        with nogil:
            for row in range(hashes.shape[0]):
                out = put_row(out, layout, &hashes[row, 0], whole, fixed, row)
        return start[:out - start]
    finally:
        free(start)
