# Sourced by `make wheel-cuda`, with the environment that holds the packages of toolchain.txt: says where CUDA is, and makes
# what the linker needs. Without a GPU, and without an installed CUDA toolkit.
environment=$(cd "$1" && pwd)
CUDA_HOME=$(echo "$environment"/lib/python3*/site-packages/nvidia/cu13)
[ -x "$CUDA_HOME/bin/nvcc" ] || { echo "toolchain.sh: no nvcc in $CUDA_HOME/bin" >&2; exit 1; }
stubs=$environment/stubs

# The packages have libraries by their full names only, where the linker asks for lib*.so.
mkdir -p "$stubs"
for library in cudart.so.13 cublas.so.13 cublasLt.so.13 curand.so.10 nvrtc.so.13; do
    ln -sf "$CUDA_HOME/lib/lib$library" "$stubs/lib${library%.*}"
done
# The driver's library comes with the driver. To link, one will do that has the functions of its header, each of which returns
# CUDA_ERROR_NO_DEVICE.
[ -e "$stubs/libcuda.so" ] || grep -oE '\bcu[A-Z][A-Za-z0-9_]*' "$CUDA_HOME/include/cuda.h" | sort -u |
    sed 's/.*/int &(void) { return 100; }/' | cc -shared -fPIC -Wl,-soname,libcuda.so.1 -x c - -o "$stubs/libcuda.so"

# The kernels are compiled to PTX for this compute capability, and by the driver for what the GPU has: every later one will do.
export CUDA_COMPUTE_CAP=80
# Four names for one place: each of the crates that look for CUDA knows another.
export CUDA_HOME CUDA_PATH=$CUDA_HOME CUDA_ROOT=$CUDA_HOME CUDA_TOOLKIT_ROOT_DIR=$CUDA_HOME
export PATH=$CUDA_HOME/bin:$PATH
# Instead of RUSTFLAGS, a change of which compiles every crate again.
export LIBRARY_PATH=$stubs${LIBRARY_PATH:+:$LIBRARY_PATH}
