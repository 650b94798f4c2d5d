//! A [`Machine`] on this processor: kernels compiled by g++ behind `machine.hpp`.

use std::collections::HashMap;
use std::env;
use std::ffi::c_void;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use cuda_kernels::{Argument, Element, Error, Launch, Machine, Program};
use libloading::Library;

/// Elements before and after those of a slice: a kernel that reads them gets numbers that are not finite, and one that writes them
/// is caught.
const GUARD: usize = 64;
/// What the bytes of guards and of reserved elements are: NaN in every type of floats, and no row of any table.
const POISON: u8 = 0xff;

/// Elements between guards.
pub(crate) struct Guarded<T> {
    values: Vec<T>,
}

/// The programs compiled so far. One launch at a time: a library's shared memory and threads are static.
static LIBRARIES: Mutex<Option<HashMap<Program, Library>>> = Mutex::new(None);

/// What machine.hpp defines: takes a grid, a block, and pointers to the arguments.
type Emulate = unsafe extern "C" fn(*const [u32; 3], *const [u32; 3], *const *const c_void);

/// This processor.
pub(crate) struct Emulation;

/// The emulation, or `None`, loudly, without a compiler.
pub(crate) fn emulation() -> Option<Emulation> {
    static PRESENT: LazyLock<bool> = LazyLock::new(|| Command::new("g++").arg("--version").output().is_ok());
    if *PRESENT {
        return Some(Emulation);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    {
        eprintln!("SKIPPED: no g++ to emulate a GPU with");
    }
    None
}

impl Emulation {
    /// The elements of a slice, whose guards must be whole.
    pub(crate) fn download<T: Element>(slice: &Guarded<T>) -> Vec<T> {
        let (before, rest) = slice.values.split_at(GUARD);
        let (values, after) = rest.split_at(rest.len() - GUARD);
        for guard in before.iter().chain(after) {
            assert!(bytes_of(guard).iter().all(|byte| *byte == POISON), "a kernel wrote beyond a slice");
        }
        values.to_vec()
    }
}

fn bytes_of<T: Element>(value: &T) -> &[u8] {
    // SAFETY: an element is a number without padding, and the bytes are borrowed with it.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

fn poison<T: Element>() -> T {
    let mut value = T::default();
    // SAFETY: every pattern of bits is a value of an element.
    unsafe { std::ptr::from_mut(&mut value).write_bytes(POISON, 1) };
    value
}

impl Machine for Emulation {
    type Slice<T: Element> = Guarded<T>;

    fn len<T: Element>(slice: &Guarded<T>) -> usize {
        slice.values.len() - 2 * GUARD
    }

    fn address<T: Element>(&self, slice: &Guarded<T>) -> u64 {
        slice.values[GUARD..].as_ptr().addr() as u64
    }

    fn address_mut<T: Element>(&self, slice: &mut Guarded<T>) -> u64 {
        slice.values[GUARD..].as_mut_ptr().expose_provenance() as u64
    }

    fn upload<T: Element>(&self, values: &[T]) -> Result<Guarded<T>, Error> {
        let guard = [poison(); GUARD];
        Ok(Guarded { values: [guard.as_slice(), values, guard.as_slice()].concat() })
    }

    fn reserve<T: Element>(&self, len: usize) -> Result<Guarded<T>, Error> {
        self.upload(&vec![poison::<T>(); len])
    }

    unsafe fn launch(&self, launch: &Launch) -> Result<(), Error> {
        let mut arguments: Vec<*const c_void> = Vec::new();
        for argument in &launch.arguments {
            arguments.push(match argument {
                Argument::Address(address) => std::ptr::from_ref(address).cast(),
                Argument::Unsigned(value) => std::ptr::from_ref(value).cast(),
                Argument::Float(value) => std::ptr::from_ref(value).cast(),
            });
        }
        let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        let libraries = libraries.get_or_insert_default();
        if !libraries.contains_key(&launch.program) {
            let number = libraries.len();
            libraries.insert(launch.program.clone(), compile(&launch.program, number));
        }
        // SAFETY: machine.hpp defines `emulate` with these arguments, and the caller promises that they are the kernel's.
        unsafe {
            let emulate = libraries[&launch.program].get::<Emulate>(c"emulate").unwrap();
            emulate(&raw const launch.grid, &raw const launch.block, arguments.as_ptr());
        }
        Ok(())
    }
}

/// A library of one program. `number` is another for each of a process.
fn compile(program: &Program, number: usize) -> Library {
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulation");
    let stem = format!("{}-{}-{number}", program.kernel().name(), std::process::id());
    let source = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(stem).with_extension("cpp");
    let library = source.with_extension("so");
    let text = program.source("#include \"instructions.hpp\"\n");
    fs::write(&source, format!("{text}\nEMULATE({})\n", program.kernel().name())).unwrap();
    let output = Command::new("g++")
        .args([
            "-std=c++17",
            "-O1",
            "-fno-strict-aliasing",
            "-shared",
            "-fPIC",
            "-Wall",
            "-Werror",
            "-Wno-unknown-pragmas",
        ])
        .arg(format!("-I{}", headers.display()))
        .arg("-o")
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    // SAFETY: the library was compiled just now and has no initialisers.
    let loaded = unsafe { Library::new(&library).unwrap() };
    fs::remove_file(&source).unwrap();
    fs::remove_file(&library).unwrap();
    loaded
}
