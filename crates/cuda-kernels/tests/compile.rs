//! Every kernel compiles for every architecture that is supported, by the compiler that users have.
//!
//! The compiler comes from the Python package nvidia-cuda-nvrtc: in `.venv`, or where `CORTEN_NVRTC` says. Where it is absent the test
//! says so and passes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::env;
use std::path::{Path, PathBuf};

use cuda_kernels::{
    Error, NumberKind, Nvrtc, Program, activation_program, attention_program, embedding_bag_program, embedding_program,
    layer_norm_program, normalize_program, pooling_program, term_weights_program,
};
use kernels::Activation;

const NUMBERS: [NumberKind; 3] = [NumberKind::Float32, NumberKind::Float16, NumberKind::Bfloat16];
fn compiler() -> Option<Nvrtc> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let in_environment = || -> Option<PathBuf> {
        let pythons = root.join(".venv/lib").read_dir().ok()?;
        let libraries =
            pythons.flatten().map(|python| python.path().join("site-packages/nvidia/cu13/lib/libnvrtc.so.13"));
        libraries.into_iter().find(|library| library.is_file())
    };
    let path = env::var_os("CORTEN_NVRTC").map(PathBuf::from).or_else(in_environment);
    if let Some(path) = path {
        return Some(Nvrtc::open(&path).unwrap());
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    {
        eprintln!(
            "SKIPPED: no CUDA run-time compiler (pip install 'nvidia-cuda-nvrtc==13.0.*' in .venv, or CORTEN_NVRTC)"
        );
    }
    None
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// Every kernel in every type of numbers, at the sizes of real models and at odd ones.
fn programs() -> Vec<Program> {
    let mut programs = vec![normalize_program()];
    for number in NUMBERS {
        programs.extend(Activation::ALL.map(|activation| activation_program(number, activation)));
        for columns in [50, 384, 768] {
            programs.push(layer_norm_program(number, columns).unwrap());
            programs.push(embedding_program(number, columns).unwrap());
        }
        for head_dim in [25, 32, 40, 64, 130] {
            programs.push(attention_program(number, head_dim).unwrap());
        }
        programs.push(pooling_program(number));
        programs.push(term_weights_program(number));
        programs.push(embedding_bag_program(number));
    }
    programs
}

fn every_kernel_for(architecture: &str) {
    let Some(compiler) = compiler() else { return };
    for program in programs() {
        let code = compiler.compile(&program, architecture).unwrap();
        assert_eq!(code.get(..4), Some(b"\x7fELF".as_slice()), "{program:?} for {architecture}");
        let name = program.kernel().name().as_bytes();
        assert!(code.windows(name.len()).any(|bytes| bytes == name), "{program:?} for {architecture}");
    }
}

#[test]
fn every_kernel_for_ampere() {
    every_kernel_for("sm_80");
}

#[test]
fn every_kernel_for_small_ampere() {
    every_kernel_for("sm_86");
}

#[test]
fn every_kernel_for_ada() {
    every_kernel_for("sm_89");
}

#[test]
fn every_kernel_for_hopper() {
    every_kernel_for("sm_90");
}

/// Compilers know this one from 12.8 on.
#[test]
fn every_kernel_for_blackwell() {
    let Some(compiler) = compiler() else { return };
    match compiler.compile(&normalize_program(), "sm_100") {
        Err(Error::Compile { log, .. }) if log.contains("invalid value for --gpu-architecture") => {
            skipped("this compiler does not know sm_100");
        }
        _ => every_kernel_for("sm_100"),
    }
}

#[test]
fn a_refusal_says_what_the_compiler_said() {
    let Some(compiler) = compiler() else { return };
    let error = compiler.compile(&normalize_program(), "sm_1").unwrap_err().to_string();
    assert!(error.starts_with("the CUDA run-time compiler cannot compile l2_normalize for sm_1: error 5: "), "{error}");
    assert!(error.contains("gpu-architecture"), "{error}");
}

#[test]
fn a_missing_compiler_is_named() {
    let error = Nvrtc::open(Path::new("/nowhere/libnvrtc.so.13")).unwrap_err().to_string();
    let start = "cannot load the CUDA run-time compiler /nowhere/libnvrtc.so.13: ";
    assert!(error.starts_with(start) && error.ends_with("(hint: install nvidia-cuda-nvrtc)"), "{error}");
}
