# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The pickle machine: opcodes of plain data to places in the file.

Nothing is built while reading: a float stays where it is in the file, a text is an offset and a length, and
a list is a run of such values. `bloxdb.codecs.pickle` turns them into columns, and codes of errors into words.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from bloxdb.codecs._hex cimport hex_bytes
from bloxdb.codecs._pile cimport Pile, Value, big_endian, double_at, little, make_room, push

cdef enum:
    MARK, INT, BIG, FLOATS, TEXT, LIST  # kinds of values

cdef enum:
    FINE, CUT_OFF, BAD_OPCODE, NO_LIST, NO_ITEM, NO_MARK, NO_MEMO, SPARSE_MEMO, LONG_INT, BAD_FRAME, NO_MEMORY
    BAD_START, TRAILING, NOT_ONE, TOO_MANY

cdef enum:
    ALWAYS = 65536  # values, however small the file is

FLOAT_SIZE = 9  # G and eight bytes

cdef class Machine:
    """A stack, a memo, and the lists that were made.

    Attributes
    ----------
    at
        Offset of the next opcode; of the one that failed after `run` returned an error.
    """

    cdef const uint8_t[::1] data
    cdef Pile stack, memo, lists, items  # a list's a, b, kind are its start in items, its length, its room
    cdef int64_t left
    cdef readonly int64_t at

    def __cinit__(self, const uint8_t[::1] data):
        self.data = data
        self.left = ALWAYS + data.shape[0]  # of what picklers write, a byte has 0.7 values at the most
        self.stack.left = self.memo.left = self.lists.left = self.items.left = &self.left

    def __dealloc__(self):
        free(self.stack.values)
        free(self.memo.values)
        free(self.lists.values)
        free(self.items.values)

    def run(self):
        """Run to the end; 0, or the code of an error at `at`."""
        cdef int code
        if self.data.shape[0] < 2 or self.data[0] != 0x80 or not 2 <= self.data[1] <= 5:
            return BAD_START
        self.at = 2
        with nogil:
            code = self.loop()
        return TOO_MANY if code == NO_MEMORY and self.left < 0 else code

    cdef int loop(self) noexcept nogil:
        cdef int64_t end = self.data.shape[0], start
        cdef uint8_t opcode
        cdef int code
        while self.at < end:
            start = self.at
            opcode = self.data[start]
            if opcode == 0x2E:  # STOP
                self.at += 1
                return self.check_end()
            self.at += 1
            code = self.step(opcode, &self.data[0] + self.at, end - self.at)
            if code != FINE:
                self.at = start
                return code
        return CUT_OFF

    cdef int check_end(self) noexcept nogil:
        if self.at != self.data.shape[0]:
            return TRAILING
        if self.stack.count != 1 or self.stack.values[0].kind == MARK:
            return NOT_ONE
        if self.stack.values[0].kind == FLOATS and self.stack.values[0].b != 1:
            return NOT_ONE
        return FINE

    cdef int step(self, uint8_t opcode, const uint8_t* at, int64_t left) noexcept nogil:
        """One opcode, whose argument starts at `at`."""
        if opcode == 0x47:
            return self.floats(left)
        if opcode == 0x94:
            return self.put(self.memo.count)
        if opcode == 0x5D:
            return self.new_list()
        if opcode == 0x28:
            return FINE if push(&self.stack, MARK, 0, 0) else NO_MEMORY
        if opcode == 0x65:
            return self.appends()
        if opcode == 0x61:
            return self.append()
        if opcode == 0x4B:
            return self.number(at, left, 1)
        if opcode == 0x4D:
            return self.number(at, left, 2)
        if opcode == 0x4A:
            return self.number(at, left, 4)
        if opcode == 0x8C:
            return self.text(at, left, 1)
        if opcode == 0x58:
            return self.text(at, left, 4)
        if opcode == 0x8D:
            return self.text(at, left, 8)
        if opcode == 0x68 or opcode == 0x71:
            return self.memory(opcode == 0x68, at, left, 1)
        if opcode == 0x6A or opcode == 0x72:
            return self.memory(opcode == 0x6A, at, left, 4)
        if opcode == 0x8A:
            return self.long_number(at, left, 1)
        if opcode == 0x8B:
            return self.long_number(at, left, 4)
        if opcode == 0x95:
            if left < 8 or little(at, 8) > <uint64_t>(left - 8):
                return BAD_FRAME
            self.at += 8
            return FINE
        return BAD_OPCODE

    cdef int floats(self, int64_t left) noexcept nogil:
        """This float and all that follow at once."""
        cdef int64_t first = self.at, end = self.data.shape[0]
        if left < 8:
            return CUT_OFF
        self.at += 8
        while end - self.at >= 9 and self.data[self.at] == 0x47:
            self.at += 9
        return FINE if push(&self.stack, FLOATS, first, (self.at - first + 1) // 9) else NO_MEMORY

    cdef int number(self, const uint8_t* at, int64_t left, int size) noexcept nogil:
        cdef int64_t value
        if left < size:
            return CUT_OFF
        value = <int64_t>little(at, size)
        if size == 4:
            value = <int32_t><uint32_t>value
        self.at += size
        return FINE if push(&self.stack, INT, value, 0) else NO_MEMORY

    cdef int long_number(self, const uint8_t* at, int64_t left, int prefix) noexcept nogil:
        cdef int64_t size, value
        if left < prefix:
            return CUT_OFF
        size = <int64_t>little(at, prefix)
        if size > 16:
            return LONG_INT
        if left - prefix < size:
            return CUT_OFF
        self.at += prefix + size
        if size > 8:
            return FINE if push(&self.stack, BIG, self.at - size, size) else NO_MEMORY
        value = <int64_t>little(at + prefix, <int>size)
        if 0 < size < 8 and at[prefix + size - 1] & 0x80:
            value |= <int64_t>(~<uint64_t>0 << (8 * size))
        return FINE if push(&self.stack, INT, value, 0) else NO_MEMORY

    cdef int text(self, const uint8_t* at, int64_t left, int prefix) noexcept nogil:
        cdef uint64_t size
        if left < prefix:
            return CUT_OFF
        size = little(at, prefix)
        if size > <uint64_t>(left - prefix):
            return CUT_OFF
        self.at += prefix
        if not push(&self.stack, TEXT, self.at, <int64_t>size):
            return NO_MEMORY
        self.at += <int64_t>size
        return FINE

    cdef int memory(self, bint get, const uint8_t* at, int64_t left, int size) noexcept nogil:
        cdef int64_t place
        if left < size:
            return CUT_OFF
        place = <int64_t>little(at, size)
        self.at += size
        if not get:
            return self.put(place)
        if place >= self.memo.count or self.memo.values[place].kind == MARK:
            return NO_MEMO
        return FINE if push(&self.stack, self.memo.values[place].kind, self.memo.values[place].a,
                            self.memo.values[place].b) else NO_MEMORY

    cdef int put(self, int64_t place) noexcept nogil:
        cdef Value top
        if not self.top_item(&top):
            return NO_ITEM
        if place > 2 * self.memo.count + 64:  # picklers count up; a huge number would ask for huge memory
            return SPARSE_MEMO
        if not make_room(&self.memo, place + 1):
            return NO_MEMORY
        while self.memo.count <= place:
            self.memo.values[self.memo.count] = Value(MARK, 0, 0)
            self.memo.count += 1
        self.memo.values[place] = top
        return FINE

    cdef bint top_item(self, Value* item) noexcept nogil:
        """The topmost single item, without taking it."""
        if self.stack.count == 0 or self.stack.values[self.stack.count - 1].kind == MARK:
            return False
        item[0] = self.stack.values[self.stack.count - 1]
        if item.kind == FLOATS:
            item.a += 9 * (item.b - 1)
            item.b = 1
        return True

    cdef int new_list(self) noexcept nogil:
        if not push(&self.lists, 0, self.items.count, 0):
            return NO_MEMORY
        return FINE if push(&self.stack, LIST, self.lists.count - 1, 0) else NO_MEMORY

    cdef int append(self) noexcept nogil:
        cdef Value item
        if not self.top_item(&item):
            return NO_ITEM
        if self.stack.values[self.stack.count - 1].kind == FLOATS \
                and self.stack.values[self.stack.count - 1].b > 1:
            return NO_LIST  # below it is another float
        self.stack.count -= 1
        return self.extend(&item, 1)

    cdef int appends(self) noexcept nogil:
        cdef int64_t mark = self.stack.count - 1, count
        while mark >= 0 and self.stack.values[mark].kind != MARK:
            mark -= 1
        if mark < 0:
            return NO_MARK
        count = self.stack.count - mark - 1
        self.stack.count = mark
        return self.extend(self.stack.values + mark + 1, count)

    cdef int extend(self, const Value* new, int64_t count) noexcept nogil:
        """Append to the list on top of the stack; `new` lies above it, or elsewhere."""
        cdef Value* target
        cdef int64_t room
        if self.stack.count == 0 or self.stack.values[self.stack.count - 1].kind != LIST:
            return NO_LIST
        target = self.lists.values + self.stack.values[self.stack.count - 1].a
        if target.b + count > target.kind:
            room = target.b + count if target.b == 0 else 2 * (target.b + count)
            if not make_room(&self.items, self.items.count + room):
                return NO_MEMORY
            if target.b:
                memcpy(self.items.values + self.items.count, self.items.values + target.a,
                       target.b * sizeof(Value))
            target.a = self.items.count
            target.kind = room
            self.items.count += room
        memcpy(self.items.values + target.a + target.b, new, count * sizeof(Value))
        target.b += count
        return FINE

    def row_count(self):
        """How many items the one list has, a run of floats counted once; -1 if it is no list."""
        if self.stack.values[0].kind != LIST:
            return -1
        return self.lists.values[self.stack.values[0].a].b

    def cells(self, int64_t[:, :, ::1] out):
        """Fill in kind, a and b of each row's values, shape (rows, columns, 3).

        Returns
        -------
        int
            -1, or the first row that is not a list of that many values.
        """
        cdef int64_t row, bad = -1
        with nogil:
            for row in range(out.shape[0]):
                if not self.row_cells(row, out):
                    bad = row
                    break
        return bad

    cdef bint row_cells(self, int64_t row, int64_t[:, :, ::1] out) noexcept nogil:
        cdef const Value* value = self.items.values + self.lists.values[self.stack.values[0].a].a + row
        cdef const Value* items
        cdef int64_t column = 0, i, k, many
        if value.kind != LIST:
            return False
        items = self.items.values + self.lists.values[value.a].a
        for i in range(self.lists.values[value.a].b):
            many = items[i].b if items[i].kind == FLOATS else 1
            if column + many > out.shape[1]:
                return False
            for k in range(many):
                out[row, column, 0] = items[i].kind
                out[row, column, 1] = items[i].a + (9 * k if items[i].kind == FLOATS else 0)
                out[row, column, 2] = 1 if items[i].kind == FLOATS else items[i].b
                column += 1
        return column == out.shape[1]

    def items_of(self, int64_t number):
        """The values of a list, as (kind, a, b)."""
        cdef const Value* items = self.items.values + self.lists.values[number].a
        return [(items[i].kind, items[i].a, items[i].b) for i in range(self.lists.values[number].b)]

    def read_fixed(self, const int64_t[:, :, ::1] cells, int64_t column, double scale, int32_t[:, ::1] out):
        """Fill in the floats of a column as multiples of 1/scale: its cells are lists, or single floats.

        Returns
        -------
        int
            -1, or the first row that is not `out.shape[1]` floats which that holds exactly.
        """
        cdef int64_t row, bad = -1
        with nogil:
            for row in range(out.shape[0]):
                if not self.row_fixed(&cells[row, column, 0], out.shape[1], scale, &out[row, 0]):
                    bad = row
                    break
        return bad

    cdef const Value* runs_of(self, const Value* cell, int64_t* runs) noexcept nogil:
        """The items of a list, or the one value that a cell is."""
        if cell.kind != LIST:
            runs[0] = 1
            return cell
        runs[0] = self.lists.values[cell.a].b
        return self.items.values + self.lists.values[cell.a].a

    cdef bint row_fixed(self, const int64_t* cell, int64_t count, double scale, int32_t* out) noexcept nogil:
        cdef int64_t runs, i, done = 0
        cdef const Value* items = self.runs_of(<const Value*>cell, &runs)
        for i in range(runs):
            if items[i].kind != FLOATS or items[i].b > count - done:
                return False
            if not fixed_run(&self.data[items[i].a], items[i].b, scale, out + done):
                return False
            done += items[i].b
        return done == count

    def read_doubles(self, const int64_t[:, :, ::1] cells, int64_t column, double[:, ::1] out):
        """Like `read_fixed`, but as they are."""
        cdef int64_t row, bad = -1
        with nogil:
            for row in range(out.shape[0]):
                if not self.row_doubles(&cells[row, column, 0], out.shape[1], &out[row, 0]):
                    bad = row
                    break
        return bad

    cdef bint row_doubles(self, const int64_t* cell, int64_t count, double* out) noexcept nogil:
        cdef int64_t runs, i, k, done = 0
        cdef const Value* items = self.runs_of(<const Value*>cell, &runs)
        for i in range(runs):
            if items[i].kind != FLOATS or items[i].b > count - done:
                return False
            for k in range(items[i].b):
                out[done + k] = double_at(&self.data[items[i].a + 9 * k])
            done += items[i].b
        return done == count

    def read_hex(self, const int64_t[:, :, ::1] cells, int64_t column, uint8_t[:, ::1] out):
        """Fill in the bytes that texts of 32 hex digits spell; -1, or the first row that is none."""
        cdef int64_t row, bad = -1
        with nogil:
            for row in range(out.shape[0]):
                if cells[row, column, 0] != TEXT or cells[row, column, 2] != 32 \
                        or not hex_bytes(&self.data[cells[row, column, 1]], &out[row, 0]):
                    bad = row
                    break
        return bad

    def read_cells(self, const int64_t[:, :, ::1] cells, int64_t column, uint8_t[:, :, ::1] out):
        """Fill in architecture vectors, shape (rows, 3, 5); -1, or the first row that is none."""
        cdef int64_t row, bad = -1
        with nogil:
            for row in range(out.shape[0]):
                if not self.row_arch(&cells[row, column, 0], &out[row, 0, 0]):
                    bad = row
                    break
        return bad

    cdef bint row_arch(self, const int64_t* cell, uint8_t* out) noexcept nogil:
        cdef const Value* stages = self.list_items(<const Value*>cell, 3)
        cdef const Value* parts
        cdef int stage
        if stages == NULL:
            return False
        for stage in range(3):
            parts = self.list_items(stages + stage, 2)
            if parts == NULL or not self.small_numbers(parts, 1, out + 5 * stage) \
                    or not self.small_numbers(parts + 1, 4, out + 5 * stage + 1):
                return False
        return True

    cdef const Value* list_items(self, const Value* value, int64_t count) noexcept nogil:
        """The items of a list of so many, else NULL."""
        if value.kind != LIST or self.lists.values[value.a].b != count:
            return NULL
        return self.items.values + self.lists.values[value.a].a

    cdef bint small_numbers(self, const Value* value, int64_t count, uint8_t* out) noexcept nogil:
        cdef const Value* items = self.list_items(value, count)
        cdef int64_t i
        if items == NULL:
            return False
        for i in range(count):
            if items[i].kind != INT or not 0 <= items[i].a <= 255:
                return False
            out[i] = <uint8_t>items[i].a
        return True


cdef bint fixed_run(const uint8_t* at, int64_t count, double scale, int32_t* out) noexcept nogil:
    """Floats nine bytes apart; False where one is no multiple of 1/scale in range, bit for bit."""
    cdef int64_t i
    cdef uint64_t bits, back, different = 0
    cdef double number, rounded
    cdef double magic = 6755399441055744.0  # adding it leaves the nearest integer
    for i in range(count):
        bits = big_endian(at + 9 * i)
        memcpy(&number, &bits, 8)
        rounded = (number * scale + magic) - magic
        if not -2147483648.0 < rounded < 2147483648.0:
            return False
        out[i] = <int32_t>rounded
        rounded = out[i] / scale
        memcpy(&back, &rounded, 8)
        different |= back ^ bits
    return different == 0
