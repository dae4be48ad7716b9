# cython: language_level=3, boundscheck=False, wraparound=False
"""Model hashes as text: 32 digits 0-9 a-f for 16 bytes."""

from libc.stdint cimport uint8_t


cdef inline bint hex_bytes(const uint8_t* at, uint8_t* out) noexcept nogil:
    """The bytes that 32 digits spell; False where one is no digit."""
    cdef int i
    cdef uint8_t digit
    for i in range(32):
        if 48 <= at[i] <= 57:
            digit = at[i] - 48
        elif 97 <= at[i] <= 102:
            digit = at[i] - 87
        else:
            return False
        if i & 1:
            out[i >> 1] |= digit
        else:
            out[i >> 1] = <uint8_t>(digit << 4)
    return True


cdef inline void put_hex(uint8_t* out, const uint8_t* digest) noexcept nogil:
    """The 32 digits of 16 bytes."""
    cdef int i
    cdef uint8_t digit
    for i in range(32):
        digit = digest[i >> 1] & 15 if i & 1 else digest[i >> 1] >> 4
        out[i] = <uint8_t>(48 + digit if digit < 10 else 87 + digit)
