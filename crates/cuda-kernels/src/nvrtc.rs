//! NVIDIA's run-time compiler, a library that is opened when it is first needed.
//!
//! It gives machine code (a cubin), not PTX: a driver runs the machine code of any compiler of its own major version, but refuses PTX
//! of a newer compiler than itself.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use libloading::{Library, Symbol};

use crate::error::Error;
use crate::program::{INSTRUCTIONS, Program};

/// What every program is compiled with, besides the architecture. Products and sums are fused, as they are on the CPU; divisions,
/// roots and exponentials are exact to the standard functions' bounds.
const OPTIONS: [&CStr; 2] = [c"--std=c++17", c"--fmad=true"];

/// The names under which the library may be found, newest first.
const LIBRARIES: [&str; 3] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];

type Handle = *mut c_void;
type CreateProgram = unsafe extern "C" fn(
    *mut Handle,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type CompileProgram = unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int;
type DestroyProgram = unsafe extern "C" fn(*mut Handle) -> c_int;
type GetSize = unsafe extern "C" fn(Handle, *mut usize) -> c_int;
type GetBytes = unsafe extern "C" fn(Handle, *mut c_char) -> c_int;

/// The compiler.
#[derive(Debug)]
pub struct Nvrtc {
    library: Library,
    /// Kept loaded: the compiler asks for it by name.
    _builtins: Option<Library>,
}

impl Nvrtc {
    /// Opens the compiler under its usual names: what the process has loaded already, or what the system finds.
    ///
    /// # Errors
    /// [`Error::NoCompiler`].
    pub fn find() -> Result<Self, Error> {
        let mut first = None;
        for name in LIBRARIES {
            match Self::open(Path::new(name)) {
                Ok(compiler) => return Ok(compiler),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let none = || Error::NoCompiler { library: LIBRARIES[0].to_owned(), message: "not found".to_owned() };
        Err(first.unwrap_or_else(none))
    }

    /// Opens the compiler's library, and libnvrtc-builtins if it is in the same folder: the compiler would only look for it where the system
    /// looks.
    ///
    /// # Errors
    /// [`Error::NoCompiler`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let no_compiler = |error: libloading::Error| Error::NoCompiler {
            library: path.display().to_string(),
            message: error.to_string(),
        };
        let builtins = builtins_beside(path).map(|path| load(&path)).transpose().map_err(no_compiler)?;
        Ok(Self { library: load(path).map_err(no_compiler)?, _builtins: builtins })
    }

    /// The machine code of `program` for `architecture`, such as `sm_90`.
    ///
    /// # Errors
    /// [`Error::Compile`] with the compiler's words.
    pub fn compile(&self, program: &Program, architecture: &str) -> Result<Vec<u8>, Error> {
        let kernel = program.kernel().name();
        let refused = |log: String| Error::Compile { kernel, architecture: architecture.to_owned(), log };
        let no_nul = |_| refused("a character NUL".to_owned());
        let source = CString::new(program.source(INSTRUCTIONS)).map_err(no_nul)?;
        let option = CString::new(format!("--gpu-architecture={architecture}")).map_err(no_nul)?;
        let options: Vec<*const c_char> = OPTIONS.into_iter().chain([option.as_c_str()]).map(CStr::as_ptr).collect();
        let count = c_int::try_from(options.len()).map_err(|error| refused(error.to_string()))?;
        let handle = Source::new(self, &source).map_err(refused)?;
        // SAFETY: the function has this type in nvrtc.h, the handle is alive, and `options` are `count` strings that are.
        let status = unsafe {
            (self.function::<CompileProgram>(c"nvrtcCompileProgram").map_err(refused)?)(
                handle.0,
                count,
                options.as_ptr(),
            )
        };
        if status != 0 {
            let log = handle.bytes(c"nvrtcGetProgramLogSize", c"nvrtcGetProgramLog").map_err(refused)?;
            let log = String::from_utf8_lossy(&log).trim_end_matches('\0').trim().to_owned();
            return Err(refused(format!("error {status}: {log}")));
        }
        handle.bytes(c"nvrtcGetCUBINSize", c"nvrtcGetCUBIN").map_err(refused)
    }

    /// A function of the library.
    ///
    /// # Safety
    /// `F` is its type.
    unsafe fn function<F>(&self, name: &CStr) -> Result<Symbol<'_, F>, String> {
        // SAFETY: as the caller promises.
        unsafe { self.library.get(name) }.map_err(|error| error.to_string())
    }
}

fn load(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: NVIDIA's libraries may be loaded at any time; their initialisers have no requirements.
    unsafe { Library::new(path) }
}

/// The compiler's second library in its folder, if `path` has one.
fn builtins_beside(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    let mut files = folder.read_dir().ok()?.flatten().map(|entry| entry.path());
    files.find(|file| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"libnvrtc-builtins.so")))
}

/// A source that was given to the compiler, until dropped.
struct Source<'a>(Handle, &'a Nvrtc);

impl<'a> Source<'a> {
    fn new(compiler: &'a Nvrtc, source: &CStr) -> Result<Self, String> {
        let mut handle = null_mut();
        // SAFETY: the function has this type in nvrtc.h, which takes no name and no headers as null, and copies the source.
        let status = unsafe {
            (compiler.function::<CreateProgram>(c"nvrtcCreateProgram")?)(
                &raw mut handle,
                source.as_ptr(),
                null(),
                0,
                null(),
                null(),
            )
        };
        if status == 0 { Ok(Self(handle, compiler)) } else { Err(format!("error {status}")) }
    }

    /// What a pair of functions gives: a size, and as many bytes.
    fn bytes(&self, size: &CStr, get: &CStr) -> Result<Vec<u8>, String> {
        let mut bytes = 0;
        // SAFETY: `size` has this type in nvrtc.h, and the handle is alive.
        let status = unsafe { (self.1.function::<GetSize>(size)?)(self.0, &raw mut bytes) };
        if status != 0 {
            return Err(format!("error {status}"));
        }
        let mut values = vec![0_u8; bytes];
        // SAFETY: `get` has this type in nvrtc.h and writes as many bytes as `size` said.
        let status = unsafe { (self.1.function::<GetBytes>(get)?)(self.0, values.as_mut_ptr().cast()) };
        if status == 0 { Ok(values) } else { Err(format!("error {status}")) }
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        // SAFETY: the function has this type in nvrtc.h; the handle came from nvrtcCreateProgram and is used no more.
        if let Ok(destroy) = unsafe { self.1.function::<DestroyProgram>(c"nvrtcDestroyProgram") } {
            // SAFETY: as above.
            unsafe { destroy(&raw mut self.0) };
        }
    }
}
