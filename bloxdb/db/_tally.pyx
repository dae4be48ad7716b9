# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a file has in its table of epochs: a walk through its b-tree that trusts nothing, and adds the values up.

It shares no line with what writes the pages, and follows https://www.sqlite.org/fileformat2.html (1.6 and 2.1)
for the rows that an import makes: integers and NULL, of a payload below 128 bytes.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from posix.unistd cimport pread

import os

cdef enum:
    LEAF = 0x0A
    INTERIOR = 0x02
    DEEPEST = 12  # levels; 2**32 pages have fewer
    COLUMNS = 8  # measures at the most
    SIZES = 7  # of integers, by serial type

cdef struct Walk:
    int file
    uint8_t* room  # a page for each level
    int64_t page_size, pages
    int columns
    int64_t rows, run, epoch  # how many there were, and the key of the last
    int64_t runs
    uint64_t run_sum  # of their ids
    int64_t counts[COLUMNS]
    uint64_t sums[COLUMNS]
    int64_t page  # the one that is read
    int64_t read  # how many were
    int leaves  # the level of leaves
    const char* wrong
    int error  # of the system

cdef int[SIZES] _SIZES = [0, 1, 2, 3, 4, 6, 8]


cdef inline int64_t number(const uint8_t* at, int size) noexcept nogil:
    """A big-endian integer in two's complement."""
    cdef uint64_t value = <uint64_t><int64_t><int8_t>at[0]
    cdef int i
    for i in range(1, size):
        value = value << 8 | at[i]
    return <int64_t>value


cdef inline bint fail(Walk* walk, const char* why) noexcept nogil:
    walk.wrong = why
    return False


cdef bint take_row(Walk* walk, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """A record: its size, its header, a run, an epoch, the measures."""
    cdef const uint8_t* kinds
    cdef const uint8_t* stop
    cdef int64_t value
    cdef int i, kind
    if at >= end or at[0] >= 128 or at + 1 + at[0] > end:
        return fail(walk, b"a row has no end within its page")
    stop = at + 1 + at[0]
    if at[0] < 3 + walk.columns or at[1] != 3 + walk.columns:
        return fail(walk, b"a row has other columns")
    kinds = at + 2
    at = at + 1 + at[1]
    for i in range(2 + walk.columns):
        kind = kinds[i]
        if kind == 0:
            if i < 2:
                return fail(walk, b"a row has no key")
            continue
        if kind == 8 or kind == 9:
            value = kind - 8
        elif kind < SIZES:
            if at + _SIZES[kind] > stop:
                return fail(walk, b"a row is shorter than its header says")
            value = number(at, _SIZES[kind])
            at += _SIZES[kind]
        else:
            return fail(walk, b"a row has something else than integers")
        if i == 0:
            if walk.rows and value < walk.run:
                return fail(walk, b"runs are not in order")
            if walk.rows == 0 or value != walk.run:
                walk.runs += 1
                walk.run_sum += <uint64_t>value
                walk.epoch = 0
            walk.run = value
        elif i == 1:
            if value != walk.epoch + 1:
                return fail(walk, b"the epochs of a run are not 1, 2, ...")
            walk.epoch = value
        else:
            walk.counts[i - 2] += 1
            walk.sums[i - 2] += <uint64_t>value
    if at != stop:
        return fail(walk, b"a row is longer than its header says")
    walk.rows += 1
    return True


cdef bint read_page(Walk* walk, int64_t page, uint8_t* data) noexcept nogil:
    """A page of the file; it is not mapped, since what is looked at would count as memory."""
    cdef int64_t done = 0, found
    while done < walk.page_size:
        found = pread(walk.file, data + done, walk.page_size - done, (page - 1) * walk.page_size + done)
        if found < 0 and errno == EINTR:
            continue
        if found <= 0:
            walk.error = errno if found < 0 else 0
            return fail(walk, b"a page is not in the file")
        done += found
    return True


cdef bint take_page(Walk* walk, int64_t page, int level) noexcept nogil:
    """A page, with the pages below it between its rows."""
    cdef uint8_t* data
    cdef const uint8_t* end
    cdef int64_t cell, cells, at, head, lowest = walk.page_size
    walk.page = page
    walk.read += 1
    if page < 1 or page > walk.pages:
        return fail(walk, b"a page is not in the file")
    if level == DEEPEST:
        return fail(walk, b"the pages lead to each other")
    data = walk.room + level * walk.page_size
    if not read_page(walk, page, data):
        return False
    end = data + walk.page_size
    if data[0] != LEAF and data[0] != INTERIOR:
        return fail(walk, b"a page is none of an index")
    head = 12 if data[0] == INTERIOR else 8
    cells = data[3] << 8 | data[4]
    if head + 2 * cells > walk.page_size:
        return fail(walk, b"a page has more rows than room")
    for cell in range(cells):
        at = data[head + 2 * cell] << 8 | data[head + 2 * cell + 1]
        lowest = min(lowest, at)
        if at < head + 2 * cells or at + 4 >= walk.page_size:
            return fail(walk, b"a row is not in its page")
        if data[0] == INTERIOR:
            if not take_page(walk, child_at(data + at), level + 1):
                return False
            at += 4
        walk.page = page
        if not take_row(walk, data + at, end):
            return False
    if data[1] or data[2] or data[7] or (data[5] << 8 | data[6]) != lowest:
        return fail(walk, b"a page has room between its rows")
    if data[0] == INTERIOR:
        return take_page(walk, child_at(data + 8), level + 1)
    if walk.leaves not in (-1, level):
        return fail(walk, b"a page of rows is at another level than the others")
    walk.leaves = level
    return True


cdef inline int64_t child_at(const uint8_t* at) noexcept nogil:
    return <int64_t>at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]


def tally(int file, int64_t page_size, int64_t root, int columns):
    """What a table of epochs has, of which each run has the epochs 1, 2, ...

    Parameters
    ----------
    file
        The descriptor of the file.
    page_size
        Bytes of a page.
    root
        The number of the table's first page; pages count from 1.
    columns
        How many measures a row has.

    Returns
    -------
    dict of str to int or list of int
        ``pages``; ``runs`` and the sum of their ids, ``run_ids``; ``rows``; and by measure, how many ``values`` are
        not NULL and their ``sums``. Sums are modulo 2**64, as int64 has them.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        The pages are not such a table; the error says which and why.
    """
    cdef Walk walk
    cdef bint whole
    if columns > COLUMNS:
        raise ValueError(f"a row has at most {COLUMNS} measures")
    memset(&walk, 0, sizeof(walk))
    walk.leaves = -1
    walk.file = file
    walk.page_size = page_size
    walk.pages = os.fstat(file).st_size // page_size
    walk.columns = columns
    walk.room = <uint8_t*>malloc(DEEPEST * page_size)
    if walk.room == NULL:
        raise MemoryError
    with nogil:
        whole = take_page(&walk, root, 0)
        free(walk.room)
    if walk.error:
        raise OSError(walk.error, os.strerror(walk.error))
    if not whole:
        raise ValueError(f"page {walk.page}: {walk.wrong.decode()}")
    return {
        "pages": walk.read,
        "runs": walk.runs,
        "run_ids": <int64_t>walk.run_sum,
        "rows": walk.rows,
        "values": [walk.counts[i] for i in range(columns)],
        "sums": [<int64_t>walk.sums[i] for i in range(columns)],
    }
