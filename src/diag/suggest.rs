//! "Did you mean": the known word nearest to an unknown one.

/// The candidate that was most likely meant; absent where none is near.
///
/// Case and the choice between `-` and `_` count for nothing: `Pod_CIDR` is `pod-cidr`.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let word = plain(word);
    // Nothing that long is a slip of one of our words, and the distance costs its square.
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        // A third of the letters may differ: in shorter words than that, everything is near everything.
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Slips between two words; a part for the whole (`cidr` for `pod-cidr`) counts as one slip.
fn distance(word: &str, candidate: &str) -> usize {
    let slips = strsim::damerau_levenshtein(word, candidate);
    let part = word.len() >= 4 && (candidate.starts_with(word) || candidate.ends_with(word));
    if part { slips.min(1) } else { slips }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 4] = ["pod-cidr", "service-cidr", "node-mask", "name"];

    #[test]
    fn slips_and_other_spellings_are_understood() {
        for (word, meant) in
            [("pod_cidr", "pod-cidr"), ("PodCIDR", "pod-cidr"), ("nam", "name"), ("service", "service-cidr")]
        {
            assert_eq!(did_you_mean(word, WORDS), Some(meant), "{word}");
        }
    }

    #[test]
    fn what_is_far_gets_no_answer() {
        for word in ["", "x", "registry", "kubernetes", &"a".repeat(10_000)] {
            assert_eq!(did_you_mean(word, WORDS), None, "{word}");
        }
    }
}
