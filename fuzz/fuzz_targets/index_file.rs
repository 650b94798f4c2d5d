//! Any bytes as an index file: an error, or an index that answers something.
//!
//! The checksums of header and section table are made right first, so that the bytes behind them are reached.
#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use sparse_index::{CsrRows, Filter, Mode, SearchOptions, SparseIndex};

/// CRC-32 as in zlib, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

fn seal(bytes: &mut [u8]) {
    if bytes.len() < 64 {
        return;
    }
    let length = (bytes.len() as u64).to_le_bytes();
    bytes[24..32].copy_from_slice(&length);
    let sections = u64::from_le_bytes(bytes[32..40].try_into().unwrap());
    let end = usize::try_from(sections).ok().and_then(|sections| sections.checked_mul(32)?.checked_add(64));
    if let Some(table) = end.and_then(|end| bytes.get(64..end)) {
        let sum = checksum(table).to_le_bytes();
        // And those of the sections that are read at once and always compared: settings and, from version 2 on, terms.
        let entries: Vec<[u8; 32]> = table.as_chunks().0.to_vec();
        for (number, entry) in entries.iter().enumerate() {
            let word = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap()) as usize;
            let compared = matches!(entry[0], 1 | 2 | 20);
            if compared && let Some(section) = word(8).checked_add(word(16)).and_then(|end| bytes.get(word(8)..end)) {
                let sum = checksum(section).to_le_bytes();
                bytes[64 + 32 * number + 24..64 + 32 * number + 28].copy_from_slice(&sum);
            }
        }
        let table = end.and_then(|end| bytes.get(64..end)).map_or(u32::from_le_bytes(sum), checksum);
        bytes[48..52].copy_from_slice(&table.to_le_bytes());
    }
    let header = checksum(&bytes[..52]).to_le_bytes();
    bytes[52..56].copy_from_slice(&header);
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    seal(&mut bytes);
    let path = PathBuf::from(format!("/dev/shm/corten-fuzz-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, &bytes).unwrap();
    let _ = SparseIndex::open(&path, false, true);
    let Ok(index) = SparseIndex::open(&path, bytes.len() % 2 == 0, false) else { return };
    if index.stats().documents > 100_000 {
        return;
    }
    let dimension = index.dimension().min(40) as i32;
    let indices: Vec<i32> = (0..dimension).collect();
    let values: Vec<f32> = indices.iter().map(|term| 0.1 + *term as f32).collect();
    let query = CsrRows { indptr: &[0, i64::from(dimension)], indices: &indices, values: &values };
    let ids = index.ids();
    for mode in [Mode::Exact, Mode::Approximate { recall: 0.9 }] {
        for filter in [None, Some(Filter::Ids(&ids))] {
            let options = SearchOptions { k: 5, mode, filter, threads: Some(1) };
            let _ = index.search(query, &options, &|| false);
        }
    }
    if let Some(id) = ids.get(0) {
        let _ = (index.get(&id), index.explain(query, &id), index.contains(&id));
    }
    let _ = index.compact(Some(1), &|| false);
});
