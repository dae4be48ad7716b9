# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The graph fingerprint that names an architecture: iterated MD5 over a labelled graph.

Every node starts with the MD5 of its degrees and label. As many times as there are nodes, each node's
value becomes the MD5 of its sorted in-neighbours' values, its sorted out-neighbours' and its own. The
fingerprint is the MD5 of the sorted values. All values are the 32 hex digits as text.

Sixteen graphs of one wiring are hashed side by side: their messages have equal lengths, so one pass of MD5
(RFC 1321) works on sixteen lanes that the compiler turns into vector instructions.
"""

import hashlib

import numpy as np

from libc.math cimport fabs, floor, sin
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    LANES = 16  # gcc unrolls a loop of 8 before it looks for vectors: half the speed
    MAX_NODES = 11
    HEX = 32
    BUFFER = 512  # the longest message is the last one: 11 values, quoted, 396 bytes

cdef struct Wiring:
    int nodes
    int in_count[MAX_NODES]
    int out_count[MAX_NODES]
    int in_nodes[MAX_NODES][MAX_NODES]
    int out_nodes[MAX_NODES][MAX_NODES]

cdef struct Messages:
    uint8_t data[LANES][BUFFER]

cdef struct Values:
    uint8_t hex[LANES][MAX_NODES][HEX]

cdef uint32_t[64] SINES
cdef const char* DIGITS = b"0123456789abcdef"


cdef void fill_sines() noexcept:
    cdef int i
    for i in range(64):
        SINES[i] = <uint32_t>floor(fabs(sin(<double>(i + 1))) * 4294967296.0)


fill_sines()


cdef inline void step(int kind, uint32_t* a, const uint32_t* b, const uint32_t* c, const uint32_t* d,
                      const uint32_t* word, uint32_t sine, int shift) noexcept nogil:
    """One MD5 step on all lanes; `kind` is constant wherever this is inlined."""
    cdef int lane
    cdef uint32_t mix
    for lane in range(LANES):
        if kind == 0:
            mix = (b[lane] & c[lane]) | (~b[lane] & d[lane])
        elif kind == 1:
            mix = (b[lane] & d[lane]) | (c[lane] & ~d[lane])
        elif kind == 2:
            mix = b[lane] ^ c[lane] ^ d[lane]
        else:
            mix = c[lane] ^ (b[lane] | ~d[lane])
        mix = mix + a[lane] + word[lane] + sine
        a[lane] = b[lane] + ((mix << shift) | (mix >> (32 - shift)))


cdef void md5_block(uint32_t* state, const uint32_t* words) noexcept nogil:
    """Take one 64-byte block a lane into `state` [4][LANES]; `words` is [16][LANES]."""
    cdef uint32_t[LANES] a
    cdef uint32_t[LANES] b
    cdef uint32_t[LANES] c
    cdef uint32_t[LANES] d
    cdef int i, lane
    for lane in range(LANES):
        a[lane] = state[lane]
        b[lane] = state[LANES + lane]
        c[lane] = state[2 * LANES + lane]
        d[lane] = state[3 * LANES + lane]
    for i in range(0, 16, 4):
        step(0, a, b, c, d, &words[i * LANES], SINES[i], 7)
        step(0, d, a, b, c, &words[(i + 1) * LANES], SINES[i + 1], 12)
        step(0, c, d, a, b, &words[(i + 2) * LANES], SINES[i + 2], 17)
        step(0, b, c, d, a, &words[(i + 3) * LANES], SINES[i + 3], 22)
    for i in range(16, 32, 4):
        step(1, a, b, c, d, &words[((5 * i + 1) & 15) * LANES], SINES[i], 5)
        step(1, d, a, b, c, &words[((5 * i + 6) & 15) * LANES], SINES[i + 1], 9)
        step(1, c, d, a, b, &words[((5 * i + 11) & 15) * LANES], SINES[i + 2], 14)
        step(1, b, c, d, a, &words[((5 * i + 16) & 15) * LANES], SINES[i + 3], 20)
    for i in range(32, 48, 4):
        step(2, a, b, c, d, &words[((3 * i + 5) & 15) * LANES], SINES[i], 4)
        step(2, d, a, b, c, &words[((3 * i + 8) & 15) * LANES], SINES[i + 1], 11)
        step(2, c, d, a, b, &words[((3 * i + 11) & 15) * LANES], SINES[i + 2], 16)
        step(2, b, c, d, a, &words[((3 * i + 14) & 15) * LANES], SINES[i + 3], 23)
    for i in range(48, 64, 4):
        step(3, a, b, c, d, &words[((7 * i) & 15) * LANES], SINES[i], 6)
        step(3, d, a, b, c, &words[((7 * i + 7) & 15) * LANES], SINES[i + 1], 10)
        step(3, c, d, a, b, &words[((7 * i + 14) & 15) * LANES], SINES[i + 2], 15)
        step(3, b, c, d, a, &words[((7 * i + 21) & 15) * LANES], SINES[i + 3], 21)
    for lane in range(LANES):
        state[lane] += a[lane]
        state[LANES + lane] += b[lane]
        state[2 * LANES + lane] += c[lane]
        state[3 * LANES + lane] += d[lane]


cdef void md5(Messages* messages, int length, uint32_t* state) noexcept nogil:
    """MD5 of every lane's first `length` bytes, into `state` [4][LANES]."""
    cdef uint32_t[16 * LANES] words
    cdef int blocks = (length + 8) // 64 + 1
    cdef int block, word, lane
    cdef uint64_t bits = <uint64_t>length * 8
    cdef uint8_t* at
    for lane in range(LANES):
        at = messages.data[lane]
        memset(at + length, 0, blocks * 64 - length)
        at[length] = 0x80
        for word in range(8):
            at[blocks * 64 - 8 + word] = (bits >> (8 * word)) & 0xFF
        state[lane] = 0x67452301
        state[LANES + lane] = 0xEFCDAB89
        state[2 * LANES + lane] = 0x98BADCFE
        state[3 * LANES + lane] = 0x10325476
    for block in range(blocks):
        for word in range(16):
            for lane in range(LANES):
                at = messages.data[lane] + block * 64 + word * 4
                words[word * LANES + lane] = (
                    at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24)
                )
        md5_block(state, words)


cdef inline void write_hex(const uint32_t* state, int lane, uint8_t* out) noexcept nogil:
    cdef int i
    cdef uint8_t byte
    for i in range(16):
        byte = (state[(i >> 2) * LANES + lane] >> (8 * (i & 3))) & 0xFF
        out[2 * i] = DIGITS[byte >> 4]
        out[2 * i + 1] = DIGITS[byte & 15]


cdef inline void sort_nodes(uint8_t[MAX_NODES][HEX] values, const int* nodes, int count, int* order) noexcept nogil:
    """Node numbers in the order of their values: an insertion sort of a few."""
    cdef int i, j
    for i in range(count):
        j = i
        while j > 0 and memcmp(values[order[j - 1]], values[nodes[i]], HEX) > 0:
            order[j] = order[j - 1]
            j -= 1
        order[j] = nodes[i]


cdef inline int append_sorted(uint8_t* out, uint8_t[MAX_NODES][HEX] values, const int* nodes, int count) noexcept nogil:
    cdef int[MAX_NODES] order
    cdef int i
    sort_nodes(values, nodes, count, order)
    for i in range(count):
        memcpy(out + i * HEX, values[order[i]], HEX)
    return count * HEX


cdef void refine(const Wiring* wiring, Values* old, Values* new, Messages* messages) noexcept nogil:
    """One round: every node's new value from its neighbours' old ones."""
    cdef int node, lane, length = 0
    cdef uint32_t[4 * LANES] state
    cdef uint8_t* out
    for node in range(wiring.nodes):
        for lane in range(LANES):
            out = messages.data[lane]
            length = append_sorted(out, old.hex[lane], wiring.in_nodes[node], wiring.in_count[node])
            out[length] = c"|"
            length += 1
            length += append_sorted(
                out + length, old.hex[lane], wiring.out_nodes[node], wiring.out_count[node])
            out[length] = c"|"
            memcpy(out + length + 1, old.hex[lane][node], HEX)
            length += 1 + HEX
        md5(messages, length, state)
        for lane in range(LANES):
            write_hex(state, lane, new.hex[lane][node])


cdef void summarise(const Wiring* wiring, Values* values, Messages* messages, uint32_t* state) noexcept nogil:
    """MD5 of the sorted values, written as Python writes a list of texts."""
    cdef int[MAX_NODES] nodes
    cdef int[MAX_NODES] order
    cdef int i, lane, length = 0
    cdef uint8_t* out
    for i in range(wiring.nodes):
        nodes[i] = i
    for lane in range(LANES):
        out = messages.data[lane]
        sort_nodes(values.hex[lane], nodes, wiring.nodes, order)
        length = 0
        for i in range(wiring.nodes):
            memcpy(out + length, b"['" if i == 0 else b", '", 2 if i == 0 else 3)
            length += 2 if i == 0 else 3
            memcpy(out + length, values.hex[lane][order[i]], HEX)
            out[length + HEX] = c"'"
            length += HEX + 1
        out[length] = c"]"
        length += 1
    md5(messages, length, state)


cdef void hash_graphs(const Wiring* wiring, const uint8_t[:, :, ::1] start, uint8_t[:, ::1] out) noexcept nogil:
    cdef Values first, second
    cdef Messages messages
    cdef uint32_t[4 * LANES] state
    cdef Py_ssize_t base, graph, count = start.shape[0]
    cdef int lane, i
    base = 0
    while base < count:
        for lane in range(LANES):
            graph = min(base + lane, count - 1)  # the last lanes may repeat the last graph
            memcpy(first.hex[lane], &start[graph, 0, 0], wiring.nodes * HEX)
        for i in range(wiring.nodes):
            if i % 2 == 0:
                refine(wiring, &first, &second, &messages)
            else:
                refine(wiring, &second, &first, &messages)
        summarise(wiring, &second if wiring.nodes % 2 else &first, &messages, state)
        for lane in range(LANES):
            if base + lane < count:
                for i in range(16):
                    out[base + lane, i] = (state[(i >> 2) * LANES + lane] >> (8 * (i & 3))) & 0xFF
        base += LANES


def digests(labels, edges):
    """Fingerprints of graphs that share one wiring.

    Parameters
    ----------
    labels
        int64 array of shape (graphs, nodes), at most 11 nodes.
    edges
        Pairs ``(from, to)`` of node positions, each pair once.

    Returns
    -------
    numpy.ndarray
        uint8, shape (graphs, 16): the 128-bit hashes, first hex digits first.

    Raises
    ------
    ValueError
        Too many nodes, or an edge that names a node that is not there.
    """
    count, nodes = labels.shape
    if not 1 <= nodes <= MAX_NODES:
        raise ValueError(f"a graph of the search space has 1 … {MAX_NODES} nodes, not {nodes}")
    cdef Wiring wiring
    memset(&wiring, 0, sizeof(Wiring))
    wiring.nodes = nodes
    for a, b in sorted(set(edges)):
        if not (0 <= a < nodes and 0 <= b < nodes):
            raise ValueError(f"edge ({a}, {b}) names a node outside 0 … {nodes - 1}")
        wiring.out_nodes[a][wiring.out_count[a]] = b
        wiring.out_count[a] += 1
        wiring.in_nodes[b][wiring.in_count[b]] = a
        wiring.in_count[b] += 1
    start = np.empty((count, nodes, HEX), dtype=np.uint8)
    for node in range(nodes):
        column = labels[:, node]
        for label in np.unique(column).tolist():
            text = str((float(wiring.out_count[node]), float(wiring.in_count[node]), label))
            value = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().encode()
            start[column == label, node] = np.frombuffer(value, dtype=np.uint8)
    out = np.empty((count, 16), dtype=np.uint8)
    cdef const uint8_t[:, :, ::1] start_view = start
    cdef uint8_t[:, ::1] out_view = out
    with nogil:
        hash_graphs(&wiring, start_view, out_view)
    return out
