//! Whether a rendered object holds in the live one: everything rendered is there, and what others (defaults,
//! controllers, admission) added does not count. This is what tells an object in order from a drifted one.

use std::fmt;

use serde_json::{Map, Value};

use super::quantity::Quantity;

/// One place where the live object is not as rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `spec.template.spec.containers[flannel].image`.
    pub path: String,
    /// What is rendered; `None` where the live object has an element too many.
    pub wanted: Option<Value>,
    /// What is there, absent where nothing is.
    pub found: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| value.as_ref().map_or_else(|| String::from("nothing"), short);
        write!(f, "{}: found {}, wanted {}", self.path, show(&self.found), show(&self.wanted))
    }
}

/// Every place where `live` is not as `rendered`, in the order of the rendered object; none where all of it holds.
///
/// Elements of a list that have a `name` are found by it, wherever they stand, and more of them may be there; any other
/// list must have the same elements in the same order. Rendered emptiness (`null`, `""`, `{}`, `[]`) is met by absence,
/// because the API server drops it. Numbers and text that mean the same are the same: quantities, ports.
pub fn differences(rendered: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&Path::default(), rendered, Some(live), &mut found);
    found
}

/// Where we are, and whether scalars here are quantities.
#[derive(Clone, Default)]
struct Path {
    text: String,
    quantity: bool,
}

impl Path {
    fn key(&self, key: &str) -> Self {
        let text = match (self.text.is_empty(), key.contains(['.', '/'])) {
            (true, false) => String::from(key),
            (_, true) => format!("{}[{key}]", self.text),
            (false, false) => format!("{}.{key}", self.text),
        };
        // Within `limits`, `requests` and `capacity` every value is a quantity, whatever it is called.
        let quantity = self.quantity || matches!(key, "limits" | "requests" | "capacity" | "sizeLimit" | "storage");
        Self { text, quantity }
    }

    fn element(&self, element: &str) -> Self {
        Self { text: format!("{}[{element}]", self.text), quantity: self.quantity }
    }
}

fn compare(path: &Path, rendered: &Value, live: Option<&Value>, found: &mut Vec<Difference>) {
    let mut differs = |wanted: Option<&Value>, there: Option<&Value>, path: &Path| {
        found.push(Difference { path: path.text.clone(), wanted: wanted.cloned(), found: there.cloned() });
    };
    match (rendered, live) {
        (_, None | Some(Value::Null)) if is_empty(rendered) => {}
        (Value::Object(rendered), Some(Value::Object(live))) => {
            for (key, value) in rendered {
                compare(&path.key(key), value, live.get(key), found);
            }
        }
        (Value::Array(rendered), Some(Value::Array(live))) => match names(rendered) {
            Some(names) => {
                for (name, value) in names.iter().zip(rendered) {
                    let there = live.iter().find(|element| element.get("name").and_then(Value::as_str) == Some(name));
                    compare(&path.element(name), value, there, found);
                }
            }
            None => {
                for (at, value) in rendered.iter().enumerate() {
                    compare(&path.element(&at.to_string()), value, live.get(at), found);
                }
                for (at, extra) in live.iter().enumerate().skip(rendered.len()) {
                    found.push(Difference {
                        path: path.element(&at.to_string()).text,
                        wanted: None,
                        found: Some(extra.clone()),
                    });
                }
            }
        },
        (_, Some(live)) if same_scalar(rendered, live, path.quantity) => {}
        (_, live) => differs(Some(rendered), live, path),
    }
}

/// The names of a list's elements, if every one is an object with a name.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let names: Option<Vec<&str>> = list.iter().map(|element| element.get("name")?.as_str()).collect();
    names.filter(|names| !names.is_empty())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn same_scalar(a: &Value, b: &Value, quantity: bool) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match (a, b) {
        _ if a == b => true,
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(_), Value::String(_)) if !quantity => false,
        // Int-or-string: the API server may answer a port in either form.
        _ => match (text(a), text(b)) {
            (Some(a), Some(b)) if quantity => Quantity::same(&a, &b),
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

/// A value in at most 80 characters.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => Map::len(map).to_string() + " fields",
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().count() > 80 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(rendered: Value, live: Value) -> Vec<String> {
        differences(&rendered, &live).into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn what_others_added_does_not_count() {
        let rendered = json!({"spec": {"containers": [{"name": "a", "image": "x:1"}]}});
        let live = json!({
            "metadata": {"uid": "1"},
            "spec": {"containers": [{"name": "sidecar"}, {"name": "a", "image": "x:1", "imagePullPolicy": "Always"}]},
        });
        assert_eq!(paths(rendered, live), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_named_by_path() {
        let rendered = json!({
            "metadata": {"annotations": {"a.b/c": "1"}},
            "spec": {"containers": [{"name": "a", "image": "x:1", "args": ["--p", "--q"]}, {"name": "b", "image": "y"}]},
        });
        let live = json!({"spec": {"containers": [{"name": "a", "image": "x:0", "args": ["--p", "--r", "--s"]}]}});
        assert_eq!(
            paths(rendered, live),
            [
                "metadata",
                "spec.containers[a].args[1]",
                "spec.containers[a].args[2]",
                "spec.containers[a].image",
                "spec.containers[b]"
            ]
        );
    }

    #[test]
    fn lists_without_names_keep_their_order() {
        let rules = |verbs: &[&str]| json!({"rules": [{"apiGroups": [""], "verbs": verbs}]});
        assert!(paths(rules(&["get", "list"]), rules(&["get", "list"])).is_empty());
        assert_eq!(paths(rules(&["get", "list"]), rules(&["list", "get"])).len(), 2);
        assert_eq!(paths(rules(&["get"]), rules(&["get", "list"])), ["rules[0].verbs[1]"]);
    }

    #[test]
    fn emptiness_is_met_by_absence() {
        let rendered = json!({"a": null, "b": [], "c": "", "d": {"e": {}}, "status": {}});
        assert!(paths(rendered, json!({})).is_empty());
        assert_eq!(paths(json!({"a": false, "b": 0}), json!({})), ["a", "b"]);
    }

    #[test]
    fn numbers_and_text_that_mean_the_same() {
        let resources = |cpu: Value, memory: Value| json!({"limits": {"cpu": cpu, "memory": memory}});
        assert!(paths(resources(json!(1), json!("1024Mi")), resources(json!("1000m"), json!("1Gi"))).is_empty());
        assert_eq!(paths(resources(json!("100m"), json!("1G")), resources(json!("0.2"), json!("1Gi"))).len(), 2);
        assert!(paths(json!({"targetPort": 8080}), json!({"targetPort": "8080"})).is_empty());
        assert!(paths(json!({"a": 1}), json!({"a": 1.0})).is_empty());
        assert_eq!(paths(json!({"label": "1"}), json!({"label": "1.0"})), ["label"]);
        assert_eq!(paths(json!({"a": true}), json!({"a": "true"})), ["a"]);
    }

    #[test]
    fn a_difference_reads_well() {
        let difference = &differences(&json!({"a": {"image": "x:2"}}), &json!({"a": {"image": "x:1"}}))[0];
        assert_eq!(difference.to_string(), "a.image: found x:1, wanted x:2");
        let difference = &differences(&json!({"a.b/c": "1\n2"}), &json!({}))[0];
        assert_eq!(difference.to_string(), "[a.b/c]: found nothing, wanted 1\\n2");
    }
}
