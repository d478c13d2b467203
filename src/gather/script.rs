//! One observing script per node: pure text, made of the pieces in `facts`.
//!
//! Its answer is one line, `NONCE observed 0 BASE64`, whatever else banners and profiles write around it. One `base64`
//! encodes the whole stream of sections, so a part costs no process for its framing.

use super::ask::Ask;
use crate::{
    facts::{
        clock, commands, control_plane, disks, encryption, files, hardware, identity, kubernetes, links, listing,
        modules, os, packages, ports, runs,
        section::{self, END},
        sysctls, texts, units,
    },
    shell,
};

/// Name of the frame.
pub const FRAME: &str = "observed";

/// The section of `/etc/kubernetes/admin.conf`.
pub const ADMIN_CONF: &str = "admin.conf";

/// The whole script. The nonce is random hex, new for each run of a script.
pub fn compile(ask: &Ask, nonce: &str) -> String {
    // The control plane's programs are asked beside all else: while they are slow to answer, the rest is read. Their
    // answer waits in the pipe that is the reader's standard input.
    let body = format!(
        r#"export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset IFS
{prelude}
_look() {{
exec 3>&1 4<&0 </dev/null
{reads}
[ -z "$_a" ] || {{ cat <&4; _s {cp} 0; }}
{clock_end}
_s {END} 0
}}
{clock_begin}
printf '\n%s {FRAME} 0 ' {nonce}
_a=
if {condition}; then
_a=1
{control_plane} | _look
else
_look
fi | base64 -w0
echo"#,
        prelude = section::prelude(nonce),
        reads = reads(ask),
        cp = control_plane::NAME,
        clock_begin = clock::begin(),
        clock_end = clock::end(),
        condition = control_plane::condition(),
        control_plane = control_plane::command(),
        nonce = shell::quote(nonce),
    );
    shell::wrap(&body)
}

fn reads(ask: &Ask) -> String {
    let own = [os::TEXTS, identity::TEXTS, hardware::TEXTS, kubernetes::TEXTS, runs::TEXTS];
    let sysctls: Vec<String> = ask.sysctls.iter().map(|name| sysctls::path(name)).collect();
    let texts = own.into_iter().flatten().copied().chain(sysctls.iter().map(String::as_str));
    let admin_conf = match ask.admin_conf {
        true => {
            format!("[ ! -e /etc/kubernetes/admin.conf ] || {{ cat /etc/kubernetes/admin.conf; _s {ADMIN_CONF} $?; }}")
        }
        false => String::new(),
    };
    let parts = [
        texts::command(texts),
        os::command(),
        listing::command(),
        encryption::command(),
        runs::command(),
        disks::command(),
        links::command(),
        ports::command(),
        units::command(names(&ask.units)),
        packages::command(names(&ask.packages)),
        modules::command(names(&ask.modules)),
        files::command(&ask.files),
        commands::command(ask.commands.iter().map(|(_, script)| script.as_str())),
        admin_conf,
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// The names as the facts take them.
pub fn names(set: &std::collections::BTreeSet<String>) -> impl Iterator<Item = &str> {
    set.iter().map(String::as_str)
}
