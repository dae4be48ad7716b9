# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Rows to the opcodes of a pickle, straight from arrays; `bloxdb.codecs.pickle` lays the rows out."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from bloxdb.codecs._hex cimport put_hex


cdef enum:
    CHUNK = 64  # measures that are divided at once

cdef struct Measures:
    const double* floats  # NULL where they are fixed
    const int32_t* fixed


cdef void put_floats(uint8_t* out, Measures source, int64_t at, double scale, int64_t count) noexcept nogil:
    """Opcodes of `count` measures from `at` on; `scale` is how many of a fixed one make 1."""
    cdef double numbers[CHUNK]
    cdef int64_t many, i, end = at + count
    cdef uint64_t bits
    while at < end:
        many = min(<int64_t>CHUNK, end - at)
        if source.floats != NULL:
            memcpy(numbers, source.floats + at, many * sizeof(double))
        else:
            for i in range(many):
                numbers[i] = source.fixed[at + i] / scale
        for i in range(many):
            memcpy(&bits, &numbers[i], 8)
            out[0] = 0x47
            out[1] = bits >> 56 & 0xFF
            out[2] = bits >> 48 & 0xFF
            out[3] = bits >> 40 & 0xFF
            out[4] = bits >> 32 & 0xFF
            out[5] = bits >> 24 & 0xFF
            out[6] = bits >> 16 & 0xFF
            out[7] = bits >> 8 & 0xFF
            out[8] = bits & 0xFF
            out += 9
        at += many


cdef enum:
    ROW_HASH, ROW_INT, ROW_FLOAT, ROW_LIST  # what `bloxdb.codecs.rows` calls them
    BATCH = 1000
    FRAME = 65536

cdef double SCALES[7]  # by decimals
SCALES[:] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6]


cdef class Writer:
    """Opcodes of protocol 4, byte for byte and frame for frame those of Python's own pickler."""

    cdef uint8_t* out
    cdef int64_t size, room, frame  # frame: where the open one's header is, or -1
    cdef int64_t total, done  # rows

    def __cinit__(self):
        self.frame = -1

    def __dealloc__(self):
        free(self.out)

    def begin(self, int64_t rows):
        """The start of a list of so many rows."""
        self.reserve(64)
        self.out[0], self.out[1] = 0x80, 4
        self.size = 2
        self.total = rows
        self.boundary()
        self.byte(0x5D)
        self.byte(0x94)

    def rows(self, const int64_t[:, ::1] layout, const uint8_t[:, ::1] hashes, const int64_t[:, ::1] numbers,
             const double[:, ::1] floats, const int32_t[:, ::1] fixed):
        """The next rows; of `floats` and `fixed`, the measures, one is None."""
        cdef int64_t row, most, width = fixed.shape[1] if floats is None else floats.shape[1]
        cdef Measures source = Measures(NULL, NULL)
        if width and floats is None:
            source.fixed = &fixed[0, 0]
        elif width:
            source.floats = &floats[0, 0]
        most = 64 + 45 * hashes.shape[1] + 20 * numbers.shape[1] + 10 * width + 8 * layout.shape[0]
        self.reserve((most + most // 1000 + 64) * hashes.shape[0] + 4096)
        with nogil:
            for row in range(hashes.shape[0]):
                if self.total > 1 and self.done % BATCH == 0:
                    self.byte(0x28)
                self.put_row(layout, &hashes[row, 0], numbers, source, row * width, row)
                self.done += 1
                if self.total > 1 and (self.done % BATCH == 0 or self.done == self.total):
                    self.byte(0x65)
            if self.total == 1:
                self.byte(0x61)

    def end(self):
        """The end of the pickle."""
        self.reserve(64)
        self.byte(0x2E)
        self.close_frame()

    def take(self):
        """What is ready of the bytes, which are forgotten."""
        cdef int64_t ready = self.size if self.frame < 0 else self.frame
        cdef bytes taken = self.out[:ready]
        memmove(self.out, self.out + ready, self.size - ready)
        self.size -= ready
        if self.frame >= 0:
            self.frame = 0
        return taken

    cdef int reserve(self, int64_t more) except -1:
        cdef uint8_t* grown
        if self.size + more > self.room:
            grown = <uint8_t*>realloc(self.out, self.size + more)
            if grown == NULL:
                raise MemoryError
            self.out = grown
            self.room = self.size + more
        return 0

    cdef void put_row(self, const int64_t[:, ::1] layout, const uint8_t* digest, const int64_t[:, ::1] numbers,
                      Measures source, int64_t at, int64_t row) noexcept nogil:
        cdef int64_t c, number = 0
        self.open_list()
        if layout.shape[0] > 1:
            self.byte(0x28)
        for c in range(layout.shape[0]):
            if layout[c, 0] == ROW_HASH:
                self.put_hash(digest)
            elif layout[c, 0] == ROW_INT:
                self.put_number(numbers[row, number])
                number += 1
            elif layout[c, 0] == ROW_FLOAT:
                self.put_float(source, at, SCALES[layout[c, 2]])
                at += 1
            else:
                self.put_list(source, at, SCALES[layout[c, 2]], layout[c, 1])
                at += layout[c, 1]
        self.byte(0x65 if layout.shape[0] > 1 else 0x61)

    cdef void open_list(self) noexcept nogil:
        self.boundary()
        self.byte(0x5D)
        self.byte(0x94)

    cdef void put_list(self, Measures source, int64_t at, double scale, int64_t count) noexcept nogil:
        cdef int64_t done = 0, many
        self.open_list()
        while done < count:
            if count > 1 and done % BATCH == 0:
                self.byte(0x28)
            many = min(self.floats_in_frame(), count - done, BATCH - done % BATCH)
            put_floats(self.out + self.size, source, at + done, scale, many)
            self.size += 9 * many
            done += many
            if count > 1 and (done % BATCH == 0 or done == count):
                self.byte(0x65)
        if count == 1:
            self.byte(0x61)

    cdef void put_float(self, Measures source, int64_t at, double scale) noexcept nogil:
        self.floats_in_frame()
        put_floats(self.out + self.size, source, at, scale, 1)
        self.size += 9

    cdef int64_t floats_in_frame(self) noexcept nogil:
        """How many floats can follow each other before a frame is full; at least one."""
        self.boundary()
        if self.frame < 0:
            self.frame = self.size
            self.size += 9
        return (FRAME - (self.size - self.frame - 9) + 8) // 9

    cdef void put_number(self, int64_t number) noexcept nogil:
        """A whole number that is not negative."""
        cdef int size
        self.boundary()
        if number < 1 << 8:
            self.byte(0x4B)
            size = 1
        elif number < 1 << 16:
            self.byte(0x4D)
            size = 2
        elif number < <int64_t>1 << 31:
            self.byte(0x4A)
            size = 4
        else:
            size = 5
            while size < 8 and number >> (8 * size - 1):
                size += 1
            self.byte(0x8A)
            self.byte(size)
        while size:
            self.byte(number & 0xFF)
            number >>= 8
            size -= 1

    cdef void put_hash(self, const uint8_t* digest) noexcept nogil:
        self.boundary()
        self.byte(0x8C)
        self.byte(32)
        put_hex(self.out + self.size, digest)
        self.size += 32
        self.byte(0x94)

    cdef void byte(self, uint8_t value) noexcept nogil:
        if self.frame < 0:
            self.frame = self.size
            self.size += 9
        self.out[self.size] = value
        self.size += 1

    cdef void boundary(self) noexcept nogil:
        """Before an object: a frame that is full ends."""
        if self.frame >= 0 and self.size - self.frame - 9 >= FRAME:
            self.close_frame()

    cdef void close_frame(self) noexcept nogil:
        cdef int64_t length = self.size - self.frame - 9
        cdef int i
        if length >= 4:
            self.out[self.frame] = 0x95
            for i in range(8):
                self.out[self.frame + 1 + i] = <uint8_t>(length >> (8 * i))
        else:
            for i in range(length):
                self.out[self.frame + i] = self.out[self.frame + 9 + i]
            self.size -= 9
        self.frame = -1
