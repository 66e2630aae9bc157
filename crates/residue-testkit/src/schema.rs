//! JSON against its schema: the part of JSON Schema that our schemas use.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a schema that isn't one fails the test")]

use serde_json::Value;

/// What in `value` doesn't fit `schema`, one message each.
///
/// # Panics
/// When the schema has a keyword that isn't known here, so that nothing is left unchecked.
pub fn mistakes(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    validate(schema, schema, value, "$", &mut errors);
    errors
}

fn validate(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    for (keyword, argument) in schema.as_object().expect("a schema is an object") {
        let ok = match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" | "required" | "additionalProperties" => true,
            "$ref" => {
                let pointer = argument.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                validate(root, root.pointer(pointer).expect(pointer), value, at, errors);
                true
            }
            "anyOf" | "oneOf" => {
                let misfits = |schema: &Value| {
                    let mut errors = Vec::new();
                    validate(root, schema, value, at, &mut errors);
                    errors
                };
                let misfits: Vec<_> = argument.as_array().unwrap().iter().map(misfits).collect();
                let count = misfits.iter().filter(|errors| errors.is_empty()).count();
                // The one that comes closest says best what is wrong.
                if count == 0 {
                    errors.extend(misfits.into_iter().min_by_key(Vec::len).unwrap_or_default());
                }
                count == 1 || keyword == "anyOf" && count > 0
            }
            "const" => value == argument,
            "enum" => argument.as_array().unwrap().contains(value),
            "type" => match argument.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_u64() || value.is_i64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("unknown type {other}"),
            },
            "minimum" => value.as_i64() >= argument.as_i64(),
            "minItems" => value.as_array().map(Vec::len) >= argument.as_u64().map(|n| n as usize),
            "maxItems" => value.as_array().map(Vec::len) <= argument.as_u64().map(|n| n as usize),
            "pattern" => {
                let pattern = regex::Regex::new(argument.as_str().unwrap()).expect("a pattern");
                value.as_str().is_some_and(|text| pattern.is_match(text))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(root, argument, item, &format!("{at}/{index}"), errors);
                }
                true
            }
            "properties" => {
                properties(root, schema, value, at, errors);
                true
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
                    validate(root, argument, &name.as_str().into(), &format!("{at}/{name}"), errors);
                }
                true
            }
            other => panic!("unknown keyword {other}"),
        };
        if !ok {
            errors.push(format!("{at}: {value} does not fit {keyword} {argument}"));
        }
    }
}

fn properties(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        return;
    };
    for (name, field) in fields {
        match schema["properties"].get(name) {
            Some(schema) => validate(root, schema, field, &format!("{at}/{name}"), errors),
            None if schema["additionalProperties"] == false => {
                errors.push(format!("{at}: unknown field {name}"));
            }
            None => {}
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            errors.push(format!("{at}: no field {name}"));
        }
    }
}
