use proptest::prelude::*;

use super::*;

/// The wire form of a key that is nobody's, of this type.
fn blob(algorithm: &str, fill: u8) -> Vec<u8> {
    let mut blob = u32::try_from(algorithm.len()).unwrap().to_be_bytes().to_vec();
    blob.extend_from_slice(algorithm.as_bytes());
    blob.extend_from_slice(&[0, 0, 0, 4, fill, fill, fill, fill]);
    blob
}

fn key(fill: u8) -> String {
    format!("ssh-ed25519 {}", STANDARD.encode(blob("ssh-ed25519", fill)))
}

fn record(host: &str, text: &str) -> Record {
    let mut record = Record::default();
    record.read(host, Path::new("kh"), text.as_bytes());
    record
}

fn judge(host: &str, text: &str) -> Verdict {
    record(host, text).judge(&blob("ssh-ed25519", 1))
}

fn line(n: usize) -> Location {
    Location { path: "kh".into(), line: n }
}

#[test]
fn plain_hosts_ports_wildcards_and_negation() {
    let k = key(1);
    for hosts in ["cp1", "a,cp1,b", "cp?", "*", "c*1", "CP1", "*.x,cp*"] {
        assert_eq!(judge("cp1", &format!("# c\n\n{hosts} {k} comment here\n")), Verdict::Known, "{hosts}");
    }
    for hosts in ["cp", "cp11", "!cp1,*", "*,!cp1", "c?", "!cp2", "[cp1]:22", "cp1.x", ""] {
        assert_eq!(judge("cp1", &format!("{hosts} {k}")), Verdict::Unknown, "{hosts}");
    }
    assert_eq!(judge("[cp1]:2222", &format!("[cp1]:2222 {k}")), Verdict::Known);
    assert_eq!(judge("[cp1]:2222", &format!("cp1 {k}")), Verdict::Unknown);
    assert_eq!(judge("cp1", &format!("\tcp1\t {}\r", k.replace(' ', "\t"))), Verdict::Known);
}

#[test]
fn hashed_hosts() {
    let salt = STANDARD.encode([7; 20]);
    let hash = |host: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[7; 20]);
        STANDARD.encode(hmac::sign(&key, host.as_bytes()))
    };
    let text = format!("|1|{salt}|{} {}", hash("[10.0.0.1]:2222"), key(1));
    assert_eq!(judge("[10.0.0.1]:2222", &text), Verdict::Known);
    assert_eq!(judge("10.0.0.1", &text), Verdict::Unknown);
    assert_eq!(judge("cp1", &format!("|1|broken|broken {}", key(1))), Verdict::Unknown);
}

#[test]
fn another_key_of_any_type_is_changed_never_unknown() {
    assert_eq!(judge("cp1", &format!("\ncp1 {}\n", key(2))), Verdict::Changed(line(2)));
    let future = format!("cp1 ssh-mldsa-65 {}", STANDARD.encode(blob("ssh-mldsa-65", 1)));
    assert_eq!(judge("cp1", &future), Verdict::Changed(line(1)));
    // One of several is enough.
    assert_eq!(judge("cp1", &format!("cp1 {}\ncp1 {}", key(2), key(1))), Verdict::Known);
}

#[test]
fn revoked_keys_are_refused_even_where_known() {
    let text = format!("cp1 {}\n@revoked * {}", key(1), key(1));
    assert_eq!(judge("cp1", &text), Verdict::Revoked(line(2)));
    assert_eq!(judge("cp1", &format!("@revoked * {}", key(2))), Verdict::Unknown);
}

#[test]
fn authorities_vouch_for_nothing_and_say_so() {
    let record = record("cp1", &format!("@cert-authority * {}", key(1)));
    assert_eq!(record.judge(&blob("ssh-ed25519", 1)), Verdict::Unknown);
    assert!(record.notes[0].starts_with("kh:1: host certificates are not supported"), "{:?}", record.notes);
}

#[test]
fn unreadable_lines_are_skipped_and_noted_only_for_their_own_host() {
    let text = format!("cp1\ncp1 ssh-rsa !!!\ncp1 ssh-rsa {}\ncp2 x y\ncp1 {}", STANDARD.encode([0, 0]), key(1));
    let record = record("cp1", &text);
    assert_eq!(record.judge(&blob("ssh-ed25519", 1)), Verdict::Known);
    assert_eq!(record.notes.len(), 3, "{:?}", record.notes);
    assert_eq!(record.algorithms().collect::<Vec<_>>(), ["ssh-ed25519"]);
}

proptest! {
    #[test]
    fn no_file_makes_it_panic_or_trust(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut record = Record::default();
        record.read("cp1", Path::new("kh"), &bytes);
        prop_assert!(record.judge(&blob("ssh-ed25519", 1)) != Verdict::Known);
    }

    #[test]
    fn no_line_makes_it_panic(text in "[@|!*?,\\[\\]a-c1 =#\t]{0,60}") {
        record("cp1", &text);
    }

    #[test]
    fn globs_agree_with_a_plain_recursion(pattern in "[ab*?]{0,8}", host in "[ab]{0,8}") {
        fn plain(p: &[u8], h: &[u8]) -> bool {
            match (p.split_first(), h.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) if plain(rest, h) => true,
                (Some((b'*', _)), Some((_, h))) => plain(p, h),
                (Some((b'?', p)), Some((_, h))) => plain(p, h),
                (Some((a, p)), Some((b, h))) => a == b && plain(p, h),
                _ => false,
            }
        }
        prop_assert_eq!(glob(&pattern, &host), plain(pattern.as_bytes(), host.as_bytes()));
    }
}
