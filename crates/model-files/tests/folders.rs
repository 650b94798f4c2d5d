//! What lies in a folder: paths and links that lead out of it, and things that are not files.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod sample;

use std::fs;
use std::path::{Path, PathBuf};

use model_files::{ModelFileError, open};
use sample::Sample;
use serde_json::json;

#[test]
fn the_folder_must_be_there_and_be_a_folder() {
    let sample = Sample::new();
    let missing = sample.path("missing");
    let error = open(&missing).expect_err("no folder");
    assert!(matches!(error, ModelFileError::FolderNotFound { .. }));
    assert_eq!(sample.words(&error), "ROOT/missing: no such folder");
    let error = open(&sample.path("config.json")).expect_err("a file");
    assert_eq!(sample.words(&error), "ROOT/config.json: expected a model folder, found a file");
}

#[test]
fn a_relative_path_to_the_folder_is_enough() {
    let error = open(Path::new("no/such/folder")).expect_err("no folder");
    assert_eq!(error.to_string(), "no/such/folder: no such folder");
}

#[test]
fn module_paths_stay_inside_the_folder() {
    for path in ["../x", "1_Pooling/../../x", "/etc", "C:\\x", "C:x", "..\\x", "1_Pooling\\..", "a\0b", ".."] {
        let sample = Sample::new();
        sample.json("modules.json", &json!([{"type": "sentence_transformers.models.Transformer", "path": path}]));
        let error = sample.open().expect_err(path);
        assert!(matches!(&error, ModelFileError::UnsafePath { found, .. } if found == path), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "{}: [0].path: expected a relative path inside the model folder, found {path:?}",
                sample.path("modules.json").display()
            )
        );
    }
}

#[test]
fn a_module_may_lie_in_a_subfolder_or_in_the_root() {
    for path in ["0_Transformer", "./0_Transformer", "0_Transformer/", "a/b"] {
        let sample = Sample::new();
        let folder = path.trim_start_matches("./").trim_end_matches('/');
        fs::create_dir_all(sample.path(folder)).expect("a folder");
        for name in ["config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"] {
            fs::rename(sample.path(name), sample.path(folder).join(name)).expect("a moved file");
        }
        sample.json(
            "modules.json",
            &json!([
                {"type": "sentence_transformers.models.Transformer", "path": path},
                {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
            ]),
        );
        let model = sample.open().expect(path);
        assert_eq!(model.transformer.tokenizer.folder, sample.path(folder));
    }
}

#[test]
fn pickles_are_refused_with_the_cure() {
    for name in ["pytorch_model.bin", "model.pt", "model.PTH", "model.pkl", "model.ckpt", "tf_model.h5"] {
        let sample = Sample::new();
        sample.remove("model.safetensors");
        sample.bytes("training_args.bin", b"");
        sample.bytes(name, b"\x80\x02}q\x00.");
        assert_eq!(
            sample.message(),
            format!(
                "ROOT: expected weights in safetensors format, found only {name} (hint: load the model where it was \
                 made and save it again with model.save_pretrained(path, safe_serialization=True))"
            )
        );
    }
    let sample = Sample::new();
    sample.remove("model.safetensors");
    sample.bytes("training_args.bin", b"");
    assert_eq!(sample.message(), "ROOT/model.safetensors: expected a file, found nothing");
    let sample = Sample::new();
    sample.bytes("pytorch_model.bin", b"never read where there is a safetensors file");
    sample.open().expect("a model");
    sample.remove("2_Dense/model.safetensors");
    sample.bytes("2_Dense/pytorch_model.bin", b"");
    assert!(sample.message().starts_with("ROOT/2_Dense: expected weights in safetensors format, found only pytorch"));
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named() {
    for name in ["config.json", "modules.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"] {
        let sample = Sample::new();
        sample.remove(name);
        fs::create_dir(sample.path(name)).expect("a folder");
        assert_eq!(sample.message(), format!("ROOT/{name}: expected a regular file, found a folder"));
    }
    let sample = Sample::new();
    fs::remove_dir_all(sample.path("1_Pooling")).expect("a removed folder");
    sample.bytes("1_Pooling", b"a file in the place of a folder");
    assert_eq!(sample.message(), "ROOT/1_Pooling/config.json: expected a file, found nothing");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_fifo_or_socket_does_not_block() {
        let sample = Sample::new();
        sample.remove("config.json");
        let made = Command::new("mkfifo").arg(sample.path("config.json")).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(sample.message(), "ROOT/config.json: expected a regular file, found a FIFO");
            sample.remove("config.json");
        } else {
            eprintln!("SKIPPED: no mkfifo here");
        }
        let _listener = UnixListener::bind(sample.path("config.json")).expect("a socket");
        assert_eq!(sample.message(), "ROOT/config.json: expected a regular file, found a socket");
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let sample = Sample::new();
        fs::set_permissions(sample.path("model.safetensors"), fs::Permissions::from_mode(0o000)).expect("permissions");
        if fs::File::open(sample.path("model.safetensors")).is_ok() {
            eprintln!("SKIPPED: this user may read everything");
            return;
        }
        assert_eq!(sample.message(), "ROOT/model.safetensors: Permission denied (os error 13)");
    }

    #[test]
    fn links_out_of_the_folder_are_refused() {
        let elsewhere = Sample::new();
        for name in ["config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"] {
            let sample = Sample::new();
            sample.remove(name);
            symlink(elsewhere.path(name), sample.path(name)).expect("a link");
            let target = elsewhere.path(name).canonicalize().expect("the target");
            assert_eq!(
                sample.message(),
                format!(
                    "ROOT/{name}: expected a path inside the model folder, found a link to {} \
                     (hint: copy the file into the folder)",
                    target.display()
                )
            );
        }
        let sample = Sample::new();
        fs::remove_dir_all(sample.path("1_Pooling")).expect("a removed folder");
        symlink(elsewhere.path("1_Pooling"), sample.path("1_Pooling")).expect("a link");
        assert!(matches!(sample.open(), Err(ModelFileError::OutsideFolder { .. })));
    }

    #[test]
    fn a_device_behind_a_link_is_not_opened() {
        let sample = Sample::new();
        sample.remove("config.json");
        symlink("/dev/zero", sample.path("config.json")).expect("a link");
        assert!(matches!(sample.open(), Err(ModelFileError::OutsideFolder { .. })));
    }

    #[test]
    fn links_inside_the_folder_are_followed() {
        let sample = Sample::new();
        fs::rename(sample.path("config.json"), sample.path("real.json")).expect("a moved file");
        symlink("real.json", sample.path("config.json")).expect("a link");
        sample.open().expect("a model");
        let root = Sample::new();
        symlink(sample.root(), root.path("link")).expect("a link");
        open(&root.path("link")).expect("a link to the folder itself");
    }

    #[test]
    fn loops_and_dangling_links_are_errors() {
        let sample = Sample::new();
        sample.remove("modules.json");
        symlink("modules.json", sample.path("modules.json")).expect("a link");
        assert!(sample.message().starts_with("ROOT/modules.json: Too many levels of symbolic links"));
        sample.remove("modules.json");
        symlink("nothing", sample.path("modules.json")).expect("a link");
        // Not taken for a folder without modules.json, which would be pooled differently.
        assert_eq!(sample.message(), "ROOT/modules.json: No such file or directory (os error 2)");
    }

    /// The sample in the layout of the hub's cache: files in `blobs`, links to them in `snapshots/REVISION`.
    fn hub_cache() -> (tempfile::TempDir, PathBuf) {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let model = cache.path().join("models--a--b");
        let (snapshot, blobs) = (model.join("snapshots/0123"), model.join("blobs"));
        fs::create_dir_all(&blobs).expect("a folder");
        let sample = Sample::new();
        for (index, name) in [
            "config.json",
            "modules.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "sentence_bert_config.json",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
        ]
        .into_iter()
        .enumerate()
        {
            fs::copy(sample.path(name), blobs.join(index.to_string())).expect("a copied file");
            let link = snapshot.join(name);
            fs::create_dir_all(link.parent().expect("a parent")).expect("a folder");
            let up = if name.contains('/') { "../../../blobs" } else { "../../blobs" };
            symlink(format!("{up}/{index}"), link).expect("a link");
        }
        (cache, snapshot)
    }

    #[test]
    fn the_links_of_the_hub_cache_are_followed() {
        let (_cache, snapshot) = hub_cache();
        let model = sample::sentence(open(&snapshot).expect("a model"));
        assert_eq!(model.dimension(), 3);
        // Errors name the snapshot's file, not the blob.
        assert_eq!(model.transformer.weights.source(), snapshot.join("model.safetensors"));
    }

    #[test]
    fn nothing_else_of_the_hub_cache_is_read() {
        let (cache, snapshot) = hub_cache();
        let blobs = cache.path().join("models--a--b/blobs");
        let link = snapshot.join("config.json");
        for (target, kind) in [
            ("../../secret.json", cache.path().join("models--a--b/secret.json")),
            ("../../blobs/deep/secret.json", blobs.join("deep/secret.json")),
            ("../4567/secret.json", cache.path().join("models--a--b/snapshots/4567/secret.json")),
        ] {
            fs::create_dir_all(kind.parent().expect("a parent")).expect("a folder");
            fs::write(&kind, b"{}").expect("a file");
            fs::remove_file(&link).expect("a removed link");
            symlink(target, &link).expect("a link");
            assert!(matches!(open(&snapshot), Err(ModelFileError::OutsideFolder { .. })), "{target}");
        }
        // A folder linked to blobs as a whole.
        let (_cache, snapshot) = hub_cache();
        fs::write(snapshot.join("../../blobs/config.json"), b"{}").expect("a file");
        fs::remove_dir_all(snapshot.join("1_Pooling")).expect("a removed folder");
        symlink("../../blobs", snapshot.join("1_Pooling")).expect("a link");
        assert!(matches!(open(&snapshot), Err(ModelFileError::OutsideFolder { .. })));
    }
}
