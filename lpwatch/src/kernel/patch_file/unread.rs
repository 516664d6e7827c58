//! What could not be read of a module, one sentence each.

/// The most sentences that are kept: a damaged module could have any number.
const SENTENCES_MAX: usize = 32;

#[derive(Default)]
pub(super) struct Unread {
    sentences: Vec<String>,
    further: usize,
}

impl Unread {
    /// Adds a sentence once.
    pub fn add(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if self.sentences.contains(&sentence) {
            return;
        }
        if self.sentences.len() < SENTENCES_MAX {
            self.sentences.push(sentence);
        } else {
            self.further = self.further.saturating_add(1);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.sentences.is_empty()
    }

    pub fn into_sentences(self) -> Vec<String> {
        let Self {
            mut sentences,
            further,
        } = self;
        if further > 0 {
            sentences.push(format!("{further} more things could not be read"));
        }
        sentences
    }
}
