//! The tokens that a tokenizer's other files put beside its vocabulary: they are found as they are written in a text.
//!
//! Source: `tokenization_utils_base.py` and `tokenization_utils_tokenizers.py` of the reference's transformers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::{Fields, Json};

/// A token that is found in a text before the text is taken apart, with the rules of tokenizers' `AddedToken`. Whether it is
/// a special token changes no id, and is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of a file, and they are independent")]
pub struct AddedToken {
    /// What is written in a text.
    pub content: String,
    /// Whether it must not be part of a word.
    pub single_word: bool,
    /// Whether blanks before it belong to it.
    pub lstrip: bool,
    /// Whether blanks after it belong to it.
    pub rstrip: bool,
    /// Whether it is looked for in the normalised text.
    pub normalized: bool,
}

/// The texts of the special tokens that every text needs, from `tokenizer_config.json` (or `special_tokens_map.json` in old
/// folders).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Stands for a word that has no pieces in the vocabulary; `[UNK]` by default.
    pub unk_token: String,
    /// The first token of every text; `[CLS]` by default.
    pub cls_token: String,
    /// The last token of every text; `[SEP]` by default.
    pub sep_token: String,
}

/// What is added to a tokenizer's own tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddedTokens {
    /// The tokens of `added_tokens_decoder`, or in old folders without it of `added_tokens.json`, by their number there,
    /// which gives their order and nothing else.
    pub listed: BTreeMap<u64, AddedToken>,
    /// Whether `added_tokens_decoder` is there. Without it the tokens of `tokenizer.json` are part of the list.
    pub is_complete: bool,
    /// The named special tokens in the reference's order, to be added where they are not in the list.
    pub named: Vec<AddedToken>,
    /// Special tokens without a name, to be added after those.
    pub extra: Vec<AddedToken>,
}

/// The names of special tokens in the reference's order, and what they are in a tokenizer of the BERT classes.
const NAMES: [(&str, Option<&str>); 7] = [
    ("bos_token", None),
    ("eos_token", None),
    ("unk_token", Some("[UNK]")),
    ("sep_token", Some("[SEP]")),
    ("pad_token", Some("[PAD]")),
    ("cls_token", Some("[CLS]")),
    ("mask_token", Some("[MASK]")),
];

impl AddedToken {
    /// A special token that is found exactly as it is written.
    #[must_use]
    pub fn special(content: &str) -> Self {
        Self { content: content.to_owned(), single_word: false, lstrip: false, rstrip: false, normalized: false }
    }

    fn from_fields(fields: &Fields<'_>, special: bool) -> Result<Self, ModelFileError> {
        let content = fields.required_string("content")?.to_owned();
        let flag = |field: &str| fields.boolean(field).map(Option::unwrap_or_default);
        let special = special || flag("special")?;
        let normalized = fields.boolean("normalized")?.unwrap_or(!special);
        let (single_word, lstrip, rstrip) = (flag("single_word")?, flag("lstrip")?, flag("rstrip")?);
        Ok(Self { content, single_word, lstrip, rstrip, normalized })
    }
}

impl Default for SpecialTokens {
    fn default() -> Self {
        let [unk_token, cls_token, sep_token] = ["[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
        Self { unk_token, cls_token, sep_token }
    }
}

/// Reads what `tokenizer_config.json`, whose fields are `config`, and the old files beside it say about added tokens. As in
/// the reference the old files count only where `config` has no `added_tokens_decoder`, and then go first.
pub(crate) fn read(
    folder: &Folder,
    inside: &Path,
    config: &Fields<'_>,
    is_bert: bool,
) -> Result<(SpecialTokens, AddedTokens), ModelFileError> {
    let (mut special, mut added) = (SpecialTokens::default(), AddedTokens::default());
    let decoder = config.object("added_tokens_decoder")?;
    added.is_complete = decoder.is_some();
    let old_file = |name: &str| -> Result<_, ModelFileError> {
        let relative = inside.join(name);
        let json = if decoder.is_none() { folder.read_json(&relative)? } else { None };
        Ok((folder.path(&relative), json.unwrap_or(Json::Object(Vec::new()))))
    };
    let (map_file, map) = old_file("special_tokens_map.json")?;
    let map = Fields::of_file(&map_file, &map)?;

    for (name, default) in NAMES {
        let fields = if map.get(name).is_some() { &map } else { config };
        let token = match fields.raw(name) {
            None => default.filter(|_| is_bert).map(AddedToken::special),
            Some(value) => token(fields, name, value)?,
        };
        let Some(token) = token else { continue };
        match name {
            "unk_token" => special.unk_token.clone_from(&token.content),
            "cls_token" => special.cls_token.clone_from(&token.content),
            "sep_token" => special.sep_token.clone_from(&token.content),
            _ => {}
        }
        added.named.push(token);
    }
    for name in ["extra_special_tokens", "additional_special_tokens"] {
        let fields = if map.get(name).is_some() { &map } else { config };
        if fields.get(name).is_some() {
            added.extra = tokens(fields, name)?;
            break;
        }
    }

    if let Some(decoder) = decoder {
        // By entry, never by name: there may be very many.
        for (id, token) in decoder.entries() {
            let number = id.parse().map_err(|_| decoder.wrong(id, "a token under its id"))?;
            let token = Fields::of_value(decoder.file, &decoder.name(id), token)?;
            added.listed.insert(number, AddedToken::from_fields(&token, false)?);
        }
        return Ok((special, added));
    }
    let (file, json) = old_file("added_tokens.json")?;
    let ids = Fields::of_file(&file, &json)?;
    let special_texts: BTreeSet<&str> =
        added.named.iter().chain(&added.extra).map(|token| token.content.as_str()).collect();
    for (content, id) in ids.entries() {
        let number = if let Json::Number(number) = id { number.as_u64() } else { None };
        let number = number.ok_or_else(|| ids.wrong(content, "an integer of at least 0"))?;
        let normalized = !special_texts.contains(content.as_str());
        added.listed.insert(number, AddedToken { normalized, ..AddedToken::special(content) });
    }
    Ok((special, added))
}

/// A special token, written as a text or as an object; `None` for `null`.
fn token(fields: &Fields<'_>, name: &str, value: &Json) -> Result<Option<AddedToken>, ModelFileError> {
    match value {
        Json::Null => Ok(None),
        Json::String(text) => Ok(Some(AddedToken::special(text))),
        Json::Object(_) => {
            let token = Fields::of_value(fields.file, &fields.name(name), value)?;
            Ok(Some(AddedToken::from_fields(&token, true)?))
        }
        _ => Err(fields.wrong(name, "a string or an object with content")),
    }
}

/// A list of special tokens, or an object that names them.
fn tokens(fields: &Fields<'_>, field: &str) -> Result<Vec<AddedToken>, ModelFileError> {
    match fields.get(field) {
        Some(Json::List(items)) => {
            let place = |index: usize| format!("{}[{index}]", fields.name(field));
            let read = |(index, item): (usize, &Json)| match item {
                Json::String(text) => Ok(AddedToken::special(text)),
                _ => AddedToken::from_fields(&Fields::of_value(fields.file, &place(index), item)?, true),
            };
            items.iter().enumerate().map(read).collect()
        }
        Some(Json::Object(_)) => {
            let Some(named) = fields.object(field)? else { return Ok(Vec::new()) };
            let read = |(name, value): &(String, Json)| token(&named, name, value).transpose();
            named.entries().iter().filter_map(read).collect()
        }
        _ => Err(fields.wrong(field, "a list of tokens")),
    }
}
