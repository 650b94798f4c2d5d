//! Texts to token ids: the first tasks of a call.

use std::ops::Range;
use std::sync::Arc;

use models::Cancel;

use crate::error::EncodeError;
use crate::run::Stage;
use crate::text_tokenizer::TextTokenizer;

/// Bytes of text in one task of [`Tokenise`]: a few milliseconds of work.
const BYTES_PER_TASK: usize = 16 * 1024;

/// Texts in one task of [`Tokenise`], however short they are.
const TEXTS_PER_TASK: usize = 512;

/// The texts of each tokenising task, neighbours together.
pub(crate) fn tasks_of(texts: &[String], prompt: &str) -> Vec<Range<usize>> {
    let mut tasks = Vec::new();
    let mut start = 0;
    let mut bytes = 0_usize;
    for (index, text) in texts.iter().enumerate() {
        bytes = bytes.saturating_add(prompt.len()).saturating_add(text.len());
        if bytes >= BYTES_PER_TASK || index - start + 1 == TEXTS_PER_TASK {
            tasks.push(start..index + 1);
            start = index + 1;
            bytes = 0;
        }
    }
    if start < texts.len() {
        tasks.push(start..texts.len());
    }
    tasks
}

/// Token ids of one text.
pub(crate) type TokenIds = Box<[u32]>;

/// Texts to token ids, `[CLS]` and `[SEP]` included.
pub(crate) struct Tokenise {
    tokenizer: Arc<TextTokenizer>,
    texts: Vec<String>,
    prompt: String,
    max_seq_length: usize,
    /// The texts of each task.
    tasks: Vec<Range<usize>>,
}

impl Tokenise {
    pub(crate) fn new(tokenizer: &Arc<TextTokenizer>, texts: Vec<String>, prompt: &str, max_seq_length: usize) -> Self {
        let tasks = tasks_of(&texts, prompt);
        Self { tokenizer: Arc::clone(tokenizer), texts, prompt: prompt.to_owned(), max_seq_length, tasks }
    }

    /// Number of texts.
    pub(crate) fn texts(&self) -> usize {
        self.texts.len()
    }

    /// Bytes of all texts, each with the prompt.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |text: &String| text.len().saturating_add(self.prompt.len());
        self.texts.iter().map(bytes).fold(0, usize::saturating_add)
    }

    /// Whether the work is shorter than waking another thread up would be.
    pub(crate) fn is_short(&self) -> bool {
        self.tasks.len() <= 1
    }

    /// The indices of the texts of a task.
    pub(crate) fn range(&self, task: usize) -> Range<usize> {
        self.tasks.get(task).cloned().unwrap_or_default()
    }
}

impl Stage for Tokenise {
    type Output = Vec<TokenIds>;

    fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn first_text(&self, task: usize) -> usize {
        self.range(task).start
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<Vec<TokenIds>, EncodeError> {
        let range = self.range(task);
        let texts = self.texts.get(range.clone()).unwrap_or_default();
        let mut ids = Vec::with_capacity(texts.len());
        for (index, text) in range.zip(texts) {
            cancel.check()?;
            let text = self.tokenizer.token_ids(&self.prompt, text, self.max_seq_length);
            ids.push(text.map_err(|message| EncodeError::Text { index, message })?);
        }
        Ok(ids)
    }
}
