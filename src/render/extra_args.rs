//! Flags of components, in the form of either configuration API.

use serde_json::{Value, json};

use crate::model::version::KubeadmApi;

/// Brings every `extraArgs` and `kubeletExtraArgs` below `value` into the form of `api`.
///
/// Rendering and users may write a table (one value for each flag) or a list of `{name, value}`; v1beta3 takes only
/// the one and v1beta4 only the other. In a table made of a list, the last value of a flag given twice counts.
pub fn convert(value: &mut Value, api: KubeadmApi) {
    match value {
        Value::Object(table) => {
            for (key, inner) in table.iter_mut() {
                if matches!(key.as_str(), "extraArgs" | "kubeletExtraArgs") {
                    let flags = flags(inner);
                    *inner = match api {
                        KubeadmApi::V1Beta3 => flags.into_iter().collect(),
                        KubeadmApi::V1Beta4 => {
                            flags.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
                        }
                    };
                } else {
                    convert(inner, api);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| convert(inner, api)),
        _ => {}
    }
}

/// Adds flags of ours below those that a user gave in either form; a flag that the user names is the user's.
pub fn add_below(theirs: Option<&Value>, ours: &[(&str, String)]) -> Value {
    let theirs = theirs.map(flags).unwrap_or_default();
    let mut all: Vec<(String, Value)> = ours
        .iter()
        .filter(|(name, _)| theirs.iter().all(|(other, _)| other != name))
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    all.extend(theirs);
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// The flags of a table or list. Values are text for kubeadm, whatever the user wrote: `true`, `10`.
fn flags(value: &Value) -> Vec<(String, Value)> {
    let text = |value: &Value| match value {
        Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    };
    match value {
        Value::Object(table) => table.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|flag| Some((flag.get("name")?.as_str()?.to_owned(), text(flag.get("value")?))))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_become_either() {
        let table = json!({"a": "1", "b": true});
        let list = json!([{"name": "a", "value": "1"}, {"name": "b", "value": "true"}]);
        for given in [&table, &list] {
            for (api, wanted) in
                [(KubeadmApi::V1Beta3, json!({"a": "1", "b": "true"})), (KubeadmApi::V1Beta4, list.clone())]
            {
                let mut value = json!({"apiServer": {"extraArgs": given}});
                convert(&mut value, api);
                assert_eq!(value, json!({"apiServer": {"extraArgs": wanted}}));
            }
        }
    }

    #[test]
    fn a_users_flag_stands_and_others_are_added() {
        let theirs = json!([{"name": "v", "value": "2"}, {"name": "v", "value": "3"}]);
        let all = add_below(Some(&theirs), &[("v", "0".to_owned()), ("a", "1".to_owned())]);
        let wanted = json!([{"name": "a", "value": "1"}, {"name": "v", "value": "2"}, {"name": "v", "value": "3"}]);
        assert_eq!(all, wanted);
    }
}
