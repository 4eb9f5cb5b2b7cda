/* What the compiled inner loops share: numbers in network byte order, and the bytes of what may be text. */

#ifndef TIDEGATE_SPEEDUPS_H
#define TIDEGATE_SPEEDUPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* The functions of each file, for the module to have. */
extern PyMethodDef tidegate_frame_functions[], tidegate_packet_functions[], tidegate_socket_functions[];

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

/* The bytes of a str or bytes, which live as long as it does. */
static inline const char *content_of(PyObject *value, Py_ssize_t *size) {
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

#endif
