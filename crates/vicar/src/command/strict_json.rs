//! JSON in which no object names a field twice: whoever reads one of two cannot know which one was meant.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Why a line is no question.
#[derive(Debug)]
pub(crate) struct WrongLine {
    /// The id it has all the same, if it has just one.
    pub(crate) id: Json,
    /// What is wrong.
    pub(crate) error: String,
}

/// Reads one value that fills `text`.
pub(crate) fn read(text: &[u8]) -> Result<Json, WrongLine> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut twice = Vec::new();
    let json = Strict { twice: &mut twice, depth: 0 }.deserialize(&mut reader);
    match json.and_then(|json| reader.end().map(|()| json)) {
        Ok(json) if twice.is_empty() => Ok(json),
        Ok(json) => {
            let names: Vec<String> = twice.iter().map(|(_, name)| format!("`{name}`")).collect();
            let is_id = twice.iter().any(|(depth, name)| *depth == 1 && name == "id");
            let id = if is_id { None } else { json.get("id").cloned() };
            let error = format!("field {} is there twice", names.join(", "));
            Err(WrongLine { id: id.unwrap_or(Json::Null), error })
        }
        Err(error) => Err(WrongLine { id: Json::Null, error: error.to_string() }),
    }
}

/// Reads a value and notes the names that an object has twice, with the depth of the object.
struct Strict<'t> {
    twice: &'t mut Vec<(usize, String)>,
    depth: usize,
}

impl Strict<'_> {
    fn deeper(&mut self) -> Strict<'_> {
        Strict { twice: self.twice, depth: self.depth.saturating_add(1) }
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
        while let Some(item) = items.next_element_seed(self.deeper())? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Json, A::Error> {
        let mut out = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(self.deeper())?;
            if out.insert(name.clone(), value).is_some() {
                let depth = self.depth.saturating_add(1);
                self.twice.push((depth, name));
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
        let inside = wrong(r#"{"id":7,"token":{"user":"a","user":"b"}}"#);
        assert_eq!((inside.id, inside.error.as_str()), (json!(7), "field `user` is there twice"));
        assert_eq!(wrong(r#"{"id":1,"id":2}"#).id, Json::Null);
        assert_eq!(wrong(r#"{"id":1,"x":[{"id":2,"id":3}]}"#).id, json!(1));
        for text in ["", "{", "{} x", "1e999", r#"{"a":01}"#, "\"\\ud800\"", &"[".repeat(1000)] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
