//! What a caller may ask for, and memory for the result.

use crate::error::EncodeError;
use crate::text_tokenizer::TextTokenizer;

/// Checks a length limit against the special tokens and the position table.
pub(crate) fn check_max_seq_length(
    max_seq_length: usize,
    tokenizer: &TextTokenizer,
    max_position_embeddings: usize,
) -> Result<(), EncodeError> {
    let least = tokenizer.special_tokens();
    if (least..=max_position_embeddings).contains(&max_seq_length) {
        return Ok(());
    }
    Err(EncodeError::Argument {
        name: "max_seq_length",
        expected: format!(
            "an integer from {least} (the special tokens) to {max_position_embeddings} (max_position_embeddings)"
        ),
        found: max_seq_length,
    })
}

pub(crate) fn at_least_one(name: &'static str, found: usize) -> Result<(), EncodeError> {
    if found == 0 {
        let expected = "an integer of at least 1".to_owned();
        return Err(EncodeError::Argument { name, expected, found });
    }
    Ok(())
}

/// Memory for the result, or an error instead of the end of the process.
pub(crate) fn zeros(rows: usize, dimension: usize) -> Result<Vec<f32>, EncodeError> {
    let values = rows.saturating_mul(dimension);
    let mut probe: Vec<f32> = Vec::new();
    probe
        .try_reserve_exact(values)
        .map_err(|_| EncodeError::no_memory_for_result(values.saturating_mul(size_of::<f32>())))?;
    drop(probe);
    // Asked for once more, since the system hands out zeros that are not in memory before they are written to: by the
    // threads that fill them, not by this one.
    Ok(vec![0.0; values])
}
