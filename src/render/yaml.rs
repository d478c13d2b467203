//! YAML text of values.

use serde_json::Value;

/// One document, without a mark.
///
/// # Panics
/// Never, as [`documents`].
pub fn document(value: &Value) -> String {
    serde_yaml_ng::to_string(value).expect("JSON is YAML")
}

/// Several documents in one text, each begun by `---`.
///
/// # Panics
/// Never: JSON values have only string keys, which is all that the serializer could object to.
pub fn documents(values: &[Value]) -> String {
    values.iter().map(|value| format!("---\n{}", document(value))).collect()
}
