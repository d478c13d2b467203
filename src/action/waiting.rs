//! What a long wait says while it lasts: nobody should have to guess whether anything still moves.

use std::time::Duration;

use tokio::time::Instant;

/// Takes a remark for a person.
pub type Tell<'a> = &'a (dyn Fn(String) + Send + Sync);

/// A wait is silent for so long, and then after each of its words.
const SILENCE: Duration = Duration::from_secs(15);
/// Things that it names.
const NAMED: usize = 3;

/// A wait that has begun.
pub(super) struct Waiting<'a> {
    tell: Tell<'a>,
    /// When it is due to speak.
    pub next: Instant,
}

impl<'a> Waiting<'a> {
    pub fn begins(tell: Tell<'a>) -> Self {
        Self { tell, next: Instant::now() + SILENCE }
    }

    /// Names what is waited for, if it is due to speak. Nothing is said where that is empty.
    pub fn still(&mut self, what: impl IntoIterator<Item = String>) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + SILENCE;
        let all: Vec<String> = what.into_iter().collect();
        let more = all.len().saturating_sub(NAMED);
        let mut text = all.into_iter().take(NAMED).collect::<Vec<_>>().join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        if !text.is_empty() {
            (self.tell)(format!("still waits: {text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_speaks_now_and_then_and_names_the_first() {
        let said = Mutex::new(Vec::new());
        let tell = |text| said.lock().unwrap().push(text);
        let mut waiting = Waiting::begins(&tell);
        waiting.still(["a".to_owned()]);
        advance(SILENCE).await;
        waiting.still(["a".to_owned(), "b".to_owned()]);
        waiting.still(["c".to_owned()]);
        advance(SILENCE).await;
        waiting.still(Vec::new());
        advance(SILENCE).await;
        waiting.still((1..=5).map(|number| number.to_string()));
        assert_eq!(*said.lock().unwrap(), ["still waits: a; b", "still waits: 1; 2; 3; and 2 more"]);
    }
}
