//! JSON in which no object names a field twice: whoever reads one of two cannot know which one was meant.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value as Json};

/// The id of a line, letter by letter as it stands there; `null` when it has none, or more than one.
pub(crate) fn id_of(line: &[u8]) -> &str {
    #[derive(Deserialize)]
    struct OnlyId<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let is_object = line.trim_ascii_start().starts_with(b"{");
    let id = if is_object { serde_json::from_slice::<OnlyId<'_>>(line).ok() } else { None };
    id.map_or("null", |line| line.id.get())
}

/// Reads one object that fills `text`.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn read(text: &[u8]) -> Result<Json, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut twice = Vec::new();
    let json = Strict { twice: &mut twice }.deserialize(&mut reader);
    match json.and_then(|json| reader.end().map(|()| json)) {
        Ok(_) if !twice.is_empty() => {
            let names: Vec<String> = twice.iter().map(|name| format!("`{name}`")).collect();
            Err(format!("field {} is there twice", names.join(", ")))
        }
        Ok(json) if json.is_object() => Ok(json),
        Ok(_) => Err("expected an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a value and notes the names that an object has twice.
struct Strict<'t> {
    twice: &'t mut Vec<String>,
}

impl Strict<'_> {
    fn again(&mut self) -> Strict<'_> {
        Strict { twice: self.twice }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Json, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(self.again())? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Json, A::Error> {
        let mut out = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(self.again())?;
            if out.insert(name.clone(), value).is_some() {
                self.twice.push(name);
            }
        }
        Ok(Json::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_there_once() {
        let wrong = |text: &str| read(text.as_bytes()).unwrap_err();
        assert_eq!(read(br#"{"a":[1,{"a":2.5}],"b":null}"#).unwrap(), json!({"a": [1, {"a": 2.5}], "b": null}));
        assert_eq!(wrong(r#"{"id":7,"token":{"user":"a","user":"b"}}"#), "field `user` is there twice");
        assert_eq!(wrong("[]"), "expected an object");
        for text in ["", "{", "{} x", r#"{"a":1e999}"#, r#"{"a":01}"#, "{\"a\":\"\\ud800\"}", &"{\"a\":".repeat(1000)] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_what_stands_in_the_line() {
        for (line, id) in [
            (r#"{"id":7,"a":1e999}"#, "7"),
            (r#"{"a":1,"id": "x" }"#, r#""x""#),
            (r#"{"id":123456789012345678901234567890}"#, "123456789012345678901234567890"),
            (r#"{"id":{"id":[1, 2]}}"#, r#"{"id":[1, 2]}"#),
            (r#"{"id":1,"id":2}"#, "null"),
            (r#"{"x":{"id":1}}"#, "null"),
            ("[7]", "null"),
            ("7", "null"),
            (r#"{"id":7"#, "null"),
        ] {
            assert_eq!(id_of(line.as_bytes()), id, "{line}");
        }
    }
}
