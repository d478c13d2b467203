//! Lines of ours between two marks, in a file of somebody else's.

use super::{Context, diff, op};
use crate::{
    model::{
        observe::{ContentRead, FileSeen, Read},
        plan::Verdict,
        step::Block,
    },
    shell::quote,
};

pub fn reads(block: &Block) -> Vec<Read> {
    vec![Read::File { path: block.path.clone(), content: ContentRead::Always }]
}

pub fn judge(block: &Block, context: &Context<'_>) -> Verdict {
    let path = &block.path;
    let (there, remark) = match context.seen.files.get(path) {
        None => return Verdict::Unknown(format!("{path} was not looked at")),
        Some(FileSeen::Absent) if block.optional => return Verdict::Satisfied,
        Some(FileSeen::Absent) => (String::new(), Some(format!("+ {path}"))),
        Some(FileSeen::File { content: Some(content), .. }) => (String::from_utf8_lossy(content).into_owned(), None),
        Some(FileSeen::File { content: None, .. }) => {
            return op::refused(format!("{path} is too big to be looked into"), "make it smaller than 256 KiB");
        }
        // A link is followed when it is written; what it points at was not read, so nothing is said to be right.
        Some(FileSeen::Link { target }) => {
            return op::refused(
                format!("{path} is a symbolic link to {target}"),
                "put the file itself there: other programs rewrite what links point at",
            );
        }
        Some(FileSeen::Directory { .. } | FileSeen::Other) => {
            return op::refused(format!("{path} is there, and is not a file"), "look at what it is");
        }
    };
    let wanted = with_block(&there, &block.name, &block.lines);
    if wanted == there {
        return Verdict::Satisfied;
    }
    let mut diff: Vec<String> = remark.into_iter().collect();
    diff.extend(diff::lines(&there, &wanted));
    let what = format!("write the lines {} in {path}", block.name);
    op::change(diff, vec![op::node("block.write", what, script(block), op::QUICK_S)])
}

fn marks(name: &str) -> (String, String) {
    (format!("# BEGIN kbootstrap {name}"), format!("# END kbootstrap {name}"))
}

/// The text with our lines where they were, or at its beginning: in `/etc/hosts` the first line that fits a name wins.
/// A block that has no end is ended by the end of the text.
fn with_block(text: &str, name: &str, lines: &[String]) -> String {
    let (begin, end) = marks(name);
    let mut block = String::new();
    for line in [&begin].into_iter().chain(lines).chain([&end]) {
        block.push_str(line);
        block.push('\n');
    }
    let (mut out, mut inside, mut done) = (String::new(), false, false);
    for line in text.lines() {
        if line == begin {
            inside = true;
            if !std::mem::replace(&mut done, true) {
                out.push_str(&block);
            }
        } else if inside {
            inside = line != end;
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    if done { out } else { block + &out }
}

/// The same on the node: the file may have changed since it was read, and what others wrote stays.
fn script(block: &Block) -> String {
    let (begin, end) = marks(&block.name);
    let (folder, name) = block.path.rsplit_once('/').unwrap_or((".", &block.path));
    let mut text = block.lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    format!(
        r#"file={path} draft={draft} begin={begin} end={end} text={text}
[ -e "$file" ] || {{ [ -d {folder} ] || mkdir -p {folder}; (umask 022; : > "$file"); }}
cp -p "$file" "$draft"
grep -qxF -e "$begin" "$file" && has=1 || has=0
{{
  [ "$has" = 1 ] || printf '%s\n%s%s\n' "$begin" "$text" "$end"
  BEGIN="$begin" END="$end" TEXT="$text" awk '
    $0 == ENVIRON["BEGIN"] {{ inside = 1; if (!done++) printf "%s\n%s%s\n", ENVIRON["BEGIN"], ENVIRON["TEXT"], ENVIRON["END"]; next }}
    inside {{ if ($0 == ENVIRON["END"]) inside = 0; next }}
    {{ print }}
  ' "$file"
}} > "$draft"
mv -fT "$draft" "$file""#,
        path = quote(&block.path),
        draft = quote(&format!("{folder}/.{name}.kbootstrap")),
        folder = quote(folder),
        begin = quote(&begin),
        end = quote(&end),
        text = quote(&text),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::sh;

    fn block(path: &str, lines: &[&str]) -> Block {
        let lines = lines.iter().map(ToString::to_string).collect();
        Block { path: path.into(), name: "hosts".into(), lines, optional: false }
    }

    /// What the script makes of a file is what the plan shows.
    #[test]
    fn the_script_writes_what_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let begin = "# BEGIN kbootstrap hosts\n";
        let end = "# END kbootstrap hosts\n";
        for text in [
            String::new(),
            "127.0.0.1 localhost\n".into(),
            "no newline at the end".into(),
            format!("a\n{begin}old\nolder\n{end}b\n"),
            format!("a\n{begin}{end}b\n{begin}twice\n{end}"),
            format!("a\n{begin}never ended\n"),
        ] {
            for lines in [&["10.0.0.1 cp1", "127.0.0.1 api.\\lab $(x) 'q'"][..], &[]] {
                std::fs::write(&path, &text).unwrap();
                let block = block(path.to_str().unwrap(), lines);
                let shown = with_block(&text, &block.name, &block.lines);
                sh(&script(&block)).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), shown, "{text:?}");
                sh(&script(&block)).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), shown, "twice: {text:?}");
                assert_eq!(with_block(&shown, &block.name, &block.lines), shown);
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_missing_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/hosts");
        let block = block(path.to_str().unwrap(), &["x"]);
        sh(&script(&block)).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), with_block("", "hosts", &block.lines));
    }
}
