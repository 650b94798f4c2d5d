//! The tokenizer's files and the flags that overrule them.

use std::path::{Path, PathBuf};

use crate::error::ModelFileError;
use crate::folder::{Folder, TOKENIZER_LIMIT};
use crate::json::{Fields, Json};

/// The bytes of the tokenizer's files, unparsed, and what the other files say about them.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of a file, and they are independent")]
pub struct TokenizerFiles {
    /// The folder they are in, for errors.
    pub folder: PathBuf,
    /// `tokenizer.json`; at least one of it and `vocab_txt` is there.
    pub tokenizer_json: Option<Vec<u8>>,
    /// `vocab.txt`, read only if there is no `tokenizer.json` and the class builds itself from it.
    pub vocab_txt: Option<Vec<u8>>,
    /// The Python class that the reference loads, without a `Fast` at the end.
    pub tokenizer_class: String,
    /// Whether that class builds its own `BertNormalizer` from the three flags below, whatever `tokenizer.json` says.
    pub overrules_normalizer: bool,
    /// `do_lower_case` of `tokenizer_config.json`; true if absent.
    pub do_lower_case: bool,
    /// `strip_accents` of `tokenizer_config.json`; `None` means the same as `do_lower_case`.
    pub strip_accents: Option<bool>,
    /// `tokenize_chinese_chars` of `tokenizer_config.json`; true if absent.
    pub tokenize_chinese_chars: bool,
    /// `do_lower_case` of `sentence_bert_config.json`: lower-case before the normaliser, unless that does so itself.
    pub lowercase_first: bool,
    /// The special tokens' texts.
    pub special_tokens: SpecialTokens,
}

/// The texts of the special tokens, from `tokenizer_config.json` (or `special_tokens_map.json` in old folders).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Stands for a word that has no pieces in the vocabulary; `[UNK]` by default.
    pub unk_token: String,
    /// The first token of every text; `[CLS]` by default.
    pub cls_token: String,
    /// The last token of every text; `[SEP]` by default.
    pub sep_token: String,
    /// Fills up short texts in a padded batch; `[PAD]` by default.
    pub pad_token: String,
    /// Stands for a hidden word; `[MASK]` by default.
    pub mask_token: String,
}

/// The classes that build a BERT tokenizer from the vocabulary and the flags, without `Fast` at the end
/// (in transformers 5: `BertTokenizer`, its subclass and its aliases).
const BERT_CLASSES: [&str; 4] = ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LxmertTokenizer"];

impl Default for SpecialTokens {
    fn default() -> Self {
        Self {
            unk_token: "[UNK]".to_owned(),
            cls_token: "[CLS]".to_owned(),
            sep_token: "[SEP]".to_owned(),
            pad_token: "[PAD]".to_owned(),
            mask_token: "[MASK]".to_owned(),
        }
    }
}

impl TokenizerFiles {
    /// Reads the tokenizer of `inside`, a folder relative to the model folder.
    ///
    /// `model_class` is the `tokenizer_class` of `config.json`. Also gives `model_max_length` of
    /// `tokenizer_config.json`, where `None` means without limit.
    pub(crate) fn read(
        folder: &Folder,
        inside: &Path,
        model_class: Option<String>,
        lowercase_first: bool,
    ) -> Result<(Self, Option<usize>), ModelFileError> {
        let relative = inside.join("tokenizer_config.json");
        let file = folder.path(&relative);
        let json = folder.read_json(&relative)?.unwrap_or(Json::Object(Vec::new()));
        let fields = Fields::of_file(&file, &json)?;

        // The order of transformers' AutoTokenizer; the last is the class for model_type bert.
        let named = fields.string("tokenizer_class")?.map(str::to_owned).or(model_class);
        let named = named.unwrap_or_else(|| "BertTokenizer".to_owned());
        let tokenizer_class =
            named.strip_suffix("Fast").filter(|class| *class != "PreTrainedTokenizer").unwrap_or(&named);
        let is_bert = BERT_CLASSES.contains(&tokenizer_class);
        if tokenizer_class == "BertJapaneseTokenizer" {
            let what = "a tokenizer that splits Japanese words in Python";
            return Err(ModelFileError::unsupported(&file, "tokenizer_class", what, format!("{named:?}")));
        }

        let tokenizer_json = folder.read(&inside.join("tokenizer.json"), TOKENIZER_LIMIT)?;
        let vocab_txt = if tokenizer_json.is_none() && is_bert {
            folder.read(&inside.join("vocab.txt"), TOKENIZER_LIMIT)?
        } else {
            None
        };
        if tokenizer_json.is_none() && vocab_txt.is_none() {
            let hint =
                "save the tokenizer again with AutoTokenizer.from_pretrained(path).save_pretrained(path)".to_owned();
            return Err(ModelFileError::MissingFile {
                file: folder.path(&inside.join("tokenizer.json")),
                hint: Some(hint),
            });
        }
        let tokenizer = Self {
            folder: folder.path(inside),
            tokenizer_json,
            vocab_txt,
            tokenizer_class: tokenizer_class.to_owned(),
            overrules_normalizer: is_bert,
            do_lower_case: fields.boolean("do_lower_case")?.unwrap_or(true),
            strip_accents: fields.boolean("strip_accents")?,
            tokenize_chinese_chars: fields.boolean("tokenize_chinese_chars")?.unwrap_or(true),
            lowercase_first,
            special_tokens: special_tokens(folder, inside, &fields)?,
        };
        Ok((tokenizer, model_max_length(&fields)?))
    }
}

impl TokenizerFiles {
    /// Reads the `tokenizer.json` of `inside`, which is all that a static embedding's tokenizer is: no other file counts.
    pub(crate) fn read_as_it_stands(folder: &Folder, inside: &Path) -> Result<Self, ModelFileError> {
        let relative = inside.join("tokenizer.json");
        let Some(tokenizer_json) = folder.read(&relative, TOKENIZER_LIMIT)? else {
            return Err(ModelFileError::MissingFile { file: folder.path(&relative), hint: None });
        };
        Ok(Self {
            folder: folder.path(inside),
            tokenizer_json: Some(tokenizer_json),
            vocab_txt: None,
            tokenizer_class: "PreTrainedTokenizerFast".to_owned(),
            overrules_normalizer: false,
            do_lower_case: true,
            strip_accents: None,
            tokenize_chinese_chars: true,
            lowercase_first: false,
            special_tokens: SpecialTokens::default(),
        })
    }
}

/// The special tokens' texts. As in the reference `special_tokens_map.json` goes first, but only in old folders, whose
/// `tokenizer_config.json` has no `added_tokens_decoder`.
fn special_tokens(folder: &Folder, inside: &Path, config: &Fields<'_>) -> Result<SpecialTokens, ModelFileError> {
    let mut tokens = SpecialTokens::default();
    read_tokens(config, &mut tokens)?;
    if config.get("added_tokens_decoder").is_none() {
        let relative = inside.join("special_tokens_map.json");
        if let Some(json) = folder.read_json(&relative)? {
            read_tokens(&Fields::of_file(&folder.path(&relative), &json)?, &mut tokens)?;
        }
    }
    Ok(tokens)
}

fn read_tokens(fields: &Fields<'_>, tokens: &mut SpecialTokens) -> Result<(), ModelFileError> {
    let places = [
        ("unk_token", &mut tokens.unk_token),
        ("cls_token", &mut tokens.cls_token),
        ("sep_token", &mut tokens.sep_token),
        ("pad_token", &mut tokens.pad_token),
        ("mask_token", &mut tokens.mask_token),
    ];
    for (field, token) in places {
        let text = match fields.get(field) {
            None => continue,
            Some(Json::String(text)) => text.as_str(),
            Some(Json::Object(_)) => match fields.object(field)? {
                Some(added_token) => added_token.required_string("content")?,
                None => continue,
            },
            Some(_) => return Err(fields.wrong(field, "a string or an object with content")),
        };
        text.clone_into(token);
    }
    Ok(())
}

/// `model_max_length`, or its older name `max_len`. Saved tokenizers without limit have the integer nearest to 1e30.
fn model_max_length(fields: &Fields<'_>) -> Result<Option<usize>, ModelFileError> {
    let field = if fields.get("model_max_length").is_some() { "model_max_length" } else { "max_len" };
    if let Some(Json::Number(number)) = fields.get(field)
        && number.as_u64().is_none()
        && number.as_f64().is_some_and(|value| value >= 1e18)
    {
        return Ok(None);
    }
    fields.integer(field, 1..=usize::MAX)
}
