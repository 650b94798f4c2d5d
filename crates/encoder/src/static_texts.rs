//! Texts to rows for a static embedding: no batches to plan, so tokenising and the mean are one task.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use models::{Cancel, StaticModel};

use crate::error::EncodeError;
use crate::rows;
use crate::run::{Call, Stage};
use crate::text_tokenizer::TextTokenizer;
use crate::tokenise::tasks_of;

/// What is done to the texts of a call.
pub(crate) struct StaticCall {
    pub(crate) model: Arc<StaticModel>,
    pub(crate) tokenizer: Arc<TextTokenizer>,
    pub(crate) texts: Vec<String>,
    pub(crate) prompt: String,
    /// The width of the rows, at most the model's.
    pub(crate) dimension: usize,
    pub(crate) normalize: bool,
}

/// Texts to finished rows, which each task writes to their place in the result.
struct EmbedTexts<'rows> {
    call: StaticCall,
    tasks: Vec<Task<'rows>>,
}

struct Task<'rows> {
    texts: Range<usize>,
    /// Only its own task takes this lock: it lends the place out through a shared reference.
    rows: Mutex<&'rows mut [f32]>,
}

/// Fills `rows`, `[texts, dimension]`, in the order of the texts.
pub(crate) fn encode(call: &mut Call<'_, '_>, job: StaticCall, rows: &mut [f32]) -> Result<(), EncodeError> {
    let mut tasks = Vec::new();
    let mut rest = rows;
    for texts in tasks_of(&job.texts, &job.prompt) {
        let values = texts.len().saturating_mul(job.dimension);
        let Some((rows, others)) = rest.split_at_mut_checked(values) else {
            return Err(EncodeError::Internal("fewer rows than texts".to_owned()));
        };
        tasks.push(Task { texts, rows: Mutex::new(rows) });
        rest = others;
    }
    let stage = Arc::new(EmbedTexts { call: job, tasks });
    let done = |call: &mut Call<'_, '_>, _: usize, texts: usize| call.finish_texts(texts);
    // A few texts are done before another thread would have woken up.
    if stage.tasks() <= 1 { call.run_here(&stage, done) } else { call.run(&stage, done) }
}

impl Stage for EmbedTexts<'_> {
    /// The number of texts done.
    type Output = usize;

    fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn first_text(&self, task: usize) -> usize {
        self.tasks.get(task).map_or(0, |task| task.texts.start)
    }

    fn work(&self, task: usize, cancel: &Cancel) -> Result<usize, EncodeError> {
        let Some(Task { texts: range, rows }) = self.tasks.get(task) else { return Ok(0) };
        let StaticCall { model, tokenizer, texts, prompt, dimension, normalize } = &self.call;
        let (mut ids, mut ends) = (Vec::new(), Vec::with_capacity(range.len()));
        for (index, text) in range.clone().zip(texts.get(range.clone()).unwrap_or_default()) {
            cancel.check()?;
            let appended = tokenizer.append_ids(prompt, text, usize::MAX, &mut ids);
            appended.map_err(|message| EncodeError::Text { index, message })?;
            ends.push(ids.len());
        }
        let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
        model.embed(&ids, &ends, *dimension, &mut rows)?;
        let indices: Vec<usize> = range.clone().collect();
        rows::check_finite(rows.chunks_exact((*dimension).max(1)), &indices)?;
        if *normalize {
            model.normalize(&mut rows, *dimension);
        }
        Ok(range.len())
    }
}
