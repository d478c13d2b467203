//! Merging what a user wrote into what is rendered.

use serde_json::{Map, Value};

/// Merges `theirs` into `ours`: tables are merged key by key, anything else replaces what is there.
///
/// Keys that the program owns never come here: they are refused when the inventory is read.
pub fn merge(ours: &mut Value, theirs: &Map<String, Value>) {
    let Value::Object(ours) = ours else {
        *ours = Value::Object(theirs.clone());
        return;
    };
    for (key, value) in theirs {
        match (ours.get_mut(key), value) {
            (Some(mine @ Value::Object(_)), Value::Object(table)) => merge(mine, table),
            _ => {
                ours.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut ours: Value, theirs: Value) -> Value {
        let Value::Object(theirs) = theirs else { panic!("a table") };
        merge(&mut ours, &theirs);
        ours
    }

    #[test]
    fn tables_are_merged_and_all_else_is_replaced() {
        assert_eq!(
            merged(json!({"a": {"b": 1, "c": [1, 2]}, "d": 1}), json!({"a": {"c": [3], "e": 4}, "d": {"f": 5}})),
            json!({"a": {"b": 1, "c": [3], "e": 4}, "d": {"f": 5}})
        );
        assert_eq!(merged(json!({"a": {"b": 1}}), json!({"a": 2})), json!({"a": 2}));
        assert_eq!(merged(json!({"a": 1}), json!({})), json!({"a": 1}));
    }
}
