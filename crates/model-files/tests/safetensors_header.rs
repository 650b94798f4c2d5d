//! Safetensors files whose header is malformed or does not fit the data.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod sample;

use std::fs::OpenOptions;

use sample::{Sample, framed};

/// The message for a model.safetensors of these bytes.
fn refused(bytes: &[u8]) -> String {
    let sample = Sample::plain();
    sample.bytes("model.safetensors", bytes);
    sample.message()
}

/// The message for a header and data, from the file's name on.
fn refused_header(header: &str, data: &[u8]) -> String {
    refused(&framed(header.as_bytes(), data))
}

#[test]
fn the_length_of_the_header_must_fit_the_file() {
    let file = "ROOT/model.safetensors: ";
    assert_eq!(refused(b""), format!("{file}header: expected at least 8 bytes, found 0"));
    assert_eq!(refused(b"1234567"), format!("{file}header: expected at least 8 bytes, found 7"));
    assert_eq!(
        refused(&u64::MAX.to_le_bytes()),
        format!("{file}header length: expected at most 0 bytes, found 18446744073709551615")
    );
    assert_eq!(
        refused(&[&3_u64.to_le_bytes()[..], b"{}"].concat()),
        format!("{file}header length: expected at most 2 bytes, found 3")
    );
    assert_eq!(
        refused(&0_u64.to_le_bytes()),
        format!("{file}header: expected a JSON object that starts at its first byte")
    );
}

#[test]
fn a_header_is_at_most_16_mebibytes() {
    let sample = Sample::plain();
    for (length, expected) in [
        (16 << 20, "ROOT/model.safetensors: header: expected a JSON object that starts at its first byte"),
        ((16 << 20) + 1, "ROOT/model.safetensors: header length: expected at most 16777216 bytes, found 16777217"),
    ] {
        sample.bytes("model.safetensors", &u64::to_le_bytes(length));
        // A sparse file: its zeros take no space.
        let file = OpenOptions::new().write(true).open(sample.path("model.safetensors")).expect("the file");
        file.set_len(64 << 20).expect("a longer file");
        assert_eq!(sample.message(), expected);
    }
}

#[test]
fn the_header_must_be_an_object_of_tensors() {
    let file = "ROOT/model.safetensors: ";
    assert_eq!(refused_header("{", b""), format!("{file}header: EOF while parsing an object at line 1 column 1"));
    assert_eq!(refused_header("{}x", b""), format!("{file}header: trailing characters at line 1 column 3"));
    assert_eq!(
        refused_header(" {}", b""),
        format!("{file}header: expected a JSON object that starts at its first byte")
    );
    assert_eq!(
        refused(&framed(b"{\"\xff\":1}", b"")),
        format!("{file}header: invalid unicode code point at line 1 column 3")
    );
    assert_eq!(
        refused_header(r#"{"a":{"dtype":"F32","shape":[]}}"#, b""),
        format!("{file}header: missing field `data_offsets` at line 1 column 31")
    );
    assert!(refused_header(r#"{"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}}"#, b"").contains("F31"));
    assert!(refused_header(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, b"").contains("-1"));
    let nested = format!("{{\"__metadata__\":{}", "[".repeat(1000));
    assert!(refused_header(&nested, b"").contains("recursion limit exceeded"));
}

#[test]
fn duplicate_names_are_refused() {
    let tensor = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert_eq!(
        refused_header(&format!("{{\"a\":{tensor},\"a\":{tensor}}}"), &[0; 4]),
        "ROOT/model.safetensors: expected each key once, found twice: \"a\""
    );
    // The second is written differently and is the same name.
    assert_eq!(
        refused_header(&format!("{{\"a\":{tensor},\"\\u0061\":{tensor}}}"), &[0; 4]),
        "ROOT/model.safetensors: expected each key once, found twice: \"a\""
    );
    assert_eq!(
        refused_header(r#"{"__metadata__":{},"__metadata__":{}}"#, b""),
        "ROOT/model.safetensors: expected each key once, found twice: \"__metadata__\""
    );
    assert_eq!(
        refused_header(r#"{"__metadata__":{"format":"pt","format":"np"}}"#, b""),
        "ROOT/model.safetensors: expected each key once, found twice: \"format\""
    );
    assert_eq!(
        refused_header(r#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
        "ROOT/model.safetensors: header: duplicate field `dtype` at line 1 column 27"
    );
}

#[test]
fn offsets_must_cover_the_data_exactly() {
    let two = |first: &str, second: &str| {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":{first}}},
                "b":{{"dtype":"F32","shape":[1],"data_offsets":{second}}}}}"#
        );
        refused_header(&header, &[0; 12])
    };
    let file = "ROOT/model.safetensors: ";
    assert_eq!(two("[0,4]", "[2,6]"), format!("{file}tensor \"b\": expected data that starts at byte 4, found 2"));
    assert_eq!(two("[0,4]", "[8,12]"), format!("{file}tensor \"b\": expected data that starts at byte 4, found 8"));
    assert_eq!(two("[0,4]", "[4,2]"), format!("{file}tensor \"b\": expected data_offsets that ascend, found [4, 2]"));
    assert_eq!(two("[0,4]", "[4,9]"), format!("{file}tensor \"b\": expected 4 bytes for F32 [1], found 5"));
    // 140 bytes of header: trailing bytes, and a missing one.
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let length = header.len() + 12;
    assert_eq!(refused_header(header, &[0; 5]), format!("{file}expected {length} bytes, found {}", length + 1));
    assert_eq!(refused_header(header, &[0; 3]), format!("{file}expected {length} bytes, found {}", length - 1));
}

#[test]
fn sizes_that_overflow_are_refused_with_the_name_of_the_tensor() {
    for shape in ["[4294967296,4294967296]", "[18446744073709551615]"] {
        let header = format!(r#"{{"big":{{"dtype":"F32","shape":{shape},"data_offsets":[0,4]}}}}"#);
        let shown = shape.replace(',', ", ");
        assert_eq!(
            refused_header(&header, &[0; 4]),
            format!(
                "ROOT/model.safetensors: tensor \"big\": expected a shape whose size in bits fits 64 bits, found {shown}"
            )
        );
    }
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]}}"#;
    assert_eq!(
        refused_header(header, b""),
        "ROOT/model.safetensors: tensor \"a\": expected data that starts at byte 0, found 18446744073709551612"
    );
}
