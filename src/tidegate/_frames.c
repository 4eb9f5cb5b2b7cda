/* The inner loops of the WebSocket codec (RFC 6455 section 5.2): those of `protocols`. */

#include "_speedups.h"

enum { MASKED = 0x80, WHOLE_TEXT = 0x81, WHOLE_BINARY = 0x82 };

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

PyMethodDef tidegate_frame_functions[] = {
    {"apply_mask", (PyCFunction)(void (*)(void))apply_mask, METH_FASTCALL, apply_mask_doc},
    {"scan_frames", (PyCFunction)(void (*)(void))scan_frames, METH_FASTCALL, scan_frames_doc},
    {"make_frame", (PyCFunction)(void (*)(void))make_frame, METH_FASTCALL, make_frame_doc},
    {"body_frames", body_frames, METH_O, body_frames_doc},
    {"body_frame", body_frame, METH_O, body_frame_doc},
    {NULL, NULL, 0, NULL},
};
