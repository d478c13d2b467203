//! The part of shell text that sends a file to an S3 endpoint, signed as AWS' signature version 4.
//!
//! The client's own signing is not used: of the versions on nodes (7.81 on Ubuntu 22.04) not every one signs what S3 wants
//! signed. Here it is HMAC-SHA256 of sha256sum and awk. The secret goes through the shell's own `printf` and pipes alone: it
//! is never an argument of a program, nor in an environment.

use crate::{
    model::{node::NodeSpec, s3::S3Spec},
    shell::quote,
};

/// Where a node has the key: its id and its secret, a line each; root's alone.
pub const KEY_PATH: &str = "/etc/kbootstrap/backup-s3";

/// `kb_mac KEY`: HMAC-SHA256 of what comes in, by a key in hex, in hex.
const MAC: &str = r#"kb_hex() { od -An -v -tx1 | tr -d ' \n'; }
kb_raw() {
  awk '{ for (i = 1; i < length($0); i += 2)
    printf "%c", 16 * (index("123456789abcdef", substr($0, i, 1))) + index("123456789abcdef", substr($0, i + 1, 1)) }'
}
kb_pad() {
  awk -v pad="$1" '{ for (i = 1; i < 128; i += 2) {
    byte = i > length($0) ? 0 : 16 * index("123456789abcdef", substr($0, i, 1)) + index("123456789abcdef", substr($0, i + 1, 1))
    mixed = 0
    for (bit = 1; bit < 256; bit *= 2) if ((int(byte / bit) + int(pad / bit)) % 2) mixed += bit
    printf "%c", mixed } }'
}
kb_mac() {
  if [ ${#1} -gt 128 ]; then set -- "$(printf '%s\n' "$1" | kb_raw | sha256sum | cut -c 1-64)"; fi
  kb_inner=$({ printf '%s\n' "$1" | kb_pad 54; cat; } | sha256sum | cut -c 1-64)
  { printf '%s\n' "$1" | kb_pad 92; printf '%s\n' "$kb_inner" | kb_raw; } | sha256sum | cut -c 1-64
}"#;

/// POSIX text of a function, `kb_upload FILE NAME`, that puts a file under `PREFIX/NODE/NAME`. One call sends at most 5 GiB.
pub fn upload(s3: &S3Spec, node: &NodeSpec) -> String {
    format!(
        r#"{MAC}
kb_upload() {{
  {{ read -r kb_key && read -r kb_secret; }} < {KEY_PATH} || return 1
  kb_path=/{bucket}/{prefix}{node}/$2
  kb_date=$(date -u +%Y%m%dT%H%M%SZ)
  kb_scope=${{kb_date%T*}}/{region}/s3/aws4_request
  kb_sum=$(sha256sum "$1" | cut -c 1-64)
  kb_request=$(printf 'PUT\n%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\nhost;x-amz-content-sha256;x-amz-date\n%s' \
    "$kb_path" {host} "$kb_sum" "$kb_date" "$kb_sum" | sha256sum | cut -c 1-64)
  kb_sign=$(printf %s "AWS4$kb_secret" | kb_hex)
  for kb_word in "${{kb_date%T*}}" {region} s3 aws4_request; do kb_sign=$(printf %s "$kb_word" | kb_mac "$kb_sign"); done
  kb_sign=$(printf 'AWS4-HMAC-SHA256\n%s\n%s\n%s' "$kb_date" "$kb_scope" "$kb_request" | kb_mac "$kb_sign")
  printf 'header = "%s"\n' "x-amz-date: $kb_date" "x-amz-content-sha256: $kb_sum" \
    "Authorization: AWS4-HMAC-SHA256 Credential=$kb_key/$kb_scope,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=$kb_sign" |
    curl -q -sS --fail-with-body --connect-timeout 20 --max-time 3000 --config - -T "$1" -- {endpoint}"$kb_path" >&2
}}"#,
        bucket = s3.bucket,
        prefix = s3.prefix,
        node = node.name,
        region = s3.region,
        host = quote(s3.endpoint.host()),
        endpoint = quote(s3.endpoint.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Stdio};

    use super::*;

    /// Cases 1, 2 and 6 of RFC 4231: a key of bytes, one of letters, and one that is longer than a block.
    #[test]
    fn it_is_hmac_sha256() {
        for (key, message, wanted) in [
            ("0b".repeat(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                "4a656665".into(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                "aa".repeat(131),
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let mut shell = std::process::Command::new("/bin/sh");
            let script = format!("{MAC}\nkb_mac {key}");
            shell.args(["-c", &script]).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = shell.spawn().unwrap();
            child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim(), wanted);
        }
    }
}
