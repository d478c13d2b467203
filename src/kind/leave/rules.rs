//! Rules that Kubernetes and its network put into the kernel. Nobody else's are flushed: this is how a machine is cut off
//! from its operator.

/// The four families of rules, each with its own `-save` and `-restore`.
pub const TOOLS: &str = "iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy";

/// awk text that reads what `iptables-save` writes, table by table. `ours(chain)` tells a chain of kube-proxy, the kubelet,
/// kube-router, flannel or a CNI plugin; `hits()` a rule elsewhere that leads there, or that kube-router left in the open.
const AWK: &str = r#"function ours(c) { return c ~ /^(KUBE|CNI|FLANNEL)-/ }
  function hits(i) {
    for (i = 3; i < NF; i++) if (($i == "-j" || $i == "-g") && ours($(i + 1))) return 1
    return index($0, "explicitly ACCEPT traffic that comply to network policies") > 0
  }"#;

/// POSIX text that says how many chains and rules there are, a line for each tool that has any.
pub fn finding() -> String {
    format!(
        r#"for kb_tool in {TOOLS}; do
  command -v "$kb_tool-save" > /dev/null || continue
  "$kb_tool-save" 2> /dev/null | awk -v tool="$kb_tool" '{AWK}
    /^:/ {{ if (ours(substr($1, 2))) chains++ }}
    /^-A/ {{ if (!ours($2) && hits()) rules++ }}
    END {{ if (chains + rules) print tool ": " chains + 0 " chains of Kubernetes, " rules + 0 " rules that lead there" }}'
done"#
    )
}

/// POSIX text that removes them: rules that lead there, then what the chains hold, then the chains. Each table changes at
/// once or not at all.
pub fn removing() -> String {
    format!(
        r#"for kb_tool in {TOOLS}; do
  command -v "$kb_tool-save" > /dev/null || continue
  "$kb_tool-save" 2> /dev/null | awk '{AWK}
    /^\*/ {{ table = $0; n = 0; rules = ""; next }}
    /^:/ {{ if (ours(substr($1, 2))) chain[n++] = substr($1, 2); next }}
    /^-A/ {{ if (!ours($2) && hits()) {{ sub(/^-A/, "-D"); rules = rules $0 "\n" }} next }}
    /^COMMIT/ {{
      if (n == 0 && rules == "") next
      printf "%s\n%s", table, rules
      for (i = 0; i < n; i++) print "-F " chain[i]
      for (i = 0; i < n; i++) print "-X " chain[i]
      print
    }}' > "$kb_work/rules"
  if [ -s "$kb_work/rules" ]; then "$kb_tool-restore" --noflush < "$kb_work/rules"; fi
done
if command -v ipset > /dev/null; then
  ipset list -n | grep -E '^(inet6:)?(KUBE|kube-router)-' | while read -r kb_set; do ipset destroy "$kb_set"; done || :
fi"#
    )
}
