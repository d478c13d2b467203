//! To whom backups are encrypted, and what an archive says of itself.

use serde::{Deserialize, Serialize};

use super::invalid::{Invalid, checked_text};

/// The public half of an age key, which reads nothing: `age1…` (age-encryption.org).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeRecipient(String);
checked_text!(AgeRecipient);

/// A bech32 text of 32 bytes under `age`.
const LENGTH: usize = 62;

impl AgeRecipient {
    fn check(text: &str) -> Result<(), Invalid> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(Invalid::new("this is a secret key of age, which must not be here")
                .hint("what is needed is its public half: age-keygen -y FILE prints it"));
        }
        let digits = |rest: &str| rest.bytes().all(|byte| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&byte));
        match text.strip_prefix("age1") {
            Some(rest) if text.len() == LENGTH && digits(rest) => Ok(()),
            _ => Err(Invalid::new(format!("`{}` is no recipient of age", text.escape_debug()))
                .hint("age-keygen makes a key, and prints its recipient, which begins with `age1`")),
        }
    }
}

/// When backups are taken, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    pub calendar: Calendar,
    /// How many each control plane keeps, the newest among them.
    pub keep: u16,
}

impl Schedule {
    /// How many are kept where nothing is said.
    pub const KEEP: u16 = 7;
}

/// A moment that comes again, as systemd writes it (`OnCalendar`): `daily`, `Mon..Fri 03:00`, `*-*-* 00/6:00 UTC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar(String);
checked_text!(Calendar);

impl Calendar {
    /// What can only be a slip is refused here; whether systemd understands the rest, a node's own says before it is used.
    fn check(text: &str) -> Result<(), Invalid> {
        const WORDS: [&str; 9] =
            ["minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually"];
        let words: Vec<&str> = text.split(' ').collect();
        let named = WORDS.contains(&words[0]);
        let moment = words.iter().any(|word| is_weekdays(word) || is_numbers(word));
        let known = |word: &&str| WORDS.contains(word) || is_weekdays(word) || is_numbers(word) || is_zone(word);
        if words.len() <= 4 && words.iter().all(known) && (named || moment) && text.len() <= 100 {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is no moment that systemd knows", text.escape_debug()))
            .hint("such as `daily`, `hourly`, `Mon..Fri 03:00` or `*-*-* 00/6:00`; `man systemd.time` has them all"))
    }
}

/// `Mon..Fri`, `sat,sun`.
fn is_weekdays(word: &str) -> bool {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let is = |day: &str| {
        let day = day.to_ascii_lowercase();
        DAYS.iter().any(|known| *known == day || known[..3] == day)
    };
    word.replace("..", ",").split(',').all(is)
}

/// A date or a time: `*-*-01`, `00/6:00`.
fn is_numbers(word: &str) -> bool {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit() || b"*-/,.~:".contains(&byte));
    digits && word.contains([':', '-', '~'])
}

/// `UTC`, `Europe/Berlin`.
fn is_zone(word: &str) -> bool {
    word == "UTC" || word.contains('/') && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-+".contains(&b))
}

/// What a control plane that takes backups by itself says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Whether its timer runs.
    pub timer: bool,
    /// When the next one is due, Unix seconds; absent where the timer does not run.
    pub next: Option<i64>,
    /// Whether one is being taken now.
    pub busy: bool,
    /// The last one that came out well.
    pub good: Option<Good>,
    /// Why the last attempt failed; absent where it came out well.
    pub failure: Option<Failed>,
    /// The archives that lie there, oldest first.
    pub archives: Vec<Archive>,
}

/// A backup that came out well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Good {
    /// Unix seconds.
    pub at: i64,
    pub name: String,
    pub revision: u64,
    pub keys: u64,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Unix seconds.
    pub at: i64,
    /// The node's last words.
    pub why: String,
}

/// An archive on a control plane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Archive {
    pub name: String,
    pub bytes: u64,
    /// Unix seconds.
    pub at: i64,
}

/// The first entry of every archive (`kbootstrap.backup/v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: String,
    /// The cluster's name and random id.
    pub cluster: String,
    pub id: String,
    pub kubernetes: String,
    /// The control plane that it was taken on.
    pub node: String,
    /// RFC 3339.
    pub taken: String,
    pub program: String,
    /// The control planes of that time; absent in archives of program versions that did not tell.
    #[serde(default)]
    pub control_planes: Vec<Machine>,
    /// Names of the keys that Secrets in it may be encrypted with; none where they are plain.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What etcd says of its snapshot.
    pub etcd: Snapshot,
    pub parts: Vec<Part>,
}

/// `etcdctl snapshot status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub hash: u64,
    pub revision: u64,
    #[serde(rename = "totalKey")]
    pub keys: u64,
    #[serde(rename = "totalSize")]
    pub bytes: u64,
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

/// The only schema there is.
pub const SCHEMA: &str = "kbootstrap.backup/v1";

/// A control plane as the inventory had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    pub address: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_what_systemd_knows() {
        for good in [
            "daily",
            "hourly UTC",
            "03:00",
            "Mon..Fri 03:00",
            "sat,sun *-*-* 04:30:00 Europe/Berlin",
            "*-*-* 00/6:00",
            "*-*-01 UTC",
            "weekly",
        ] {
            assert!(Calendar::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "dayly", "every day", "UTC", "daily\nExecStart=x", "%i 03:00", "03:00  ", "3", "Mo 03:00", "daily; x"]
        {
            assert!(Calendar::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_public_half_is_taken() {
        let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudmp87qqkcyqv3";
        assert!(good.len() == LENGTH && AgeRecipient::new(good).is_ok());
        for bad in ["", "age1", "AGE-SECRET-KEY-1QQQ", "ssh-ed25519 AAAA", &good[..61], &good.replace('q', "b")] {
            assert!(AgeRecipient::new(bad).is_err(), "{bad}");
        }
    }
}
