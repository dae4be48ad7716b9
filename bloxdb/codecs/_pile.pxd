# cython: language_level=3
"""Growing piles of values that lie in a file, and numbers out of its bytes, for the pickle machine."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy


cdef struct Value:
    int64_t kind
    int64_t a  # INT: the number; FLOATS, TEXT, BIG: offset; LIST: its number
    int64_t b  # FLOATS: how many, nine bytes apart; TEXT, BIG: length

cdef struct Pile:
    Value* values
    int64_t count
    int64_t room
    int64_t* left  # how many values more all piles may have room for; -1 once that was too few


cdef inline bint make_room(Pile* pile, int64_t count) noexcept nogil:
    cdef int64_t room = pile.room + pile.room // 2 + 64
    cdef Value* grown
    if count <= pile.room:
        return True
    if room < count:
        room = count
    if room - pile.room > pile.left[0]:
        pile.left[0] = -1
        return False
    pile.left[0] -= room - pile.room
    grown = <Value*>realloc(pile.values, room * sizeof(Value))
    if grown == NULL:
        return False
    pile.values = grown
    pile.room = room
    return True


cdef inline bint push(Pile* pile, int64_t kind, int64_t a, int64_t b) noexcept nogil:
    if not make_room(pile, pile.count + 1):
        return False
    pile.values[pile.count] = Value(kind, a, b)
    pile.count += 1
    return True


cdef inline uint64_t little(const uint8_t* at, int size) noexcept nogil:
    cdef uint64_t number = 0
    cdef int i
    for i in range(size):
        number |= <uint64_t>at[i] << (8 * i)
    return number


cdef inline uint64_t big_endian(const uint8_t* at) noexcept nogil:
    return (<uint64_t>at[0] << 56 | <uint64_t>at[1] << 48 | <uint64_t>at[2] << 40 | <uint64_t>at[3] << 32
            | <uint64_t>at[4] << 24 | <uint64_t>at[5] << 16 | <uint64_t>at[6] << 8 | <uint64_t>at[7])


cdef inline double double_at(const uint8_t* at) noexcept nogil:
    cdef uint64_t bits = big_endian(at)
    cdef double number
    memcpy(&number, &bits, 8)
    return number
