# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Rows of the table of epochs to pages of an SQLite file: a b-tree that is built from its leaves up.

The format is https://www.sqlite.org/fileformat2.html; the table has no rowid, so that it is an index b-tree
(1.6): a row is a cell of a leaf, or stands between two pages as a cell of their parent. When a page is full,
its last row goes up, and the row that did not fit begins the next page; so no page is ever empty.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

cdef enum:
    LEAF = 0x0A
    INTERIOR = 0x02
    DEEPEST = 12  # levels; 2**32 pages have fewer
    COLUMNS = 8  # measures at the most
    LARGEST = 128  # bytes of a cell: 10 values of at most 8 bytes, their types, lengths, a child
    LOCK_BYTE = 1 << 30  # the page that has this byte is never used (1.3.1)

cdef struct Page:
    uint8_t* data
    int64_t cells  # how many
    int64_t content  # where the lowest of them starts
    int64_t last  # bytes of the last of them

cdef struct Column:
    const uint8_t* values
    int64_t stride  # bytes of a row
    int width  # 4 or 8; 0 where all is NULL


cdef inline int put_integer(int64_t value, uint8_t* type_at, uint8_t* at) noexcept nogil:
    """A serial type and the bytes of a value (2.1); how many bytes."""
    cdef int size, i
    if value == 0 or value == 1:
        type_at[0] = 8 + <uint8_t>value
        return 0
    if -128 <= value < 128:
        size = 1
    elif -32768 <= value < 32768:
        size = 2
    elif -8388608 <= value < 8388608:
        size = 3
    elif -(<int64_t>1 << 31) <= value < <int64_t>1 << 31:
        size = 4
    elif -(<int64_t>1 << 47) <= value < <int64_t>1 << 47:
        size = 6
    else:
        size = 8
    type_at[0] = size if size <= 4 else 5 if size == 6 else 6
    for i in range(size):
        at[i] = <uint8_t>(<uint64_t>value >> 8 * (size - 1 - i))
    return size


cdef inline void put32(uint8_t* at, int64_t value) noexcept nogil:
    at[0] = value >> 24 & 0xFF
    at[1] = value >> 16 & 0xFF
    at[2] = value >> 8 & 0xFF
    at[3] = value & 0xFF


cdef inline void put16(uint8_t* at, int64_t value) noexcept nogil:
    at[0] = value >> 8 & 0xFF
    at[1] = value & 0xFF


cdef class Tree:
    """The pages of one table, made in order; the root comes last, and has its place elsewhere.

    Parameters
    ----------
    page_size
        A power of two, 512 … 32768.
    first
        The number of the first page that `take` gives; pages of a file count from 1.
    missing
        The value of an int64 column that means NULL.
    """

    cdef Page levels[DEEPEST]
    cdef int depth
    cdef int64_t page_size, next_page, missing
    cdef uint8_t* out
    cdef int64_t size, room
    cdef bint counts_only  # pages are numbered, and none is written

    def __cinit__(self, int64_t page_size, int64_t first, int64_t missing):
        self.page_size = page_size
        self.next_page = first
        self.missing = missing
        self.open_level(0)

    def __dealloc__(self):
        cdef int level
        for level in range(DEEPEST):
            free(self.levels[level].data)
        free(self.out)

    def go_on_at(self, int64_t page):
        """The number of the page that `take` gives next."""
        self.next_page = page

    def pages(self, const int64_t[::1] run_ids, int64_t epochs, list columns):
        """How many pages `add` would give of the same rows, with that of the lock byte if it is among them."""
        cdef Page before[DEEPEST]
        cdef int level, depth = self.depth
        cdef int64_t first = self.next_page, found
        memcpy(before, self.levels, sizeof(before))
        self.counts_only = True
        try:
            self.add(run_ids, epochs, columns)
        finally:
            self.counts_only = False
            found = self.next_page - first
            for level in range(depth):
                self.levels[level] = before[level]
            self.depth = depth
            self.next_page = first
        return found

    def add(self, const int64_t[::1] run_ids, int64_t epochs, list columns):
        """Rows (run, epoch, one value a column), the epochs 1, 2, … of each run.

        Parameters
        ----------
        run_ids
            Rising, and above all that were added before.
        epochs
            How many each run has.
        columns
            int32 or int64 arrays (runs, epochs), or None for NULL.
        """
        cdef Column sources[COLUMNS]
        cdef const int32_t[:, ::1] narrow
        cdef const int64_t[:, ::1] wide
        cdef int c, count = len(columns)
        cdef int64_t run
        cdef bint done = True
        if count > COLUMNS:
            raise ValueError(f"a row has at most {COLUMNS} measures")
        if run_ids.shape[0] == 0 or epochs == 0:
            return
        for c in range(count):
            sources[c] = Column(NULL, 0, 0)
            if columns[c] is None:
                continue
            if columns[c].dtype.itemsize == 4:
                narrow = columns[c]
                sources[c] = Column(<const uint8_t*>&narrow[0, 0], 4 * epochs, 4)
            else:
                wide = columns[c]
                sources[c] = Column(<const uint8_t*>&wide[0, 0], 8 * epochs, 8)
        with nogil:
            for run in range(run_ids.shape[0]):
                if not self.add_run(run_ids[run], run, epochs, sources, count):
                    done = False
                    break
        if not done:
            raise MemoryError

    def take(self):
        """The pages that are done since the last call."""
        cdef bytes taken = self.out[:self.size]
        self.size = 0
        return taken

    def root(self):
        """Finish: the root page; call `take` after it for the last of the others."""
        cdef int level
        cdef int64_t child
        for level in range(self.depth - 1):
            child = self.close(level)
            if child < 0:
                raise MemoryError
            put32(self.levels[level + 1].data + 8, child)
        self.seal(self.depth - 1)
        return <bytes>self.levels[self.depth - 1].data[:self.page_size]

    cdef bint add_run(self, int64_t run_id, int64_t row, int64_t epochs, const Column* sources,
                      int count) noexcept nogil:
        cdef uint8_t cell[LARGEST]
        cdef int64_t epoch, value
        cdef const uint8_t* at
        cdef int c, size, head = 3 + count  # the record's header: its length, a type a column
        for epoch in range(epochs):
            cell[1] = head
            size = 1 + head
            size += put_integer(run_id, cell + 2, cell + size)
            size += put_integer(epoch + 1, cell + 3, cell + size)
            for c in range(count):
                cell[4 + c] = 0
                if sources[c].width == 0:
                    continue
                at = sources[c].values + row * sources[c].stride + epoch * sources[c].width
                if sources[c].width == 4:
                    value = (<const int32_t*>at)[0]
                else:
                    value = (<const int64_t*>at)[0]
                    if value == self.missing:
                        continue
                size += put_integer(value, cell + 4 + c, cell + size)
            cell[0] = size - 1  # below 128, so that one byte says it
            if not self.put(0, cell, size):
                return False
        return True

    cdef bint put(self, int level, const uint8_t* cell, int64_t size) noexcept nogil:
        """Append a cell to the open page of a level."""
        cdef Page* page = &self.levels[level]
        cdef int64_t head = 8 if level == 0 else 12
        if page.content - size < head + 2 * (page.cells + 1):
            if not self.turn(level):
                return False
        page.content -= size
        if not self.counts_only:
            memcpy(page.data + page.content, cell, size)
            put16(page.data + head + 2 * page.cells, page.content)
        page.cells += 1
        page.last = size
        return True

    cdef bint turn(self, int level) noexcept nogil:
        """The last cell of a full page goes up, with the page as its left child."""
        cdef uint8_t cell[LARGEST]
        cdef Page* page = &self.levels[level]
        cdef int64_t child, own = 4 if level else 0, size = page.last
        if level + 1 == self.depth and not self.open_level(level + 1):
            return False
        memcpy(cell + 4, page.data + page.content + own, size - own)
        if level and not self.counts_only:  # its left child is now the page's last
            memcpy(page.data + 8, page.data + page.content, 4)
        page.cells -= 1
        page.content += size
        child = self.close(level)
        if child < 0:
            return False
        put32(cell, child)
        return self.put(level + 1, cell, 4 + size - own)

    cdef bint open_level(self, int level) noexcept nogil:
        if level == DEEPEST:
            return False
        if self.levels[level].data == NULL:  # else it was counted
            self.levels[level].data = <uint8_t*>calloc(1, self.page_size)
        if self.levels[level].data == NULL:
            return False
        self.levels[level].content = self.page_size
        self.levels[level].cells = 0
        self.depth = level + 1
        return True

    cdef void seal(self, int level) noexcept nogil:
        """Write a page's header (1.6)."""
        cdef Page* page = &self.levels[level]
        page.data[0] = INTERIOR if level else LEAF
        put16(page.data + 1, 0)
        put16(page.data + 3, page.cells)
        put16(page.data + 5, page.content)
        page.data[7] = 0

    cdef int64_t close(self, int level) noexcept nogil:
        """Give a page out, and begin another; its number, or -1 without memory."""
        cdef Page* page = &self.levels[level]
        cdef int64_t number
        if not self.counts_only and not self.reserve(2 * self.page_size):
            return -1
        if self.next_page == <int64_t>LOCK_BYTE // self.page_size + 1:
            if not self.counts_only:
                memset(self.out + self.size, 0, self.page_size)
                self.size += self.page_size
            self.next_page += 1
        number = self.next_page
        self.next_page += 1
        if not self.counts_only:
            self.seal(level)
            memcpy(self.out + self.size, page.data, self.page_size)
            self.size += self.page_size
            memset(page.data, 0, self.page_size)
        page.content = self.page_size
        page.cells = 0
        return number

    cdef bint reserve(self, int64_t more) noexcept nogil:
        cdef int64_t room = 2 * self.room + more
        cdef uint8_t* grown
        if self.size + more <= self.room:
            return True
        grown = <uint8_t*>realloc(self.out, room)
        if grown == NULL:
            return False
        self.out = grown
        self.room = room
        return True
