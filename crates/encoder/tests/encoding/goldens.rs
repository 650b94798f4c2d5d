//! The shared model folders and what the reference answers for them.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use encoder::{EncodeOptions, Encoder, LoadOptions};
use safetensors::SafeTensors;

/// The folder of the fixtures, or `None` with a word on stderr where they are absent.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no fixtures at {}", folder.display());
    None
}

/// A model folder of the fixtures with its goldens.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    goldens: Vec<u8>,
}

impl Fixture {
    pub(crate) fn open(name: &str) -> Option<Self> {
        let root = fixtures()?;
        let goldens = fs::read(root.join("goldens").join(format!("{name}.safetensors"))).unwrap();
        Some(Self { name: name.to_owned(), folder: root.join("models").join(name), goldens })
    }

    /// Every folder of a family that gives dense rows.
    pub(crate) fn encoded() -> Vec<Self> {
        let Some(root) = fixtures() else { return Vec::new() };
        let mut names: Vec<String> = fs::read_dir(root.join("models"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| ["matryoshka", "bert-", "static", "model2vec"].iter().any(|family| name.starts_with(family)))
            .collect();
        names.sort();
        assert!(names.len() > 30, "{names:?}");
        names.iter().filter_map(|name| Self::open(name)).collect()
    }

    pub(crate) fn load(&self, threads: usize) -> Encoder {
        let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
        Encoder::load(&self.folder, &options).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The values of a float32 golden, and its number of columns.
    pub(crate) fn floats(&self, name: &str) -> Option<(Vec<f32>, usize)> {
        let goldens = SafeTensors::deserialize(&self.goldens).unwrap();
        let tensor = goldens.tensor(name).ok()?;
        let values = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Some((values.collect(), *tensor.shape().last().unwrap()))
    }

    /// The rows of a ragged golden of token ids.
    pub(crate) fn ids(&self, name: &str) -> Option<Vec<Vec<u32>>> {
        let goldens = SafeTensors::deserialize(&self.goldens).unwrap();
        let data = goldens.tensor(&format!("{name}.data")).ok()?;
        let data: Vec<u32> = data.data().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let offsets = goldens.tensor(&format!("{name}.offsets")).unwrap();
        let offsets: Vec<usize> = offsets
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| usize::try_from(u64::from_le_bytes(*bytes)).unwrap())
            .collect();
        Some(offsets.array_windows().map(|[start, end]| data[*start..*end].to_vec()).collect())
    }
}

/// The texts of all goldens.
pub(crate) fn texts() -> Vec<String> {
    let Some(root) = fixtures() else { return Vec::new() };
    let named: Vec<(String, String)> = serde_json::from_slice(&fs::read(root.join("texts.json")).unwrap()).unwrap();
    named.into_iter().map(|(_, text)| text).collect()
}

/// `Encoder::encode` without watching.
pub(crate) fn encode(encoder: &Encoder, texts: &[String], options: &EncodeOptions) -> Vec<f32> {
    encoder.encode(texts.to_vec(), options, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// `Encoder::token_ids` without watching.
pub(crate) fn token_ids(encoder: &Encoder, texts: &[String], prompt: Option<&str>) -> Vec<Vec<u32>> {
    let ids = encoder.token_ids(texts.to_vec(), prompt, &mut |_| ControlFlow::Continue(())).unwrap();
    ids.into_iter().map(|ids| ids.to_vec()).collect()
}
