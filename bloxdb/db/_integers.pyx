# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Integers out of text, many at once."""

from libc.stdint cimport int64_t, uint8_t


cdef int64_t parse_all(const uint8_t[::1] text, int64_t missing, int64_t[::1] out) noexcept nogil:
    cdef int64_t at = 0, end = text.shape[0], count = 0, value
    cdef bint negative, empty
    while True:
        if count == out.shape[0]:
            return -1
        value = 0
        negative = at < end and text[at] == 45
        at += negative
        empty = True
        while at < end and 48 <= text[at] <= 57:
            value = value * 10 + (text[at] - 48)
            at += 1
            empty = False
        out[count] = missing if empty else (-value if negative else value)
        count += 1
        if at == end:
            return count
        if text[at] != 44:
            return -1
        at += 1


def parse(const uint8_t[::1] text, int64_t missing, int64_t[::1] out):
    """Integers with commas between them; where there is nothing between two commas, `missing`.

    Returns
    -------
    int
        How many there are, or -1 if there are more than `out` takes, or there is something else.
    """
    cdef int64_t count
    with nogil:
        count = parse_all(text, missing, out)
    return count
