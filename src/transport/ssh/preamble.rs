//! What a login shell, its startup files and sudo write before the script starts, told apart from the script's output.

use bytes::Bytes;

/// Noise that is kept to find the mark in, and to show where the mark never comes.
const KEPT: usize = 64 << 10;

/// One output of a remote command, up to and beyond the line that says that the script starts.
#[derive(Debug)]
pub(super) struct Preamble {
    mark: Vec<u8>,
    noise: Vec<u8>,
    started: bool,
}

impl Preamble {
    /// An output in which the script starts after the line `mark`.
    pub(super) fn until(mark: &str) -> Self {
        Self { mark: format!("{mark}\n").into_bytes(), noise: Vec::new(), started: false }
    }

    /// Takes in what arrived and gives back what the script itself wrote of it.
    pub(super) fn pass(&mut self, data: Bytes) -> Bytes {
        if self.started {
            return data;
        }
        self.noise.extend_from_slice(&data);
        match find(&self.noise, &self.mark) {
            Some(at) => {
                self.started = true;
                let noise = std::mem::take(&mut self.noise);
                Bytes::from(noise).slice(at + self.mark.len()..)
            }
            None => {
                let excess = self.noise.len().saturating_sub(KEPT);
                self.noise.drain(..excess);
                Bytes::new()
            }
        }
    }

    /// Whether the line was seen.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// What came so far without the line; empty once it was seen.
    pub(super) fn noise(&self) -> &[u8] {
        &self.noise
    }

    /// How often a text stands in the noise.
    pub(super) fn count(&self, text: &str) -> usize {
        let mut rest = self.noise.as_slice();
        let mut count = 0;
        while let Some(at) = find(rest, text.as_bytes()) {
            count += 1;
            rest = &rest[at + text.len()..];
        }
        count
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn output_begins_after_the_mark() {
        let mut out = Preamble::until("mark-1");
        assert_eq!(out.pass("Welcome!\nma".into()), "");
        assert_eq!(out.noise(), b"Welcome!\nma");
        assert_eq!(out.pass("rk-1\nhel".into()), "hel");
        assert!(out.has_started());
        assert_eq!(out.pass("lo mark-1\n".into()), "lo mark-1\n");
    }

    #[test]
    fn noise_without_end_is_bounded() {
        let mut out = Preamble::until("mark-1");
        for _ in 0..100 {
            out.pass(Bytes::from(vec![b'x'; 10_000]));
        }
        assert_eq!(out.noise().len(), KEPT);
        assert_eq!(out.pass("mark-1\nend".into()), "end");
    }

    #[test]
    fn counts_prompts() {
        let mut out = Preamble::until("mark");
        out.pass("ask:no\nask:".into());
        assert_eq!(out.count("ask:"), 2);
    }

    proptest! {
        #[test]
        fn no_cut_of_the_stream_matters(cuts in proptest::collection::vec(1usize..9, 1..40)) {
            let whole = Bytes::from_static(b"motd\nkb-0\n\0\xffkb-0\nrest");
            let mut out = Preamble::until("kb-0");
            let mut seen = Vec::new();
            let mut at = 0;
            for cut in cuts.into_iter().chain([100]) {
                let end = (at + cut).min(whole.len());
                seen.extend_from_slice(&out.pass(whole.slice(at..end)));
                at = end;
            }
            prop_assert_eq!(seen, b"\0\xffkb-0\nrest");
        }
    }
}
