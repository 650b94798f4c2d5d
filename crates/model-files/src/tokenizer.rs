//! The tokenizer's files and the flags that overrule them.

use std::path::{Path, PathBuf};

use crate::added_tokens::{self, AddedTokens, SpecialTokens};
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
    /// Whether that class is BERT's, which builds everything but the vocabulary itself, whatever `tokenizer.json` says.
    pub is_bert: bool,
    /// `do_lower_case` of `tokenizer_config.json`; true if absent.
    pub do_lower_case: bool,
    /// `strip_accents` of `tokenizer_config.json`; `None` means the same as `do_lower_case`.
    pub strip_accents: Option<bool>,
    /// `tokenize_chinese_chars` of `tokenizer_config.json`; true if absent.
    pub tokenize_chinese_chars: bool,
    /// `do_lower_case` of `sentence_bert_config.json`: lower-case before the normaliser, unless that does so itself.
    pub lowercase_first: bool,
    /// The texts of the special tokens that every text needs.
    pub special_tokens: SpecialTokens,
    /// The tokens beside the vocabulary that the other files name.
    pub added_tokens: AddedTokens,
}

/// The classes that build a BERT tokenizer from the vocabulary and the flags, without `Fast` at the end
/// (in transformers 5: `BertTokenizer`, its subclasses and its aliases).
const BERT_CLASSES: [&str; 10] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
];

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
        // padding_side is not looked at: nothing is padded here. In the reference padding on the left shifts the positions of a
        // text, so that its vector depends on the longest text of its batch; alone it has the vector it has here.
        if fields.string("truncation_side")?.is_some_and(|side| side != "right") {
            return Err(fields.wrong("truncation_side", "\"right\""));
        }
        if fields.boolean("split_special_tokens")? == Some(true) {
            return Err(fields.wrong("split_special_tokens", "false"));
        }
        let (special_tokens, added_tokens) = added_tokens::read(folder, inside, &fields, is_bert)?;
        let tokenizer = Self {
            folder: folder.path(inside),
            tokenizer_json,
            vocab_txt,
            tokenizer_class: tokenizer_class.to_owned(),
            is_bert,
            do_lower_case: fields.boolean("do_lower_case")?.unwrap_or(true),
            strip_accents: fields.boolean("strip_accents")?,
            tokenize_chinese_chars: fields.boolean("tokenize_chinese_chars")?.unwrap_or(true),
            lowercase_first,
            special_tokens,
            added_tokens,
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
            is_bert: false,
            do_lower_case: true,
            strip_accents: None,
            tokenize_chinese_chars: true,
            lowercase_first: false,
            special_tokens: SpecialTokens::default(),
            added_tokens: AddedTokens::default(),
        })
    }
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
