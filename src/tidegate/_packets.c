/* The inner loops of the packets between gateways and workers: those of `wire`. */

#include "_speedups.h"

enum { HEADER_SIZE = 28, PACKET_FIELDS = 10 };

enum { BODY_FIELD = 4 };

/* A packet; where it begins a run, with a list of bodies. */
static PyObject *packet_of(const unsigned char *header, Py_ssize_t size, Py_ssize_t ext_size, int begins_run) {
    const char *ext = (const char *)header + HEADER_SIZE;
    PyObject *fields[PACKET_FIELDS] = {
        PyLong_FromLong(header[4]),
        PyLong_FromUnsignedLong(read32(header + 17)),
        PyLong_FromLong(header[21]),
        PyBytes_FromStringAndSize(ext, ext_size),
        PyBytes_FromStringAndSize(ext + ext_size, size - HEADER_SIZE - ext_size),
        PyLong_FromUnsignedLong(read32(header + 5)),
        PyLong_FromUnsignedLong(read16(header + 9)),
        PyLong_FromUnsignedLong(read32(header + 11)),
        PyLong_FromUnsignedLong(read16(header + 15)),
        PyLong_FromUnsignedLong(read16(header + 22)),
    };
    PyObject *packet = PyTuple_New(PACKET_FIELDS);
    int failed = packet == NULL;
    if (begins_run && fields[BODY_FIELD] != NULL) {
        PyObject *bodies = PyList_New(1);
        if (bodies != NULL)
            PyList_SET_ITEM(bodies, 0, fields[BODY_FIELD]);
        else
            Py_DECREF(fields[BODY_FIELD]);
        fields[BODY_FIELD] = bodies;
    }
    for (int at = 0; at < PACKET_FIELDS; at++) {
        failed |= fields[at] == NULL;
        if (packet != NULL)
            PyTuple_SET_ITEM(packet, at, fields[at]);
        else
            Py_XDECREF(fields[at]);
    }
    if (failed) Py_CLEAR(packet);
    return packet;
}

/* Whether a packet differs from the one before in its size and body alone. */
static int goes_on(const unsigned char *before, const unsigned char *header, Py_ssize_t ext_size) {
    return memcmp(before + 4, header + 4, HEADER_SIZE - 4) == 0 &&
           memcmp(before + HEADER_SIZE, header + HEADER_SIZE, (size_t)ext_size) == 0;
}

/* Take packets, each for itself or in runs: `bodies` are those of the last one, which began at `before`. */
static PyObject *scan(PyObject *const *args, Py_ssize_t count, int in_runs) {
    Py_buffer view;
    const unsigned char *before = NULL;
    PyObject *bodies = NULL;
    if (count != 3 || !PyList_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "scanning packets takes data, limit and a list");
        return NULL;
    }
    Py_ssize_t limit = PyLong_AsSsize_t(args[1]), position = 0;
    if (limit == -1 && PyErr_Occurred()) return NULL;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) return NULL;
    while (view.len - position >= HEADER_SIZE) {
        const unsigned char *header = (const unsigned char *)view.buf + position;
        int64_t size = read32(header), ext_size = read32(header + 24);
        if (size > limit || HEADER_SIZE + ext_size > size || size > view.len - position) break;
        int failed;
        PyObject *item;
        if (before != NULL && goes_on(before, header, (Py_ssize_t)ext_size)) {
            const char *body = (const char *)header + HEADER_SIZE + ext_size;
            item = PyBytes_FromStringAndSize(body, (Py_ssize_t)(size - HEADER_SIZE - ext_size));
            failed = item == NULL || PyList_Append(bodies, item) < 0;
        } else {
            item = packet_of(header, (Py_ssize_t)size, (Py_ssize_t)ext_size, in_runs);
            failed = item == NULL || PyList_Append(args[2], item) < 0;
            if (in_runs && !failed) {
                Py_XSETREF(bodies, Py_NewRef(PyTuple_GET_ITEM(item, BODY_FIELD)));
                before = header;
            }
        }
        Py_XDECREF(item);
        if (failed) {
            Py_XDECREF(bodies);
            PyBuffer_Release(&view);
            return NULL;
        }
        position += (Py_ssize_t)size;
    }
    Py_XDECREF(bodies);
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(position);
}

PyDoc_STRVAR(scan_packets_doc,
             "scan_packets(data, limit, packets)\n--\n\n"
             "Take packets that are complete; gives the position of the first that is not, or is none.");

static PyObject *scan_packets(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    return scan(args, count, 0);
}

PyDoc_STRVAR(scan_runs_doc,
             "scan_runs(data, limit, runs)\n--\n\n"
             "Do what scan_packets does, with those together that come in a row and differ in their bodies alone.");

static PyObject *scan_runs(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    return scan(args, count, 1);
}

enum { HEADER_FIELDS = 8 };

/* Read the numbers of a header: command, address and port, the client's, connection id, flags, gateway port. */
static int read_fields(PyObject *const *args, unsigned long *field) {
    static const unsigned long most[] = {0xFF, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFFF, 0xFF, 0xFFFF};
    for (int at = 0; at < HEADER_FIELDS; at++) {
        field[at] = PyLong_AsUnsignedLong(args[at]);
        if (field[at] == (unsigned long)-1 && PyErr_Occurred()) return -1;
        if (field[at] > most[at]) {
            PyErr_Format(PyExc_OverflowError, "field %d of a packet is too big: %lu", at, field[at]);
            return -1;
        }
    }
    return 0;
}

/* Write a header, and ext data behind it; gives where the body goes. */
static unsigned char *write_head(unsigned char *to, const unsigned long *field, unsigned long flags, const char *ext,
                                 Py_ssize_t ext_size, Py_ssize_t body_size) {
    write32(to, (unsigned long)(HEADER_SIZE + ext_size + body_size));
    to[4] = (unsigned char)field[0];
    write32(to + 5, field[1]);
    write16(to + 9, field[2]);
    write32(to + 11, field[3]);
    write16(to + 15, field[4]);
    write32(to + 17, field[5]);
    to[21] = (unsigned char)flags;
    write16(to + 22, field[7]);
    write32(to + 24, (unsigned long)ext_size);
    memcpy(to + HEADER_SIZE, ext, ext_size);
    return to + HEADER_SIZE + ext_size;
}

PyDoc_STRVAR(pack_packet_doc,
             "pack_packet(command, ip, port, client_ip, client_port, number, flags, gateway_port, ext, body)\n--\n\n"
             "The bytes of a packet.");

static PyObject *pack_packet(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    unsigned long field[HEADER_FIELDS];
    Py_ssize_t ext_size, body_size;
    if (count != 10) {
        PyErr_SetString(PyExc_TypeError, "pack_packet takes 10 arguments");
        return NULL;
    }
    if (read_fields(args, field) < 0) return NULL;
    const char *ext = content_of(args[8], &ext_size);
    if (ext == NULL) return NULL;
    const char *body = content_of(args[9], &body_size);
    if (body == NULL) return NULL;
    if (ext_size > 0x7FFFFFFF || body_size > 0x7FFFFFFF - HEADER_SIZE) {
        PyErr_SetString(PyExc_OverflowError, "a packet of over 2 GiB");
        return NULL;
    }
    PyObject *packet = PyBytes_FromStringAndSize(NULL, HEADER_SIZE + ext_size + body_size);
    if (packet == NULL) return NULL;
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(packet);
    memcpy(write_head(to, field, field[6], ext, ext_size, body_size), body, body_size);
    return packet;
}

PyDoc_STRVAR(pack_packets_doc,
             "pack_packets(command, ip, port, client_ip, client_port, number, text_flags, binary_flags, gateway_port, "
             "ext, bodies, limit)\n--\n\n"
             "The bytes of packets that differ in their bodies; None where one is longer than the limit.");

static PyObject *pack_packets(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    enum { TEXT_FLAGS = 6, BINARY_FLAGS, GATEWAY_PORT, EXT, BODIES, LIMIT, ARGUMENTS };
    if (count != ARGUMENTS || !PyList_Check(args[BODIES])) {
        PyErr_SetString(PyExc_TypeError, "pack_packets takes 12 arguments, one of them a list");
        return NULL;
    }
    unsigned long field[HEADER_FIELDS];
    PyObject *numbers[HEADER_FIELDS];
    memcpy(numbers, args, BINARY_FLAGS * sizeof *args);
    numbers[HEADER_FIELDS - 1] = args[GATEWAY_PORT];
    if (read_fields(numbers, field) < 0) return NULL;
    unsigned long text_flags = field[TEXT_FLAGS], binary_flags = PyLong_AsUnsignedLong(args[BINARY_FLAGS]);
    if (binary_flags == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    Py_ssize_t limit = PyLong_AsSsize_t(args[LIMIT]), ext_size, body_size, size = 0;
    if (limit == -1 && PyErr_Occurred()) return NULL;
    const char *ext = content_of(args[EXT], &ext_size);
    if (ext == NULL) return NULL;
    /* No other code runs between the two passes, so that nothing changes. */
    Py_ssize_t many = PyList_GET_SIZE(args[BODIES]);
    for (Py_ssize_t at = 0; at < many; at++) {
        if (content_of(PyList_GET_ITEM(args[BODIES], at), &body_size) == NULL) return NULL;
        if (body_size > limit - HEADER_SIZE - ext_size || body_size > 0x7FFFFFFF - HEADER_SIZE - ext_size)
            Py_RETURN_NONE;
        size += HEADER_SIZE + ext_size + body_size;
    }
    PyObject *packets = PyBytes_FromStringAndSize(NULL, size);
    if (packets == NULL) return NULL;
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(packets);
    for (Py_ssize_t at = 0; at < many; at++) {
        PyObject *item = PyList_GET_ITEM(args[BODIES], at);
        const char *body = content_of(item, &body_size);
        if (body == NULL) { /* it was there before */
            Py_DECREF(packets);
            return NULL;
        }
        unsigned long flags = PyUnicode_Check(item) ? text_flags : binary_flags;
        to = write_head(to, field, flags, ext, ext_size, body_size);
        memcpy(to, body, body_size);
        to += body_size;
    }
    return packets;
}

PyMethodDef tidegate_packet_functions[] = {
    {"scan_packets", (PyCFunction)(void (*)(void))scan_packets, METH_FASTCALL, scan_packets_doc},
    {"scan_runs", (PyCFunction)(void (*)(void))scan_runs, METH_FASTCALL, scan_runs_doc},
    {"pack_packet", (PyCFunction)(void (*)(void))pack_packet, METH_FASTCALL, pack_packet_doc},
    {"pack_packets", (PyCFunction)(void (*)(void))pack_packets, METH_FASTCALL, pack_packets_doc},
    {NULL, NULL, 0, NULL},
};
