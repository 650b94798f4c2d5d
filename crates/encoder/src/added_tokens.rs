//! Tokens beside the vocabulary: those of `tokenizer.json` and those that the other files name, in the reference's order.
//!
//! Source: `TokenizersBackend.__init__` of transformers 5.23 (`tokenization_utils_tokenizers.py`).

use std::collections::{BTreeMap, BTreeSet};

use model_files::{AddedToken, AddedTokens};
use tokenizers::Tokenizer;

/// Adds tokens to a tokenizer. `own` are those of its definition: they are part of the list unless `files` has the whole.
///
/// A token without an id gets the next one, but for a named one. The reference gives it one too, of a row that was never
/// trained or is not there; here it stays plain text, and the model is refused if it is one that every text needs.
pub(crate) fn add(
    tokenizer: &mut Tokenizer,
    files: &AddedTokens,
    own: impl IntoIterator<Item = (u32, tokenizers::AddedToken)>,
) -> tokenizers::Result<()> {
    let mut listed: BTreeMap<u64, tokenizers::AddedToken> =
        files.listed.iter().map(|(number, token)| (*number, of_library(token))).collect();
    if !files.is_complete {
        listed.extend(own.into_iter().map(|(id, token)| (u64::from(id), token)));
    }
    let own = tokenizer.get_added_vocabulary().get_vocab().keys().cloned();
    let mut known: BTreeSet<String> = own.chain(listed.values().map(|token| token.content.clone())).collect();
    let mut tokens: Vec<tokenizers::AddedToken> = listed.into_values().collect();
    let named = files.named.iter().filter(|token| tokenizer.token_to_id(&token.content).is_some());
    for token in named.chain(&files.extra) {
        if known.insert(token.content.clone()) {
            tokens.push(of_library(token));
        }
    }
    // All at once: each call builds its tables again.
    tokenizer.add_tokens(tokens)?;
    Ok(())
}

fn of_library(token: &AddedToken) -> tokenizers::AddedToken {
    tokenizers::AddedToken::from(token.content.clone(), true)
        .single_word(token.single_word)
        .lstrip(token.lstrip)
        .rstrip(token.rstrip)
        .normalized(token.normalized)
}
