/* The inner loops of the codecs, for where there is a compiler. Each function has a twin in Python that is used where
 * this module is missing, and the same tests; what is unusual is left to that: these only do what is common.
 */

#include "_speedups.h"

static int add_functions(PyObject *module) {
    if (PyModule_AddFunctions(module, tidegate_frame_functions) < 0) return -1;
    if (PyModule_AddFunctions(module, tidegate_packet_functions) < 0) return -1;
    return PyModule_AddFunctions(module, tidegate_socket_functions);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_functions}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "tidegate._speedups", "The inner loops of the codecs.", 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__speedups(void) { return PyModuleDef_Init(&module); }
