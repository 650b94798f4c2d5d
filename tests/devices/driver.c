/* A stand-in for the NVIDIA driver's libcuda.so.1: the functions that corten/cuda_driver.py calls, with the signatures of
   cuda.h, saying what the environment says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int started = 0;

int cuDriverGetVersion(int *version) {
    *version = number("DRIVER_CUDA", 13000);
    return 0;
}

int cuInit(unsigned int flags) {
    int error = number("DRIVER_INIT", flags == 0 ? 0 : 1);
    started = error == 0;
    return error;
}

int cuDeviceGetCount(int *count) {
    *count = number("DRIVER_GPUS", 1);
    return started ? 0 : 3;
}

int cuDeviceGet(int *device, int ordinal) {
    /* A handle is not an ordinal. */
    *device = 40 + ordinal;
    return started && ordinal >= 0 && ordinal < number("DRIVER_GPUS", 1) ? 0 : 101;
}

int cuDeviceGetName(char *name, int length, int device) {
    return snprintf(name, length, "Imagined GPU %d", device - 40) < length ? 0 : 1;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int capability = number("DRIVER_CAPABILITY", 90);
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : -1;
    return device >= 40 ? 0 : 101;
}

int cuGetErrorString(int error, const char **text) {
    *text = error == 3 ? "initialization error" : error == 999 ? "unknown error" : NULL;
    return *text ? 0 : 1;
}
