/* The inner loop of a broadcast: that of `net`. Windows is left to its twin in Python. */

#include "_speedups.h"

#ifndef MS_WINDOWS
#include <errno.h>
#include <sys/socket.h>
#ifndef MSG_NOSIGNAL /* macOS: Python ignores SIGPIPE */
#define MSG_NOSIGNAL 0
#endif

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

PyMethodDef tidegate_socket_functions[] = {
#ifndef MS_WINDOWS
    {"send_many", (PyCFunction)(void (*)(void))send_many, METH_FASTCALL, send_many_doc},
#endif
    {NULL, NULL, 0, NULL},
};
