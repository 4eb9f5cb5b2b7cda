/* The inner loops of the codecs, for where there is a compiler. Each function has a twin in Python that is used where
 * this module is missing, and the same tests; what is unusual is left to that: these only do what is common.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#ifndef MS_WINDOWS
#include <errno.h>
#include <sys/socket.h>
#endif
#ifndef MSG_NOSIGNAL /* macOS: Python ignores SIGPIPE */
#define MSG_NOSIGNAL 0
#endif

enum { HEADER_SIZE = 28, MASKED = 0x80, WHOLE_TEXT = 0x81, WHOLE_BINARY = 0x82, PACKET_FIELDS = 10 };

static inline uint32_t read16(const unsigned char *p) { return (uint32_t)p[0] << 8 | p[1]; }

static inline uint32_t read32(const unsigned char *p) { return read16(p) << 16 | read16(p + 2); }

static inline void write16(unsigned char *p, unsigned long value) {
    p[0] = (unsigned char)(value >> 8);
    p[1] = (unsigned char)value;
}

static inline void write32(unsigned char *p, unsigned long value) {
    write16(p, value >> 16);
    write16(p + 2, value);
}

/* Copy without the mask; gives all bytes or-ed together, so that it is seen whether they are ASCII. */
static unsigned char unmask(unsigned char *to, const unsigned char *from, Py_ssize_t size, const unsigned char *mask) {
    uint64_t wide, all = 0, word;
    unsigned char rest = 0;
    Py_ssize_t at = 0;
    memcpy(&wide, mask, 4);
    memcpy((unsigned char *)&wide + 4, mask, 4);
    for (; at + 8 <= size; at += 8) {
        memcpy(&word, from + at, 8);
        word ^= wide;
        all |= word;
        memcpy(to + at, &word, 8);
    }
    for (; at < size; at++) rest |= to[at] = from[at] ^ mask[at & 3];
    return (all & UINT64_C(0x8080808080808080)) ? 0x80 | rest : rest;
}

/* The text of a frame; NULL with no exception set where it is no UTF-8. */
static PyObject *text_of(const unsigned char *payload, Py_ssize_t size, const unsigned char *mask) {
    PyObject *text = PyUnicode_New(size, 127), *decoded;
    if (text == NULL || size == 0) return text;
    unsigned char *data = PyUnicode_1BYTE_DATA(text);
    if (unmask(data, payload, size, mask) < 0x80) return text;
    decoded = PyUnicode_DecodeUTF8((const char *)data, size, NULL);
    Py_DECREF(text);
    if (decoded == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) PyErr_Clear();
    return decoded;
}

PyDoc_STRVAR(apply_mask_doc, "apply_mask(data, mask)\n--\n\nThe data without its mask of 4 bytes, or with it.");

static PyObject *apply_mask(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    Py_buffer data, mask;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "apply_mask takes data and a mask");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) return NULL;
    if (PyObject_GetBuffer(args[1], &mask, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&data);
        return NULL;
    }
    PyObject *result = NULL;
    if (mask.len != 4)
        PyErr_SetString(PyExc_ValueError, "a mask has 4 bytes");
    else if ((result = PyBytes_FromStringAndSize(NULL, data.len)) != NULL && data.len > 0)
        unmask((unsigned char *)PyBytes_AS_STRING(result), data.buf, data.len, mask.buf);
    PyBuffer_Release(&mask);
    PyBuffer_Release(&data);
    return result;
}

PyDoc_STRVAR(scan_frames_doc,
             "scan_frames(data, position, limit, messages)\n--\n\n"
             "Take masked frames, each a whole message of up to 64 KiB; gives the position of the first other thing.");

static PyObject *scan_frames(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    Py_buffer view;
    if (count != 4 || !PyList_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError, "scan_frames takes data, position, limit and a list");
        return NULL;
    }
    Py_ssize_t position = PyLong_AsSsize_t(args[1]), limit = PyLong_AsSsize_t(args[2]);
    if ((position == -1 || limit == -1) && PyErr_Occurred()) return NULL;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) return NULL;
    const unsigned char *data = view.buf;
    while (position >= 0 && view.len - position >= 6) {
        const unsigned char *frame = data + position;
        unsigned char first = frame[0];
        if (first != WHOLE_TEXT && first != WHOLE_BINARY) break;
        if (frame[1] < MASKED || frame[1] == (MASKED | 127)) break;
        Py_ssize_t size = frame[1] & 127, start = 6;
        if (size == 126) {
            if (view.len - position < 8) break;
            size = read16(frame + 2);
            start = 8;
            if (size < 126) break;
        }
        if (size > limit || start + size > view.len - position) break;
        PyObject *message;
        if (first == WHOLE_TEXT) {
            message = text_of(frame + start, size, frame + start - 4);
            if (message == NULL && !PyErr_Occurred()) break;
        } else {
            message = PyBytes_FromStringAndSize(NULL, size);
            if (message != NULL && size > 0)
                unmask((unsigned char *)PyBytes_AS_STRING(message), frame + start, size, frame + start - 4);
        }
        if (message == NULL || PyList_Append(args[3], message) < 0) {
            Py_XDECREF(message);
            PyBuffer_Release(&view);
            return NULL;
        }
        Py_DECREF(message);
        position += start + size;
    }
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(position);
}

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

/* The bytes of a str or bytes, which live as long as it does. */
static const char *content_of(PyObject *value, Py_ssize_t *size) {
    if (PyBytes_Check(value)) {
        *size = PyBytes_GET_SIZE(value);
        return PyBytes_AS_STRING(value);
    }
    if (PyUnicode_Check(value)) return PyUnicode_AsUTF8AndSize(value, size);
    if (PyByteArray_Check(value)) {
        *size = PyByteArray_GET_SIZE(value);
        return PyByteArray_AS_STRING(value);
    }
    PyErr_Format(PyExc_TypeError, "str or bytes expected, not %.100s", Py_TYPE(value)->tp_name);
    return NULL;
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

static PyObject *frame_of(unsigned char first, const char *payload, Py_ssize_t size) {
    Py_ssize_t head = size < 126 ? 2 : size < 65536 ? 4 : 10;
    PyObject *frame = PyBytes_FromStringAndSize(NULL, head + size);
    if (frame == NULL) return NULL;
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(frame);
    to[0] = first;
    if (head == 2) {
        to[1] = (unsigned char)size;
    } else if (head == 4) {
        to[1] = 126;
        write16(to + 2, (unsigned long)size);
    } else {
        to[1] = 127;
        write32(to + 2, (unsigned long)((uint64_t)size >> 32));
        write32(to + 6, (unsigned long)((uint64_t)size & 0xFFFFFFFF));
    }
    memcpy(to + head, payload, size);
    return frame;
}

PyDoc_STRVAR(make_frame_doc,
             "make_frame(first, payload)\n--\n\nA frame without a mask, of str or bytes (RFC 6455 section 5.2).");

static PyObject *make_frame(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "make_frame takes the first byte and a payload");
        return NULL;
    }
    Py_ssize_t size;
    unsigned long first = PyLong_AsUnsignedLong(args[0]);
    if (first == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    const char *payload = content_of(args[1], &size);
    return payload == NULL ? NULL : frame_of((unsigned char)first, payload, size);
}

static int is_utf8(const char *data, Py_ssize_t size) {
    uint64_t all = 0, word;
    Py_ssize_t at = 0;
    for (; at + 8 <= size; at += 8) {
        memcpy(&word, data + at, 8);
        all |= word;
    }
    unsigned char rest = 0;
    for (; at < size; at++) rest |= (unsigned char)data[at];
    if (!(all & UINT64_C(0x8080808080808080)) && rest < 0x80) return 1;
    PyObject *text = PyUnicode_DecodeUTF8(data, size, NULL);
    if (text != NULL) {
        Py_DECREF(text);
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return -1;
    PyErr_Clear();
    return 0;
}

PyDoc_STRVAR(body_frames_doc, "body_frames(bodies)\n--\n\nThose of a list of bodies, each as of `body_frame`.");

static PyObject *body_frame(PyObject *self, PyObject *body);

static PyObject *body_frames(PyObject *self, PyObject *bodies) {
    if (!PyList_Check(bodies)) {
        PyErr_SetString(PyExc_TypeError, "bodies come in a list");
        return NULL;
    }
    Py_ssize_t many = PyList_GET_SIZE(bodies);
    PyObject *frames = PyList_New(many);
    for (Py_ssize_t at = 0; frames != NULL && at < many; at++) {
        PyObject *frame = body_frame(self, PyList_GET_ITEM(bodies, at));
        if (frame == NULL)
            Py_CLEAR(frames);
        else
            PyList_SET_ITEM(frames, at, frame);
    }
    return frames;
}

PyDoc_STRVAR(body_frame_doc,
             "body_frame(body)\n--\n\nThe frame of a packet's body: text where it is UTF-8, else binary.");

static PyObject *body_frame(PyObject *Py_UNUSED(self), PyObject *body) {
    if (!PyBytes_Check(body)) {
        PyErr_SetString(PyExc_TypeError, "a body is bytes");
        return NULL;
    }
    const char *data = PyBytes_AS_STRING(body);
    Py_ssize_t size = PyBytes_GET_SIZE(body);
    int is_text = is_utf8(data, size);
    return is_text < 0 ? NULL : frame_of(is_text ? WHOLE_TEXT : WHOLE_BINARY, data, size);
}

#ifndef MS_WINDOWS
PyDoc_STRVAR(send_many_doc,
             "send_many(sockets, data)\n--\n\n"
             "Send the same on each of some sockets that don't block; gives how many bytes each took, -1 where it broke.");

static PyObject *send_many(PyObject *Py_UNUSED(self), PyObject *const *args, Py_ssize_t count) {
    if (count != 2 || !PyList_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "send_many takes a list of sockets and bytes");
        return NULL;
    }
    Py_ssize_t many = PyList_GET_SIZE(args[0]), size = PyBytes_GET_SIZE(args[1]);
    const char *data = PyBytes_AS_STRING(args[1]);
    int *fds = PyMem_New(int, many + 1);
    Py_ssize_t *taken = PyMem_New(Py_ssize_t, many + 1);
    PyObject *result = NULL;
    if (fds == NULL || taken == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t at = 0; at < many; at++) {
        if (at >= PyList_GET_SIZE(args[0])) { /* fileno() may be anything, even what shortens the list */
            PyErr_SetString(PyExc_RuntimeError, "the list of sockets changed");
            goto done;
        }
        fds[at] = PyObject_AsFileDescriptor(PyList_GET_ITEM(args[0], at));
        if (fds[at] < 0) { /* closed by the loop, which has not said so yet */
            if (!PyErr_ExceptionMatches(PyExc_ValueError)) goto done;
            PyErr_Clear();
        }
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t at = 0; at < many; at++) {
        if (fds[at] < 0) {
            taken[at] = -1;
            continue;
        }
        taken[at] = send(fds[at], data, (size_t)size, MSG_NOSIGNAL);
        if (taken[at] < 0) taken[at] = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    }
    Py_END_ALLOW_THREADS
    result = PyList_New(many);
    for (Py_ssize_t at = 0; result != NULL && at < many; at++) {
        PyObject *item = PyLong_FromSsize_t(taken[at]);
        if (item == NULL)
            Py_CLEAR(result);
        else
            PyList_SET_ITEM(result, at, item);
    }
done:
    PyMem_Free(fds);
    PyMem_Free(taken);
    return result;
}
#endif

static PyMethodDef methods[] = {
#ifndef MS_WINDOWS
    {"send_many", (PyCFunction)(void (*)(void))send_many, METH_FASTCALL, send_many_doc},
#endif
    {"apply_mask", (PyCFunction)(void (*)(void))apply_mask, METH_FASTCALL, apply_mask_doc},
    {"scan_frames", (PyCFunction)(void (*)(void))scan_frames, METH_FASTCALL, scan_frames_doc},
    {"scan_packets", (PyCFunction)(void (*)(void))scan_packets, METH_FASTCALL, scan_packets_doc},
    {"scan_runs", (PyCFunction)(void (*)(void))scan_runs, METH_FASTCALL, scan_runs_doc},
    {"pack_packet", (PyCFunction)(void (*)(void))pack_packet, METH_FASTCALL, pack_packet_doc},
    {"pack_packets", (PyCFunction)(void (*)(void))pack_packets, METH_FASTCALL, pack_packets_doc},
    {"make_frame", (PyCFunction)(void (*)(void))make_frame, METH_FASTCALL, make_frame_doc},
    {"body_frames", body_frames, METH_O, body_frames_doc},
    {"body_frame", body_frame, METH_O, body_frame_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "tidegate._speedups", "The inner loops of the codecs.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__speedups(void) { return PyModuleDef_Init(&module); }
