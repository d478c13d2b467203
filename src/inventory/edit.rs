//! Changing an inventory's nodes in its text: comments, order and everything else stay as they are. Pure.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

use crate::model::backup::Schedule;
use crate::model::etcd::EtcdLayout;
use crate::model::label::LabelValue;
use crate::model::name::{Host, NodeName};
use crate::model::node::Role;

/// A node to be written into an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    pub name: NodeName,
    pub address: Host,
    pub role: Role,
    pub zone: Option<LabelValue>,
}

impl NewNode {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [
            ("name", Some(self.name.to_string())),
            ("address", Some(self.address.to_string())),
            ("role", Some(self.role.to_string())),
            ("zone", self.zone.as_ref().map(ToString::to_string)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}

/// The text with a node more, behind those that are there and in their form.
///
/// # Errors
/// The text is no inventory, in words.
pub fn add(text: &str, node: &NewNode) -> Result<String, String> {
    let mut document = parse(text)?;
    match document.get_mut("node") {
        Some(Item::ArrayOfTables(tables)) => tables.push(Table::from_iter(node.pairs())),
        Some(Item::Value(Value::Array(array))) => push(array, InlineTable::from_iter(node.pairs())),
        _ => return Err("it has no list of nodes".to_owned()),
    }
    if let Some(Item::ArrayOfTables(tables)) = document.get_mut("node") {
        let blank = tables.len() > 1;
        let last = tables.iter_mut().last().expect("one was pushed");
        last.decor_mut().set_prefix(if blank { "\n" } else { "" });
    }
    Ok(document.to_string())
}

/// The text without the node of this name; as it is where it has none.
///
/// A comment goes with the node that it stands next to; one that a blank line sets apart stays.
///
/// # Errors
/// As [`add`].
pub fn remove(text: &str, name: &NodeName) -> Result<String, String> {
    let mut document = parse(text)?;
    let mut left_over = None;
    match document.get_mut("node") {
        Some(Item::ArrayOfTables(tables)) => {
            let at = tables.iter().position(|table| is(table.get("name"), name));
            if let Some(at) = at {
                left_over = drop_table(tables, at);
            }
        }
        Some(Item::Value(Value::Array(array))) => {
            let named = |table: &InlineTable| table.get("name").and_then(Value::as_str) == Some(name.as_str());
            let at = array.iter().position(|item| item.as_inline_table().is_some_and(named));
            if let Some(at) = at {
                drop_element(array, at);
            }
        }
        _ => return Err("it has no list of nodes".to_owned()),
    }
    if let Some(comment) = left_over {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(format!("{comment}{trailing}"));
    }
    Ok(document.to_string())
}

/// The text with another schedule of backups, or without one; recipients and what else is said stay.
///
/// # Errors
/// The text is no inventory, in words.
pub fn schedule(text: &str, schedule: Option<&Schedule>) -> Result<String, String> {
    let mut document = parse(text)?;
    let Some(schedule) = schedule else {
        if let Some(table) = document.get_mut("backup").and_then(Item::as_table_like_mut) {
            table.remove("schedule");
            table.remove("keep");
        }
        return Ok(document.to_string());
    };
    let table = document.entry("backup").or_insert_with(|| Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or("its `backup` is no table")?;
    put(table, "schedule", Value::from(schedule.calendar.as_str()));
    // The default needs no line, unless there is one.
    if schedule.keep != Schedule::KEEP || table.contains_key("keep") {
        put(table, "keep", Value::from(i64::from(schedule.keep)));
    }
    // What stands on one line has its white space between its parts.
    if let Some(Item::Value(Value::InlineTable(table))) = document.get_mut("backup") {
        table.fmt();
    }
    Ok(document.to_string())
}

/// The text with etcd as a service; what else is said stays.
///
/// # Errors
/// The text is no inventory, in words.
pub fn etcd_service(text: &str) -> Result<String, String> {
    let mut document = parse(text)?;
    let table = document.entry("etcd").or_insert_with(|| Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or("its `etcd` is no table")?;
    put(table, "layout", Value::from(EtcdLayout::Service.to_string()));
    Ok(document.to_string())
}

/// A value in its key's place, with the comment that stands beside it; a new key stands last.
fn put(table: &mut dyn TableLike, key: &str, mut new: Value) {
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => drop(table.insert(key, Item::Value(new))),
    }
}

/// The text with another address of a node; what else is said of it stays.
///
/// # Errors
/// As [`add`], or it has no such node.
pub fn readdress(text: &str, name: &NodeName, address: &Host) -> Result<String, String> {
    let mut document = parse(text)?;
    let found = match document.get_mut("node") {
        Some(Item::ArrayOfTables(tables)) => {
            let table = tables.iter_mut().find(|table| is(table.get("name"), name));
            table.map(|table| exchange(table.get_mut("address"), address))
        }
        Some(Item::Value(Value::Array(array))) => {
            let named = |table: &InlineTable| table.get("name").and_then(Value::as_str) == Some(name.as_str());
            let table = array.iter_mut().filter_map(Value::as_inline_table_mut).find(|table| named(table));
            table.and_then(|table| table.get_mut("address")).map(|old| exchange_value(old, address))
        }
        _ => None,
    };
    found.map(|()| document.to_string()).ok_or_else(|| format!("it has no node {name}"))
}

fn parse(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())
}

fn is(item: Option<&Item>, name: &NodeName) -> bool {
    item.and_then(Item::as_str) == Some(name.as_str())
}

fn exchange(old: Option<&mut Item>, address: &Host) {
    match old {
        Some(Item::Value(old)) => exchange_value(old, address),
        Some(old) => *old = value(address.to_string()),
        None => {}
    }
}

/// Another value where one stood, with the white space and the comment around it.
fn exchange_value(old: &mut Value, address: &Host) {
    let decor = old.decor().clone();
    *old = Value::from(address.to_string());
    *old.decor_mut() = decor;
}

/// Takes a table out; gives a comment that nothing behind it can carry.
fn drop_table(tables: &mut ArrayOfTables, at: usize) -> Option<String> {
    let text = |table: &Table| table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
    let before = text(tables.get(at)?);
    tables.remove(at);
    // What a blank line sets apart is about more than this node.
    let kept = before.rfind("\n\n").map(|end| before[..=end].to_owned()).filter(|kept| !kept.trim().is_empty())?;
    match tables.get_mut(at) {
        Some(next) => {
            let own = text(next);
            next.decor_mut().set_prefix(format!("{kept}{own}"));
            None
        }
        None => Some(kept),
    }
}

/// In a list, a comment behind an element belongs to what follows its comma: the next element, or the list's end.
fn drop_element(array: &mut Array, at: usize) {
    let prefix =
        |value: &Value| value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
    let before = array.get(at).map(prefix).unwrap_or_default();
    array.remove(at);
    let line = |text: &str| text.split('\n').next().unwrap_or_default().to_owned();
    let rest = |text: &str| text.find('\n').map_or_else(String::new, |end| text[end..].to_owned());
    let trailing_comma = array.trailing_comma();
    match array.get_mut(at) {
        Some(next) => {
            let own = prefix(next);
            if own.contains('\n') {
                next.decor_mut().set_prefix(format!("{}{}", line(&before), rest(&own)));
            } else {
                next.decor_mut().set_prefix(before);
            }
        }
        None if trailing_comma => {
            let own = array.trailing().as_str().unwrap_or_default().to_owned();
            if own.contains('\n') {
                array.set_trailing(format!("{}{}", line(&before), rest(&own)));
            }
        }
        None => {
            if let Some(last) = array.iter_mut().last() {
                last.decor_mut().set_suffix(if before.contains('\n') { "\n" } else { " " });
            }
        }
    }
}

/// Puts an element behind the others, on a line of its own where they have such.
fn push(array: &mut Array, table: InlineTable) {
    let prefix = array.iter().last().and_then(|last| last.decor().prefix()?.as_str()).unwrap_or_default();
    let mut value = Value::InlineTable(table);
    match prefix.rsplit_once('\n') {
        Some((_, indent)) => {
            let indent: String = indent.chars().take_while(|c| c.is_whitespace()).collect();
            let trailing = array.trailing().as_str().unwrap_or_default().trim_end().to_owned();
            value.decor_mut().set_prefix(format!("{trailing}\n{indent}"));
            value.decor_mut().set_suffix("");
            if !array.trailing_comma()
                && let Some(last) = array.iter_mut().last()
            {
                let suffix = last.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default();
                let comment = suffix.trim_end().to_owned();
                last.decor_mut().set_suffix("");
                value.decor_mut().set_prefix(format!("{comment}\n{indent}"));
            }
            array.push_formatted(value);
            array.set_trailing("\n");
            array.set_trailing_comma(true);
        }
        None => {
            value.decor_mut().set_prefix(" ");
            array.push_formatted(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "# mine\n[cluster]\nname = \"lab\" # fixed\n\n[[node]]\nname = \"cp1\"\naddress = \"10.0.0.1\" # rack 1\nrole = \"control-plane\"\n\n\
        # --- workers ---\n\n# the old one\n[[node]]\nname = \"w1\"\naddress = \"10.0.0.2\"\nrole = \"worker\"\n\n[[node]]\nname = \"w2\"\naddress = \"10.0.0.3\"\nrole = \"worker\"\n\n[time]\nmanage = true\n";
    const INLINE: &str = "node = [ # all\n  { name = \"cp1\", address = \"10.0.0.1\", role = \"control-plane\" }, # rack 1\n  # workers\n  { name = \"w1\", address = \"10.0.0.2\", role = \"worker\" }, # rack 2\n]\n# end\n";

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn new() -> NewNode {
        NewNode {
            name: name("w3"),
            address: "10.0.0.9".parse().unwrap(),
            role: Role::Worker,
            zone: Some("b".parse().unwrap()),
        }
    }

    #[test]
    fn a_table_is_added_behind_the_others() {
        let wanted = "role = \"worker\"\n\n[[node]]\nname = \"w3\"\naddress = \"10.0.0.9\"\nrole = \"worker\"\nzone = \"b\"\n\n[time]";
        let text = add(TABLES, &new()).unwrap();
        assert!(text.contains(wanted), "{text}");
        assert_eq!(
            text.replace("[[node]]\nname = \"w3\"\naddress = \"10.0.0.9\"\nrole = \"worker\"\nzone = \"b\"\n\n", ""),
            TABLES
        );
        assert_eq!(remove(&text, &name("w3")).unwrap(), TABLES);
    }

    #[test]
    fn a_line_is_added_to_a_list() {
        let text = add(INLINE, &new()).unwrap();
        let line = "  { name = \"w3\", address = \"10.0.0.9\", role = \"worker\", zone = \"b\" },\n";
        assert_eq!(text, INLINE.replace("]\n# end", &format!("{line}]\n# end")));
        assert_eq!(remove(&text, &name("w3")).unwrap(), INLINE);
        let bare = "node = [\n  { name = \"a\" },\n  { name = \"b\" } # last\n]\n";
        let text = add(bare, &new()).unwrap();
        assert_eq!(text, format!("node = [\n  {{ name = \"a\" }},\n  {{ name = \"b\" }}, # last\n{line}]\n"));
        let flat = "node = [{ name = \"a\" }]";
        assert!(add(flat, &new()).unwrap().starts_with("node = [{ name = \"a\" }, { name = \"w3\""));
    }

    #[test]
    fn a_comment_goes_with_its_node_and_a_heading_stays() {
        let text = remove(TABLES, &name("w1")).unwrap();
        assert!(text.contains("# --- workers ---\n\n[[node]]\nname = \"w2\""), "{text}");
        assert!(!text.contains("the old one") && !text.contains("w1"), "{text}");
        let text = remove(INLINE, &name("cp1")).unwrap();
        assert_eq!(
            text,
            "node = [ # all\n  # workers\n  { name = \"w1\", address = \"10.0.0.2\", role = \"worker\" }, # rack 2\n]\n# end\n"
        );
        let text = remove(INLINE, &name("w1")).unwrap();
        assert_eq!(text.lines().nth(1), INLINE.lines().nth(1));
        assert!(!text.contains("rack 2") && text.ends_with("\n]\n# end\n"), "{text}");
        assert_eq!(remove(INLINE, &name("w9")).unwrap(), INLINE);
    }

    #[test]
    fn the_last_tables_heading_is_not_lost() {
        let text = "[cluster]\nname = \"lab\"\n\n# --- workers ---\n\n[[node]]\nname = \"w1\"\n";
        let text = remove(text, &name("w1")).unwrap();
        assert!(text.contains("# --- workers ---") && !text.contains("w1"), "{text}");
    }

    #[test]
    fn a_schedule_comes_and_goes_and_the_rest_stays() {
        let daily = Schedule { calendar: "daily".parse().unwrap(), keep: Schedule::KEEP };
        let three = Schedule { calendar: "Mon 03:00".parse().unwrap(), keep: 3 };
        let text = "[backup] # mine\nrecipients = [\"age1\"] # the safe's\n\n[time]\nmanage = true\n";
        let with = schedule(text, Some(&daily)).unwrap();
        assert_eq!(with, text.replace("safe's\n", "safe's\nschedule = \"daily\"\n"));
        let with = schedule(&with.replace("daily\"", "daily\" # by night"), Some(&three)).unwrap();
        assert!(with.contains("schedule = \"Mon 03:00\" # by night\nkeep = 3\n"), "{with}");
        assert!(schedule(&with, Some(&daily)).unwrap().contains("keep = 7\n"));
        assert_eq!(schedule(&with, None).unwrap(), text);
        assert!(schedule(TABLES, Some(&daily)).unwrap().contains("[backup]\nschedule = \"daily\"\n"));
        assert_eq!(schedule(TABLES, None).unwrap(), TABLES);
        let inline = "backup = { recipients = [] }\n";
        assert!(schedule(inline, Some(&daily)).unwrap().contains("recipients = [], schedule = \"daily\""), "{inline}");
    }

    #[test]
    fn etcds_layout_is_written_once_where_it_stands() {
        let text = "# mine\n[etcd] # of kubeadm\nlayout = \"stacked\" # for now\n\n[time]\nmanage = true\n";
        let with = etcd_service(text).unwrap();
        assert_eq!(with, text.replace("stacked", "service"));
        assert_eq!(etcd_service(&with).unwrap(), with);
        let added = etcd_service(TABLES).unwrap();
        assert_eq!(added, format!("{TABLES}\n[etcd]\nlayout = \"service\"\n"));
        assert!(etcd_service(INLINE).unwrap().ends_with("[etcd]\nlayout = \"service\"\n# end\n"));
    }

    #[test]
    fn an_address_is_exchanged_where_it_stands() {
        let address = "10.9.9.9".parse().unwrap();
        for text in [TABLES, INLINE] {
            assert_eq!(readdress(text, &name("cp1"), &address).unwrap(), text.replace("10.0.0.1", "10.9.9.9"));
            assert!(readdress(text, &name("w9"), &address).is_err());
        }
    }
}
